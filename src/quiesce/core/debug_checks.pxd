from quiesce.core cimport native
from quiesce.core.scheduler cimport Scheduler


cpdef int check_call(object callback, object method) except -1
cdef int check_thread(Scheduler loop) except -1
cdef object caller_stack()
