cimport cython
from quiesce.core cimport native
from quiesce.core.task cimport Task


@cython.final
cdef class PendingTasks:
    cdef list tasks
    cpdef int add(self, Task task) except -1
    @cython.final
    @cython.locals(last=Task)
    cdef int forget(self, Task task) except -1
    cpdef list all(self)
    @cython.locals(task=Task)
    cpdef int clear(self) except -1

