cimport cython
from quiesce.core cimport native
from quiesce.core.future cimport Future, outcome_error
from quiesce.core.ready cimport ReadyQueue


cdef unsigned long long task_count, unnamed_count
cdef object CoroutineType
cdef object CancelledError


cdef class PendingTasks


@cython.final
cdef class TaskWakeup:
    cdef readonly Task task


@cython.final
cdef class TaskStep:
    cdef readonly Task task
    cdef object exception


cdef class Task(Future):
    cdef readonly object _coro
    cdef readonly object _context
    cdef readonly object _fut_waiter
    cdef object _name
    cdef PendingTasks _among
    cdef Py_ssize_t _place
    cdef unsigned long long _serial
    cdef unsigned long long _number
    cdef readonly int _num_cancels_requested
    cdef readonly bint _must_cancel
    cdef bint _reports_loss

    cdef int begin(self, object coro, object name, object context) except -1
    @cython.final
    cdef object awaited_error(self)
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


cpdef object serial_number(Task task)
@cython.locals(task=Task)
cdef bint has_last_words(object thing) noexcept
cdef int step_as_callback(Task task, object error) except -1
cdef int start_soon(Task task) except -1
cdef int start_eagerly(Task task) except -1
@cython.locals(waiter=Future)
cdef int break_circle(Task task) except -1
cdef int forget_coroutine(Task task) except -1
@cython.locals(task=Task)
cpdef Task new_task(object loop, ReadyQueue ready, PendingTasks pending, object coro, object name, object context)
@cython.locals(task=Task, inner=Task)
cdef bint cancel_chain(Task task, object msg) except -1
