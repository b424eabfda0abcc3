cimport cython
from quiesce.core cimport native
from quiesce.net cimport native as calls
from quiesce.net.accepted_socket cimport AcceptedSocket
from quiesce.net.flow_control cimport FlowControl
from quiesce.net.owned_socket cimport OwnedSocket
from quiesce.net.write_buffer cimport WriteBuffer

cdef int READABLE
cdef int WRITABLE
cdef int HALF_CLOSED
cdef int URGENT
cdef int FAILED
cdef int FAIR_SHARE
cdef Py_ssize_t SMALL
cdef Py_ssize_t COLLECTED
cdef Py_ssize_t MUCH
cdef Py_ssize_t LARGE
cdef tuple ANY_SIZE


cdef class SocketStream(OwnedSocket):
    cdef object _data_received
    cdef object _get_buffer
    cdef object _buffer_updated
    cdef WriteBuffer _buffer
    cdef FlowControl _flow
    cdef bint _is_buffered
    cdef bint _hung_up
    cdef Py_ssize_t _expects
    cdef bint _paused
    cdef bint _collecting
    cdef bint _delivering
    cdef bint _eof_received
    cdef bint _eof_written
    cdef bint _sending_file
    cdef object _room

    cpdef close(self)
    cpdef force_close(self, object error)
    cdef lose(self, object error)
    cpdef finish(self, object error)
    cpdef on_loop_close(self)
    cdef fatal(self, object error, str message)
    cdef give_up_if(self, object error, str message)
    cpdef set_protocol(self, object protocol)

    cpdef on_ready(self, int events)
    cdef int wanted_events(self) except -1
    cdef bint wants_room(self) noexcept

    cdef bint may_receive(self) noexcept
    @cython.locals(share=int, ended=bint)
    cpdef receive(self)
    @cython.locals(count=Py_ssize_t, room=Py_ssize_t)
    cdef receive_bytes(self)
    @cython.locals(count=Py_ssize_t)
    cdef receive_buffered(self)
    cdef ask_for_buffer(self)
    cdef int note_received(self, Py_ssize_t count, Py_ssize_t room) noexcept
    cdef end_of_stream(self)
    cpdef bint is_reading(self) noexcept
    cpdef pause_reading(self)
    cpdef resume_reading(self)

    cpdef write(self, object data)
    cdef bint may_collect(self) noexcept
    cdef collect(self, object data)
    cpdef on_iteration_end(self)
    cdef send_collected(self)
    @cython.locals(sent=Py_ssize_t)
    cdef send_now(self, object data)
    cdef queue(self, object data, Py_ssize_t sent)
    @cython.locals(share=int, sent=Py_ssize_t, buffer=WriteBuffer)
    cpdef flush(self)
    cdef sent_some(self)
    cdef sent_all(self)
    cpdef writelines(self, object list_of_data)
    cpdef write_eof(self)
    cdef shut_down_writing(self)

    cpdef begin_file(self)
    cpdef end_file(self)
    cpdef room(self)
    cdef give_room(self)
    cdef lose_room(self, object error)

    cpdef bint is_writing_paused(self) noexcept
    cpdef Py_ssize_t get_write_buffer_size(self) noexcept
    cpdef get_write_buffer_limits(self)
    cpdef set_write_buffer_limits(self, object high, object low)
    cdef pause_if_full(self)
