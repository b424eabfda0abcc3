cimport cython
from quiesce.core cimport native
from quiesce.net cimport native as calls
from quiesce.net.flow_control cimport FlowControl
from quiesce.net.owned_socket cimport OwnedSocket

cdef int READABLE
cdef int WRITABLE
cdef int FAILED
cdef int FAIR_SHARE
cdef long long PATIENCE
cdef Py_ssize_t HEADER_SIZE
cdef Py_ssize_t MUCH
cdef double RETRY_DELAY


cdef class DatagramSocket(OwnedSocket):
    cdef object _datagram_received
    cdef object _remote
    cdef FlowControl _flow
    cdef list _waiting
    cdef Py_ssize_t _size
    cdef int _family
    cdef bint _is_connected
    cdef bint _must_retry
    cdef bint _collecting

    cpdef close(self)
    cpdef abort(self, object error)
    cpdef finish(self, object error)
    cpdef set_protocol(self, object protocol)

    cdef fatal(self, object error, str message)
    cdef error_came(self, object error)
    cpdef tell_error(self, object error)

    cpdef on_ready(self, int events)
    @cython.locals(events=int)
    cdef int wanted_events(self) except -1

    @cython.locals(share=int, limit=cython.longlong)
    cdef receive(self)
    cdef receive_one(self)
    cdef receive_failed(self, object error)

    cpdef sendto(self, object data, object address)
    @cython.locals(sent=Py_ssize_t)
    cdef send_now(self, object data, object address)
    cdef Py_ssize_t send_one(self, object data, object address) except -2
    cdef collect(self, object data, object address)
    cdef send_collected(self)
    cdef queue(self, object data, object address)
    cdef refused(self)
    cpdef retry(self)
    cdef flush(self)
    @cython.locals(share=int)
    cdef send_waiting(self)
    @cython.locals(count=Py_ssize_t)
    cdef bint send_some(self) except -1
    @cython.locals(waiting=list)
    cdef forget(self, Py_ssize_t count)
    cdef sent_some(self)

    cpdef Py_ssize_t get_write_buffer_size(self) noexcept
    cpdef get_flow_control(self)
