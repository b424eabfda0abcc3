cimport cython
from quiesce.net cimport native as calls

cdef int CLOSED


@cython.final
cdef class AcceptedSocket:
    cdef int _fd
    cdef readonly object family
    cdef object _proto
    cdef object _peername
    cdef object _sockname
    cdef object _made
    cpdef int fileno(self) noexcept
    cpdef made(self)
    cpdef getpeername(self)
    cpdef getsockname(self)
    cpdef remember(self)
    @cython.locals(fd=int)
    cpdef close(self)
