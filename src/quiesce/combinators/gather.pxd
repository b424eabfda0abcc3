cimport cython
from quiesce.core cimport cancellation, native
from quiesce.core.future cimport Future
from quiesce.core.handle cimport Handle, begin_notice
from quiesce.core.scheduler cimport Scheduler, make_task
from quiesce.core.task cimport Task

cdef object CoroutineType
cdef object ensure_future
cdef object running_loop
cdef object loop_of


cdef class Gathering(Future):
    cdef readonly list children
    cdef readonly Py_ssize_t left
    cdef bint keeps_errors
    cdef bint cancel_requested

    cdef bint has_parts(self) noexcept
    @cython.locals(pending=list)
    cdef bint hand_out_parts(self, list rest) except -1
    cdef int child_done(self, object child) except -1
    cdef int complete(self, object last) except -1


cdef class ChildNotice(Handle):
    cdef readonly Gathering gathering
    cdef list done
    cdef Py_ssize_t passed_on
    cdef int told(self, object future) except -1
    cdef int run(self) except -1


@cython.locals(gathering=Gathering)
cdef Gathering new_gathering(object loop, list children, bint keeps_errors)
@cython.locals(notice=ChildNotice)
cdef ChildNotice new_notice(Gathering gathering)
@cython.locals(ours=Future)
cdef int leave_notice(ChildNotice notice, object child) except -1
cdef object error_of(object child)
cdef int report_sibling(object child) except -1
cdef bint succeeded(Future future) except -1
cdef bint is_done(object child) except -1
cdef bint is_pending(Future future) except -1
cdef object result_of(object child)
cdef object result_of_ours(Future future)
cdef object task_for(object loop, object awaitable)
cdef int keep_quiet(Task task) except -1
@cython.locals(children=list)
cdef list children_for(object loop, object awaitables)
@cython.locals(gathering=Gathering, done_now=list, notice=ChildNotice)
cdef Gathering gathered(list once, list children, bint keeps_errors)
