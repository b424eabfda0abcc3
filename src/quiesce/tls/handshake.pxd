from quiesce.tls cimport states
from quiesce.tls.stream cimport TlsStream


cdef begin(TlsStream stream, object carrier)
cdef shake_hands(TlsStream stream)
cdef succeed(TlsStream stream)
cdef fail(TlsStream stream, object error)
cpdef give_up_waiting(TlsStream stream)
cdef wake_waiter(TlsStream stream, object error)
cdef stop_timer(TlsStream stream)
