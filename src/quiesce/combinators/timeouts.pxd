cimport cython
from quiesce.core cimport native

cdef object running_loop, current_task
cdef int CREATED, ACTIVE, EXPIRING, EXPIRED, FINISHED
cdef object NOTHING


cdef class Timeout:
    cdef object deadline
    cdef object task
    cdef object timer
    cdef long cancel_requests
    cdef int state
    cdef object __weakref__

    cdef int enter(self) except -1
    cdef object start_timer(self)
    cdef int stop_timer(self) except -1


@cython.final
cdef class Entry:
    cdef Timeout entered


@cython.final
cdef class Nothing:
    pass


cdef int convert(object error) except -1
cdef object insert_timeout_error(object error)
