cimport cython
from quiesce.core cimport native
from quiesce.core.poller cimport Watcher
from quiesce.net cimport native as calls
from quiesce.net.accepted_socket cimport AcceptedSocket

cdef int READABLE
cdef int CLOSED


cdef class Listener(Watcher):
    cdef readonly object server
    cdef readonly object sock
    cdef readonly object loop
    cdef int _fd
    cdef object _family
    cdef object _proto
    cdef object _sockname
    cdef object _context
    cdef object _retry
    cpdef object owner(self)
    cpdef start(self)
    @cython.locals(fd=int)
    cpdef close(self)
    @cython.locals(accepted=tuple)
    cpdef on_ready(self, int events)
    @cython.locals(connection=AcceptedSocket)
    cpdef _open(self, object fd, object address)
    cdef _accept_failed(self, object error)
