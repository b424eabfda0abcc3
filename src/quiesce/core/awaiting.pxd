cimport cython
from quiesce.core cimport native
from quiesce.core.future cimport Future


@cython.final
cdef class FutureIterator:
    cdef Future future


@cython.locals(iterator=FutureIterator)
cdef FutureIterator iterate(Future future)
@cython.locals(future=Future)
cdef int begin_to_wait(object thing) except -1
@cython.locals(future=Future)
cdef object outcome(object thing)
cpdef object outcome_error(Future future)
