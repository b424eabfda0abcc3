cimport cython


cdef class TlsStream


from quiesce.core cimport native
from quiesce.net cimport native as calls
from quiesce.net.flow_control cimport FlowControl
from quiesce.net.stream cimport SocketStream
from quiesce.tls cimport closing, handshake, states
from quiesce.tls.engine cimport TlsEngine

cdef Py_ssize_t HIGH_WATER
cdef Py_ssize_t CARRIER_HIGH
cdef Py_ssize_t CARRIER_LOW
cdef Py_ssize_t HELD
cdef Py_ssize_t FORGIVEN_WRITES


@cython.final
cdef class TlsStream:
    cdef object _loop
    cdef TlsEngine _engine
    cdef FlowControl _flow
    cdef object _transport
    cdef object _protocol
    cdef object _waiter
    cdef object _handshake_timeout
    cdef object _shutdown_timeout
    cdef object _context
    cdef object _carrier
    cdef SocketStream _socket
    cdef object _timer
    cdef object _error
    cdef object _data_received
    cdef object _get_buffer
    cdef object _buffer_updated
    cdef double _started_at
    cdef Py_ssize_t _sent_before
    cdef Py_ssize_t _lost_writes
    cdef int _state
    cdef bint _is_buffered
    cdef bint _is_told
    cdef bint _is_secure
    cdef bint _telling
    cdef bint _paused
    cdef bint _may_not_send
    cdef object __weakref__

    cpdef set_protocol(self, object protocol)
    cpdef get_protocol(self)
    cpdef get_carrier(self)
    cpdef get_transport(self)
    cpdef ssl_object(self)
    cpdef bint is_closing(self) noexcept
    cpdef bint is_unclosed(self) noexcept

    cpdef connection_made(self, object carrier)
    cpdef receive_early(self, object data)

    cpdef get_buffer(self, object sizehint)
    cpdef buffer_updated(self, Py_ssize_t count)
    cpdef data_received(self, object data)
    cpdef bint eof_received(self) except -1
    cdef deliver(self)
    cdef bint deliver_some(self) except -1
    @cython.locals(count=Py_ssize_t)
    cdef bint deliver_buffered(self) except -1
    cdef bint tell(self, object callback, object argument, str message) except -1
    cdef ask_for_buffer(self)
    cdef end_of_stream(self)
    cdef ask(self, object callback, tuple args)
    cpdef bint is_reading(self) noexcept
    cpdef pause_reading(self)
    cpdef resume_reading(self)
    cpdef resume_delivery(self)

    cpdef write(self, object data)
    cpdef writelines(self, object list_of_data)
    cdef flush(self)
    cdef send_records(self)
    cdef carry(self, object records)
    cdef warn_of_lost_write(self)

    cpdef close(self)
    cpdef force_close(self, object error)
    cdef fatal(self, object error, str message)
    cpdef connection_lost(self, object error)
    cpdef finish(self, object error)
    cpdef bint leave_unanswered(self) except -1

    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cpdef bint is_writing_paused(self) noexcept
    cpdef Py_ssize_t get_write_buffer_size(self) except -1
    cpdef get_write_buffer_limits(self)
    cpdef set_write_buffer_limits(self, object high, object low)
    cdef limit_carrier(self)
    cdef pause_if_full(self)
    cpdef report(self, object error, str message)
