cimport cython
from quiesce.core cimport cancel_request, cancellation, current_task, native
from quiesce.core.scheduler cimport Scheduler
from quiesce.core.task cimport Task
from quiesce.core.timers cimport TimerHandle, begin_timer

cdef object running_loop
cdef int CREATED, ACTIVE, EXPIRING, EXPIRED, FINISHED
cdef object NOTHING
cdef object CancelledError


cdef class Timeout:
    cdef double deadline
    cdef bint is_limited
    cdef object gate
    cdef object task
    cdef object timer
    cdef long cancel_requests
    cdef int state
    cdef bint for_wait_for
    cdef double length
    cdef object __weakref__

    cdef int begin_life(self, double deadline, bint is_limited) except -1
    cdef int enter(self) except -1
    cdef int start_timer(self, object loop) except -1
    cdef int stop_timer(self) except -1


cdef class Deadline(TimerHandle):
    cdef Timeout limit
    cdef int run(self) except -1


@cython.final
cdef class Entry:
    cdef Timeout entered


@cython.final
cdef class Nothing:
    pass


cpdef Timeout timeout(object delay)
@cython.locals(limit=Timeout, length=double)
cpdef Timeout limit_of(object delay, bint for_wait_for)
@cython.locals(entry=Entry)
cdef Entry new_entry(Timeout limit)
@cython.locals(timer=Deadline)
cdef Deadline new_deadline(Timeout limit, Scheduler loop)
cdef int drop_deadline(Deadline timer) except -1
@cython.locals(ours=Scheduler)
cdef bint is_plain(object loop) except -1
@cython.locals(ours=Scheduler)
cdef double time_of(object loop) except? -1
@cython.locals(ours=Scheduler)
cdef object running_task(object loop)
@cython.locals(ours=Task)
cdef object gate_of(object task)
@cython.locals(ours=Task)
cdef long cancel_requests_of(object task) except? -1
cdef int cancel_for(object task, cancel_request.CancelRequest request) except -1
cdef int convert(object error) except -1
cdef object insert_timeout_error(object error)
