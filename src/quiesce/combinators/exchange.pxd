cimport cython
from quiesce.core cimport native
from quiesce.core.future cimport Future, new_future
from quiesce.core.ready cimport ReadyQueue

cdef object running_loop

cdef class Exchange
cdef class Move
cdef class Put(Move)
cdef class Get(Move)

cdef class Exchange:
    cdef public object _getters
    cdef public object _putters
    cdef public object _loop
    cdef public Py_ssize_t _unfinished_tasks
    cdef public bint _is_shutdown
    cdef object bound
    cdef object items
    cdef object store
    cdef object take
    cdef object joined
    cdef Put spare_put
    cdef Get spare_get
    cdef ReadyQueue ready
    cdef double limit
    cdef bint is_own_class
    cdef bint direct

    @cython.locals(put=Put)
    cpdef Put put(self, object item)
    @cython.locals(get=Get)
    cpdef Get get(self)
    cdef Future new_waiter(self)


cdef bint has_room(Exchange exchange) except -1
cdef bint has_items(Exchange exchange) except -1
cdef int add(Exchange exchange, object item) except -1
cdef object remove(Exchange exchange)
cdef bint left_line(object line, Future waiter) except -1


@cython.locals(future=Future, woken=bint)
cpdef int wake_next(object waiters) except -1


cdef class Move:
    cdef Exchange exchange
    cdef object item
    cdef Future waiter

    @cython.locals(exchange=Exchange, waiter=Future)
    cpdef object close(self)
    cdef int check_turn(self) except -1
    @cython.locals(waiter=Future)
    cdef Future wait(self, Exchange exchange, object line)
    cdef int leave(self, Exchange exchange, Future waiter) except -1


@cython.final
cdef class Put(Move):
    pass


@cython.final
cdef class Get(Move):
    pass
