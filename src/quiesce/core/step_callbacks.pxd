cimport cython
from quiesce.core.task cimport Task


@cython.final
cdef class TaskWakeup:
    cdef readonly Task task


@cython.final
cdef class TaskStep:
    cdef readonly Task task
    cdef object exception


cdef int step_as_callback(Task task, object error) except -1
cdef object wrong_to_yield(Task task, object yielded, object blocking)
