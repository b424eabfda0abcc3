cimport cython
from quiesce.core cimport current_task, native
from quiesce.core.handle cimport Handle
from quiesce.core.poller cimport Watcher
from quiesce.core.ready cimport ReadyQueue
from quiesce.core.scheduler cimport Scheduler
from quiesce.core.task cimport Task
from quiesce.core.timers cimport TimerHandle

cdef int BATCH_LIMIT
cdef double LONGEST_SLEEP
cdef double CLOCK_RESOLUTION


cdef int run_iterations(Scheduler loop) except -1
cdef int run_once(Scheduler loop) except -1
cdef int run_batch(Scheduler loop) except -1
cdef bint poll_is_due(Scheduler loop) noexcept
cdef int look_outside(Scheduler loop) except -1
@cython.locals(first=TimerHandle)
cdef double sleep_limit(Scheduler loop) except? -2
@cython.locals(now=double, timer=TimerHandle)
cdef int queue_due_timers(Scheduler loop) except -1
cdef int queue_incoming(Scheduler loop) except -1
@cython.locals(ready=ReadyQueue, batch=list, taken=Py_ssize_t, count=Py_ssize_t)
cdef int run_ready(Scheduler loop) except -1
cdef int run_observed(Scheduler loop, object item) except -1
cdef int resume_current(Scheduler loop) except -1
cdef int run_handle(Scheduler loop, Handle handle) except -1
@cython.locals(ending=list, told=Py_ssize_t, watcher=Watcher)
cdef int end_iteration(Scheduler loop) except -1
