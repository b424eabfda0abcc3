cimport cython
from quiesce.core cimport cancel_request, native, task as tasks
from quiesce.core.future cimport Future
from quiesce.core.task cimport Task


@cython.locals(last=Task)
cdef bint cancel_task(Task task, object msg, cancel_request.CancelRequest request) except -1
@cython.locals(task=Task, inner=Task, seen=Task)
cdef Task cancel_chain(Task task, object msg, cancel_request.CancelRequest request)
@cython.locals(rest=list, seen=set)
cdef int cancel_tree(Task task, object msg, cancel_request.CancelRequest request) except -1
@cython.locals(last=Task)
cdef int cancel_rest(list rest, set seen, object msg, cancel_request.CancelRequest request) except -1
@cython.locals(rest=list, seen=set, request=cancel_request.CancelRequest)
cdef bint cancel_whole(Future whole, object msg) except -1
cdef bint cancel_parts(Future whole, list rest, set seen, cancel_request.CancelRequest request) except -1
cdef bint has_parts(Future future) except -1
cdef int must_cancel(Task task, object msg) except -1
cdef bint cancel_other(object waiter, object msg, cancel_request.CancelRequest request) except -1
cdef bint cancel_future(Future future, object msg, cancel_request.CancelRequest request) except -1
cdef object CoroutineType
cdef object OtherFuture
cpdef list solitary(object some)
@cython.locals(waiter=object)
cdef bint is_solitary(Task task) except -1
cpdef int cancel_each(list some, cancel_request.CancelRequest request) except -1
cpdef int cancel_past_gate(Task task, object msg) except -1
@cython.locals(waiter=Future)
cdef int break_circle(Task task) except -1
