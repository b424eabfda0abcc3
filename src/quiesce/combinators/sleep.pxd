cimport cython
from quiesce.core cimport native
from quiesce.core.awaiting cimport outcome_error
from quiesce.core.future cimport Future

cdef object get_running_loop
cdef int NOT_BEGUN, WAITING, ENDED


@cython.final
cdef class Sleep:
    cdef object delay
    cdef object result
    cdef object future
    cdef object timer
    cdef int stage

    cdef object begin(self)
    cdef object begin_waiting(self)
    cdef int end(self) except -1
    cdef int check_woken(self) except -1


@cython.locals(sleeping=Sleep)
cpdef Sleep new_sleep(object delay, object result)
