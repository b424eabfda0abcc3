cimport cython
from quiesce.core cimport native


@cython.final
cdef class ReadyQueue:
    cdef readonly list items
    cdef list spare
    cdef bint closed
    cpdef int push(self, object item) except -1
    cpdef int put_back(self, list batch, Py_ssize_t taken) except -1
    cpdef int close(self) except -1
