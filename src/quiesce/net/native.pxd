cdef extern from "native_socket.h":
    """
    #define quiesce_net_accept(sock, fd) quiesce_accept(fd)
    #define quiesce_net_receive(sock, fd, expected) quiesce_receive_or_error(fd, expected)
    #define quiesce_net_receive_at_most(sock, fd, size) quiesce_receive_at_most(fd, size)
    #define quiesce_net_receive_into(sock, fd, buffer) quiesce_receive_into(fd, buffer)
    #define quiesce_net_send(sock, fd, data) quiesce_send(fd, data)
    #define quiesce_net_send_from(sock, fd, data, offset) quiesce_send_from(fd, data, offset)
    #define quiesce_net_send_chunks(sock, fd, chunks, first, offset) \\
        quiesce_send_chunks(fd, chunks, first, offset)
    """
    const Py_ssize_t RECEIVE_SIZE "QUIESCE_RECEIVE_SIZE"
    const Py_ssize_t WOULD_BLOCK "QUIESCE_WOULD_BLOCK"
    object own_address "quiesce_own_address"(int fd)
    int close "close"(int fd) noexcept
    object accept "quiesce_net_accept"(object sock, int fd)
    object receive "quiesce_net_receive"(object sock, int fd, Py_ssize_t expected)
    object receive_at_most "quiesce_net_receive_at_most"(object sock, int fd, Py_ssize_t size)
    Py_ssize_t receive_into "quiesce_net_receive_into"(object sock, int fd, object buffer) except -2
    bytes as_bytes "quiesce_as_bytes"(object data)
    Py_ssize_t size_of "quiesce_size_of"(object data) except -2
    Py_ssize_t send "quiesce_net_send"(object sock, int fd, object data) except -2
    Py_ssize_t send_from "quiesce_net_send_from"(object sock, int fd, object data, Py_ssize_t offset) except -2
    Py_ssize_t send_chunks "quiesce_net_send_chunks"(object sock, int fd, list chunks, Py_ssize_t first, Py_ssize_t offset) except -2
    int tell_in "quiesce_tell_in"(object context, object callback, object argument) except -1
    object deliver_in "quiesce_deliver_in"(object context, object callback, object argument)
    object ask_in "quiesce_ask_in"(object context, object callback, tuple args)


cdef extern from "native_datagram.h":
    object receive_from "quiesce_receive_from"(object sock, int fd, int family)
    Py_ssize_t send_to "quiesce_send_to"(object sock, int fd, int family, object data, object address) except -2
    Py_ssize_t send_messages "quiesce_send_messages"(object sock, int fd, int family, list messages, bint is_connected) except -2
