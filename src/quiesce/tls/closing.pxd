cimport cython
from quiesce.tls cimport handshake, states
from quiesce.tls.stream cimport TlsStream


cdef close(TlsStream stream)
cdef go_on_closing(TlsStream stream)
cdef leave(TlsStream stream)
cdef limit_shutdown(TlsStream stream)
@cython.locals(left=Py_ssize_t)
cpdef shutdown_timed_out(TlsStream stream)
cdef force_carrier(TlsStream stream, object error)
cdef give_up(TlsStream stream, object error)
