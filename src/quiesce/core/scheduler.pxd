cimport cython


cdef class Scheduler


from quiesce.core cimport current_task, debug_checks, iteration, native, runs
from quiesce.core.fd_callbacks cimport FdCallbacks
from quiesce.core.future cimport Future, new_future
from quiesce.core.handle cimport Handle, make_handle, make_thread_safe_handle
from quiesce.core.pending cimport PendingTasks
from quiesce.core.poller cimport Poller, Watcher
from quiesce.core.ready cimport ReadyQueue
from quiesce.core.task cimport Task, new_task
from quiesce.core.timers cimport TimerHandle, TimerHeap, make_timer

cdef object CoroutineType, FREE_STEP, WOKEN_STEP


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
    cdef readonly object unretrieved
    cdef readonly object other_tasks
    cdef readonly object run_from
    cdef readonly Task current
    cdef Task published
    cdef readonly object _thread_id
    cdef object origins
    cdef Py_ssize_t unpolled
    cdef readonly long long polled_at
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
    cdef int at_iteration_end(self, Watcher watcher) except -1
    cdef double now(self) except? -2
    cdef int start_timer(self, TimerHandle timer, double now) except -1
    @cython.final
    cdef TimerHandle timer_after(self, double delay, object callback, tuple args, object context)
    @cython.final
    cdef TimerHandle timer_at(self, double when, double now, object callback, tuple args, object context)
    cdef Task plain_task(self, object coro, object name, object context)
    cpdef int check_closed(self) except -1


cpdef object make_task(Scheduler loop, object coro)
