cimport cython
from quiesce.core cimport native
from quiesce.core.fd_callbacks cimport FdCallbacks
from quiesce.core.future cimport Future, new_future
from quiesce.core.handle cimport Handle, make_handle, make_thread_safe_handle
from quiesce.core.pending cimport PendingTasks
from quiesce.core.poller cimport Poller, Watcher
from quiesce.core.ready cimport ReadyQueue
from quiesce.core.task cimport Task, new_task
from quiesce.core.timers cimport TimerHandle, TimerHeap, make_timer

cdef dict current_tasks
cdef object swap_current_task
cdef object CoroutineType
cdef bint PUBLISHES_EAGERLY
cdef int BATCH_LIMIT
cdef double LONGEST_SLEEP
cdef double CLOCK_RESOLUTION


cdef class Scheduler:
    cdef readonly ReadyQueue ready
    cdef readonly ReadyQueue direct_ready
    cdef readonly TimerHeap timers
    cdef readonly PendingTasks pending_tasks
    cdef readonly Poller poller
    cdef readonly object clock
    cdef readonly FdCallbacks fd_callbacks
    cdef readonly object async_generators
    cdef public double slow_callback_duration
    cdef public object observer
    cdef list ending
    cdef object incoming
    cdef object exception_handler
    cdef object task_factory
    cdef object unfinished
    cdef Task current
    cdef Task published
    cdef readonly object _thread_id
    cdef object origins
    cdef Py_ssize_t unpolled
    cdef long long polled_at
    cdef bint has_incoming
    cdef bint polls_always
    cdef bint eager_tasks
    cdef bint plain_tasks
    cdef bint stopping
    cdef bint closed
    cdef bint debug
    cdef public bint interrupted
    cdef readonly object interrupts
    cdef object __weakref__

    @cython.final
    cdef int run_once(self) except -1
    @cython.final
    cdef bint poll_is_due(self) noexcept
    @cython.final
    cdef int look_outside(self) except -1
    @cython.final
    @cython.locals(first=TimerHandle)
    cdef double sleep_limit(self) except? -2
    @cython.final
    @cython.locals(timer=TimerHandle)
    cdef int queue_due_timers(self) except -1
    @cython.final
    cdef int queue_incoming(self) except -1
    @cython.final
    @cython.locals(ready=ReadyQueue, batch=list, taken=Py_ssize_t, count=Py_ssize_t)
    cdef int run_ready(self) except -1
    @cython.final
    cdef int at_iteration_end(self, Watcher watcher) except -1
    @cython.final
    @cython.locals(ending=list, told=Py_ssize_t, watcher=Watcher)
    cdef int end_iteration(self) except -1
    @cython.final
    cdef int run_observed(self, object item) except -1
    @cython.final
    cdef inline int resume_current(self) except -1
    @cython.final
    cdef inline int run_handle(self, Handle handle) except -1
    cdef int publish(self) except -1
    cdef double now(self) except? -2
    cdef object running_task(self)
    cdef int start_timer(self, TimerHandle timer, double now) except -1
    cdef int clear_current(self) except -1
    @cython.final
    cdef TimerHandle timer_after(self, double delay, object callback, tuple args, object context)
    @cython.final
    cdef TimerHandle timer_at(self, double when, double now, object callback, tuple args, object context)
    cdef Task plain_task(self, object coro, object name, object context)
    cdef int begin_run(self) except -1
    cdef int end_run(self) except -1
    cpdef int check_closed(self) except -1
    cdef int check_not_running(self) except -1


cpdef object make_task(Scheduler loop, object coro)
cdef object caller_stack()
