from quiesce.core cimport native
from quiesce.core.poller cimport Poller, Watcher
from quiesce.core.scheduler cimport Scheduler

cdef Py_ssize_t FORGIVEN_WRITES


cdef class OwnedSocket(Watcher):
    cdef Scheduler _loop
    cdef Poller _poller
    cdef object _sock
    cdef object _transport
    cdef object _protocol
    cdef object _server
    cdef object _context
    cdef Py_ssize_t _lost_writes
    cdef int _fd
    cdef int _asked
    cdef bint _edge
    cdef bint _started
    cdef bint _readable
    cdef bint _closing
    cdef bint _lost

    cpdef object owner(self)
    cpdef begin(self, object waiter)
    cpdef start(self, object waiter)
    cdef lose(self, object error)
    cpdef finish(self, object error)
    cpdef bint abandon(self) except -1
    cpdef bint is_closing(self) noexcept
    cpdef bint is_closed(self) noexcept
    cpdef get_socket(self)
    cpdef get_protocol(self)
    cdef ask_poller(self)
    cdef int wanted_events(self) except -1
    cdef fatal(self, object error, str message)
    cpdef report(self, object error, str message)
    cdef warn_of_lost_write(self)
