cimport cython
from quiesce.core.future cimport Future
from quiesce.core.handle cimport Handle, begin_notice
from quiesce.core.task cimport Task


cdef class Countdown(Handle):
    cdef readonly object all_done
    cdef readonly Py_ssize_t left
    cdef bint only_counts(self) noexcept
    cdef int run(self) except -1


@cython.locals(countdown=Countdown, ours=Future)
cpdef Countdown count_down(object loop, object futures)
