from quiesce.core cimport native
from quiesce.core.scheduler cimport Scheduler

cdef dict current_tasks
cdef object swap_current_task
cdef bint PUBLISHES_EAGERLY


cdef int clear_current(Scheduler loop) except -1
cdef int publish(Scheduler loop) except -1
cdef Py_hash_t hash_of(Scheduler loop) except? -1
cdef int publish_again(Scheduler loop) except -1
cdef object running_task(Scheduler loop)
