cimport cython
from quiesce.core cimport native
from quiesce.core.handle cimport Handle

cdef Py_ssize_t FEW, MANY


cdef class TimerHandle(Handle):
    cdef readonly double _when
    cdef unsigned long long _order
    cdef readonly bint _scheduled
    cdef TimerHeap _heap
    cdef int drop(self) except -1


@cython.final
cdef class TimerHeap:
    cdef list heap
    cdef unsigned long long added
    cdef Py_ssize_t cancelled
    cpdef int push(self, TimerHandle timer) except -1
    cpdef TimerHandle first(self)
    @cython.locals(timer=TimerHandle)
    cpdef TimerHandle pop_due(self, double now)
    @cython.locals(first=TimerHandle, last=TimerHandle)
    cpdef TimerHandle pop(self)
    @cython.locals(size=Py_ssize_t)
    cpdef int note_cancelled(self, TimerHandle timer) except -1
    @cython.locals(timer=TimerHandle, live=list, place=Py_ssize_t)
    cpdef int rebuild(self) except -1
    cpdef int clear(self) except -1


@cython.locals(timer=TimerHandle)
cpdef TimerHandle make_timer(double when, object callback, tuple args, object loop, object context)
cpdef int begin_timer(TimerHandle timer, double when, object callback, tuple args, object loop, object context) except -1
cdef bint earlier(TimerHandle one, TimerHandle other) noexcept
@cython.locals(start=Py_ssize_t, parent=Py_ssize_t, above=TimerHandle)
cdef int sift_up(list heap, Py_ssize_t place, TimerHandle timer) except -1
@cython.locals(child=Py_ssize_t, size=Py_ssize_t, below=TimerHandle, right=TimerHandle)
cdef int sift_down(list heap, Py_ssize_t place, TimerHandle timer) except -1
