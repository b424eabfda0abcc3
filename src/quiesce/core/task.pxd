cimport cython
from quiesce.core.future cimport Future


cdef class Task(Future)


from quiesce.core cimport cancel_request, cancellation, native, native_frames, places
from quiesce.core cimport starting, step_callbacks
from quiesce.core.awaiting cimport outcome_error
from quiesce.core.pending cimport PendingTasks
from quiesce.core.ready cimport ReadyQueue
from quiesce.core.step_callbacks cimport TaskStep, TaskWakeup


cdef unsigned long long unnamed_count
cdef object CancelledError
cdef tuple WORK


cdef class Task(Future):
    cdef readonly object _coro
    cdef readonly object _context
    cdef readonly object _fut_waiter
    cdef object _name
    cdef PendingTasks _among
    cdef Py_ssize_t _place
    cdef unsigned long long _number
    cdef readonly int _num_cancels_requested
    cdef readonly int _cancels_thrown
    cdef readonly bint _must_cancel
    cdef readonly object _origin
    cdef readonly int _origin_offset
    cdef public object _gate
    cdef bint _reports_loss

    cdef int begin(self, object coro, object name, object context) except -1
    @cython.final
    cdef object awaited_error(self)
    @cython.final
    cdef bint passes_over(self, object future) except -1
    @cython.final
    cdef int step(self, object error) except -1
    @cython.final
    cdef object throw_in(self, object error)
    @cython.final
    cdef int ended(self) except -1
    @cython.final
    cdef int came_to_return(self, object value) except -1
    @cython.final
    cdef int came_to_raise(self, object error) except -1
    @cython.final
    cdef int came_to_yield(self, object yielded) except -1
    @cython.final
    cdef bint wait_for_ours(self, Future future) except -1
    @cython.final
    cdef int wait_for_other(self, object yielded) except -1
    @cython.final
    cdef int again(self, object error) except -1


@cython.locals(task=Task)
cdef bint has_last_words(object thing) noexcept
@cython.locals(said=tuple, is_same=bint)
cdef bint says_no_more(object error, object message) except -1
@cython.locals(task=Task)
cpdef Task new_task(object loop, ReadyQueue ready, PendingTasks pending, object coro, object name, object context)
