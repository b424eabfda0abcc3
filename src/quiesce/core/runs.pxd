cimport cython
from quiesce.core cimport current_task, iteration, native, places
from quiesce.core.scheduler cimport Scheduler


@cython.locals(began_at="long long")
cdef int run_until_stopped(Scheduler loop) except -1
cdef object run_until_done(Scheduler loop, object future)
cdef object report_if_other(Scheduler loop, object future, object error)
cdef int begin_run(Scheduler loop) except -1
cdef int end_run(Scheduler loop) except -1
cdef int check_not_running(Scheduler loop) except -1
