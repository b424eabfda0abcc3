cimport cython
from quiesce.core cimport native

cdef Py_ssize_t SPENT_LIMIT


@cython.final
cdef class WriteBuffer:
    cdef readonly list chunks
    cdef readonly Py_ssize_t first
    cdef readonly Py_ssize_t offset
    cdef readonly Py_ssize_t size
    cpdef int append(self, bytes data, Py_ssize_t sent) except -1
    cdef bytes take_only(self)
    cpdef int remove(self, Py_ssize_t count) except -1
    @cython.locals(chunks=list)
    cdef int _advance(self, Py_ssize_t offset) except -1
    cpdef int clear(self) except -1
