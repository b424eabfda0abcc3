cimport cython
from quiesce.core cimport native
from quiesce.core.future cimport Future
from quiesce.core.handle cimport Handle
from quiesce.core.scheduler cimport Scheduler, make_task
from quiesce.core.task cimport Task

cdef object CoroutineType
cdef object ensure_future
cdef object running_loop


cdef class Gathering(Future):
    cdef readonly list children
    cdef readonly Py_ssize_t left
    cdef bint keeps_errors
    cdef bint cancel_requested

    cdef int add(self, object child) except -1
    cdef int child_done(self, object child) except -1
    cdef int complete(self, object last) except -1


cdef class ChildDone(Handle):
    cdef readonly Gathering gathering
    cdef object child
    cdef int run(self) except -1


@cython.locals(gathering=Gathering)
cdef Gathering new_gathering(object loop, bint keeps_errors)
@cython.locals(done=ChildDone)
cdef ChildDone new_child_done(Gathering gathering, object child)
cdef bint wait_for_ours(Gathering gathering, Future child) except -1
cdef object error_of(object child)
cdef bint succeeded(Future future) except -1
cdef object result_of(object child)
cdef object task_for(object loop, object awaitable)
