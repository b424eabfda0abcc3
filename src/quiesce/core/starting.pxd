from quiesce.core cimport step_callbacks
from quiesce.core.pending cimport PendingTasks
from quiesce.core.task cimport Task

cdef object CoroutineType


cdef int check_coroutine(object coro) except -1
cdef int check_context(object context) except -1
cdef int start_soon(Task task) except -1
cdef int start_eagerly(Task task) except -1
cdef int forget_coroutine(Task task) except -1
