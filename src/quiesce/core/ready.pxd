cimport cython
from quiesce.core cimport native


@cython.final
cdef class ReadyQueue:
    cdef readonly list items
    cdef list spare
    cdef bint closed
    cpdef int push(self, object item) except -1
    cpdef int put_back(self, list batch, Py_ssize_t taken) except -1
    @cython.locals(batch=list, low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cpdef Py_ssize_t taken(self)
    cpdef int close(self) except -1
