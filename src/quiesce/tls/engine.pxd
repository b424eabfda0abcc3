cimport cython
from quiesce.net.write_buffer cimport WriteBuffer
from quiesce.tls cimport native

cdef Py_ssize_t PIECE


@cython.final
cdef class TlsEngine:
    cdef readonly object ssl_object
    cdef readonly object room_view
    cdef object _incoming
    cdef object _outgoing
    cdef object _read
    cdef object _encrypt
    cdef object _pending
    cdef object _feed
    cdef object _take
    cdef bytearray _room
    cdef tuple _whole_room
    cdef WriteBuffer _queue
    cdef Py_ssize_t _encrypted
    cdef object _failure
    cdef bint _overflows
    cdef bint _open
    cdef bint _eof
    cdef bint _ended
    cdef bint _failed
    cdef bint _closing
    cdef bint _notified

    cpdef receive(self, object data)
    cpdef receive_eof(self)
    cpdef bint handshake(self) except -1
    cpdef bint has_input(self) except -1
    @cython.locals(count=Py_ssize_t)
    cpdef read(self)
    @cython.locals(count=Py_ssize_t)
    cpdef Py_ssize_t read_into(self, object buffer) except -2
    @cython.locals(size=Py_ssize_t, more=Py_ssize_t)
    cdef Py_ssize_t _fill_up(self, object view, Py_ssize_t count) except -2
    @cython.locals(count=Py_ssize_t)
    cdef Py_ssize_t _fill(self, tuple args) except -2
    cdef Py_ssize_t _nothing_more(self) noexcept
    cpdef discard(self)

    @cython.locals(size=Py_ssize_t)
    cpdef write(self, object data)
    cpdef queue(self, object data)
    cpdef Py_ssize_t waiting(self) noexcept
    cpdef Py_ssize_t encrypted(self) noexcept
    cpdef bint has_output(self) except -1
    cpdef take(self)
    cdef _encrypt_queued(self)
    @cython.locals(queue=WriteBuffer, place=Py_ssize_t, size=Py_ssize_t)
    cdef _first_piece(self)

    cpdef close(self)
    cdef _notify(self)
    cpdef bytes alert(self)
    cpdef bint is_over(self) except -1
    cpdef drop(self)
