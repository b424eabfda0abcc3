cimport cython


@cython.final
cdef class FlowControl:
    cdef readonly Py_ssize_t high
    cdef readonly Py_ssize_t low
    cdef readonly bint paused
    cpdef tuple limits(self)
    cpdef int set_limits(self, object high, object low) except -1
    cpdef int note_more(self, object owner, Py_ssize_t size) except -1
    cpdef bint may_resume(self, Py_ssize_t size) noexcept
    cpdef int note_less(self, object owner, Py_ssize_t size) except -1


cpdef note_more(FlowControl flow, object owner, Py_ssize_t size)
cpdef note_less(FlowControl flow, object owner, Py_ssize_t size)
cdef int tell(object owner, str what) except -1
