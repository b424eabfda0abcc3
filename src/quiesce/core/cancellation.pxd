cimport cython
from quiesce.core cimport native, task as tasks
from quiesce.core.future cimport Future
from quiesce.core.task cimport Task


@cython.locals(task=Task, inner=Task)
cdef bint cancel_chain(Task task, object msg) except -1
cpdef int cancel_past_gate(Task task, object msg) except -1
@cython.locals(waiter=Future)
cdef int break_circle(Task task) except -1
