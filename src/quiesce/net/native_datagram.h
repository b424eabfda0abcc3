/* Datagrams, and their addresses as the socket module gives them; stand-ins in
   native.py. */
#ifndef QUIESCE_NATIVE_DATAGRAM_H
#define QUIESCE_NATIVE_DATAGRAM_H

#include "native_socket.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

#define QUIESCE_KNOWN_ADDRESSES 1024
#define QUIESCE_SEND_MESSAGES 64

union quiesce_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* An internet address in both forms. The tuple stays alive here, so another one cannot be
   at its place in memory: that it is the same object says that it is the same address. */
struct quiesce_known_address {
    PyObject *tuple;
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
};

/* Those that sent something lately, each at a place that follows from its port and host;
   and which place that is, by where the tuple is in memory. */
static struct quiesce_known_address quiesce_known_addresses[QUIESCE_KNOWN_ADDRESSES];
static unsigned short quiesce_known_tuples[QUIESCE_KNOWN_ADDRESSES];

static unsigned short *quiesce_place_of_tuple(PyObject *tuple) {
    return &quiesce_known_tuples[((uintptr_t)tuple >> 4) % QUIESCE_KNOWN_ADDRESSES];
}

static struct quiesce_known_address *
quiesce_place_of(const union quiesce_address *address) {
    uint32_t port, host;
    if (address->any.sa_family == AF_INET) {
        port = address->in.sin_port;
        host = address->in.sin_addr.s_addr;
    } else {
        port = address->in6.sin6_port;
        memcpy(&host, &address->in6.sin6_addr.s6_addr[12], sizeof host);
    }
    /* The system deals out ports in steps: multiplied, they spread over the upper bits. */
    return &quiesce_known_addresses[((port ^ host) * 0x9e3779b1u >> 16)
                                    % QUIESCE_KNOWN_ADDRESSES];
}

static PyObject *quiesce_internet_tuple(const union quiesce_address *address) {
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof host);
        return Py_BuildValue("(si)", host, (int)ntohs(address->in.sin_port));
    }
    inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof host);
    return Py_BuildValue("(siII)", host, (int)ntohs(address->in6.sin6_port),
                         (unsigned int)ntohl(address->in6.sin6_flowinfo),
                         (unsigned int)address->in6.sin6_scope_id);
}

static PyObject *quiesce_internet_origin(const union quiesce_address *address,
                                         socklen_t length) {
    struct quiesce_known_address *known = quiesce_place_of(address);
    if (known->tuple == NULL || known->length != length
        || memcmp(&known->address, address, length) != 0) {
        PyObject *tuple = quiesce_internet_tuple(address), *replaced;
        if (tuple == NULL)
            return NULL;
        replaced = known->tuple;
        known->tuple = tuple;
        known->length = length;
        memcpy(&known->address, address, length);
        *quiesce_place_of_tuple(tuple) =
            (unsigned short)(known - quiesce_known_addresses);
        Py_XDECREF(replaced);
    }
    return Py_NewRef(known->tuple);
}

/* A path, or bytes for an abstract name; None from a socket without a name. */
static PyObject *quiesce_unix_origin(const union quiesce_address *address,
                                     socklen_t length) {
    const char *path = address->un.sun_path;
    size_t start = offsetof(struct sockaddr_un, sun_path), size;
    if (length == 0)
        Py_RETURN_NONE;
    size = length > start ? length - start : 0;
    if (size > sizeof address->un.sun_path)
        size = sizeof address->un.sun_path;
    if (size > 0 && path[0] == 0)
        return PyBytes_FromStringAndSize(path, (Py_ssize_t)size);
    return PyUnicode_DecodeFSDefaultAndSize(path, (Py_ssize_t)strnlen(path, size));
}

static PyObject *quiesce_origin(const union quiesce_address *address,
                                socklen_t length) {
    if (length == sizeof address->in && address->any.sa_family == AF_INET)
        return quiesce_internet_origin(address, length);
    if (length == sizeof address->in6 && address->any.sa_family == AF_INET6)
        return quiesce_internet_origin(address, length);
    return quiesce_unix_origin(address, length);
}

/* What the socket module does better: None where the call would have to wait. */
static PyObject *quiesce_ask_socket(PyObject *message) {
    if (message == NULL && PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return message;
}

static PyObject *quiesce_receive_from(PyObject *sock, int fd, int family) {
    /* Filled and read with the GIL held, as in quiesce_receive. */
    static char shared[QUIESCE_RECEIVE_SIZE];
    union quiesce_address address;
    socklen_t length = sizeof address;
    PyObject *message, *data, *origin;
    ssize_t count;
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return quiesce_ask_socket(
            PyObject_CallMethod(sock, "recvfrom", "i", QUIESCE_RECEIVE_SIZE));
    do
        count = recvfrom(fd, shared, sizeof shared, MSG_DONTWAIT, &address.any, &length);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return quiesce_nothing_received(quiesce_call_failed());
    message = PyTuple_New(2);
    if (message == NULL)
        return NULL;
    data = PyBytes_FromStringAndSize(shared, count);
    origin = data == NULL ? NULL : quiesce_origin(&address, length);
    PyTuple_SET_ITEM(message, 0, data);
    PyTuple_SET_ITEM(message, 1, origin);
    if (origin == NULL)
        Py_CLEAR(message);
    return message;
}

/* A number of an address; -1 if it is none, or not of this size. */
static long long quiesce_number(PyObject *number, long long largest) {
    long long value;
    int overflow = 0;
    if (!PyLong_CheckExact(number))
        return -1;
    value = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow || value < 0 || value > largest ? -1 : value;
}

/* A host in figures, into an in_addr or an in6_addr; 0 if it is something else. */
static int quiesce_read_host(int family, PyObject *host, void *where) {
    const char *text;
    Py_ssize_t size;
    if (!PyUnicode_CheckExact(host))
        return 0;
    text = PyUnicode_AsUTF8AndSize(host, &size);
    if (text == NULL) {
        PyErr_Clear();
        return 0;
    }
    return strlen(text) == (size_t)size && inet_pton(family, text, where) == 1;
}

/* The length of what was written to `address`; 0 for what is no plain internet address. */
static socklen_t quiesce_read_address(int family, PyObject *tuple,
                                      union quiesce_address *address) {
    long long port, flow = 0, scope = 0;
    Py_ssize_t size = PyTuple_CheckExact(tuple) ? PyTuple_GET_SIZE(tuple) : 0;
    if (size < 2 || size > (family == AF_INET ? 2 : 4))
        return 0;
    memset(address, 0, sizeof *address);
    address->any.sa_family = (sa_family_t)family;
    port = quiesce_number(PyTuple_GET_ITEM(tuple, 1), 0xffff);
    if (family == AF_INET) {
        address->in.sin_port = htons((uint16_t)port);
        return port >= 0 && quiesce_read_host(family, PyTuple_GET_ITEM(tuple, 0),
                                              &address->in.sin_addr)
                   ? sizeof address->in
                   : 0;
    }
    if (size > 2)
        flow = quiesce_number(PyTuple_GET_ITEM(tuple, 2), 0xfffff);
    if (size > 3)
        scope = quiesce_number(PyTuple_GET_ITEM(tuple, 3), 0xffffffff);
    address->in6.sin6_port = htons((uint16_t)port);
    address->in6.sin6_flowinfo = htonl((uint32_t)flow);
    address->in6.sin6_scope_id = (uint32_t)scope;
    return port >= 0 && flow >= 0 && scope >= 0
                   && quiesce_read_host(family, PyTuple_GET_ITEM(tuple, 0),
                                        &address->in6.sin6_addr)
               ? sizeof address->in6
               : 0;
}

/* Names, paths and whatever is no address are for the socket module. */
static Py_ssize_t quiesce_ask_socket_to_send(PyObject *sock, PyObject *data,
                                             PyObject *address) {
    PyObject *sent = quiesce_ask_socket(
        PyObject_CallMethod(sock, "sendto", "OO", data, address));
    Py_ssize_t count = QUIESCE_WOULD_BLOCK;
    if (sent == NULL)
        return QUIESCE_ERROR;
    if (sent != Py_None)
        count = PyLong_AsSsize_t(sent);
    Py_DECREF(sent);
    return count;
}

/* Where to send, as the system wants it; NULL for what is not a plain internet address. */
static const struct sockaddr *quiesce_target(int family, PyObject *address,
                                             union quiesce_address *room,
                                             socklen_t *length) {
    struct quiesce_known_address *known =
        &quiesce_known_addresses[*quiesce_place_of_tuple(address)];
    if (known->tuple == address && known->address.any.sa_family == family) {
        *length = known->length;
        return &known->address.any;
    }
    if (family != AF_INET && family != AF_INET6)
        return NULL;
    *length = quiesce_read_address(family, address, room);
    return *length == 0 ? NULL : &room->any;
}

static Py_ssize_t quiesce_send_to(PyObject *sock, int fd, int family, PyObject *data,
                                  PyObject *address) {
    union quiesce_address room;
    const struct sockaddr *target;
    socklen_t length = 0;
    Py_buffer view;
    ssize_t count;
    target = quiesce_target(family, address, &room, &length);
    if (target == NULL)
        return quiesce_ask_socket_to_send(sock, data, address);
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return QUIESCE_ERROR;
    do
        count = sendto(fd, view.buf, (size_t)view.len, MSG_DONTWAIT | MSG_NOSIGNAL,
                       target, length);
    while (count < 0 && errno == EINTR);
    count = count < 0 ? quiesce_call_failed() : count;
    PyBuffer_Release(&view);
    return count;
}

/* `messages` is a list of (bytes, address); the caller keeps it unchanged meanwhile. */
static Py_ssize_t quiesce_send_messages(PyObject *sock, int fd, int family,
                                        PyObject *messages, int is_connected) {
    struct mmsghdr headers[QUIESCE_SEND_MESSAGES];
    struct iovec parts[QUIESCE_SEND_MESSAGES];
    union quiesce_address rooms[QUIESCE_SEND_MESSAGES];
    Py_ssize_t used = 0, waiting = PyList_GET_SIZE(messages);
    int count;
    for (; used < waiting && used < QUIESCE_SEND_MESSAGES; used++) {
        PyObject *message = PyList_GET_ITEM(messages, used);
        PyObject *data = PyTuple_GET_ITEM(message, 0);
        struct msghdr *header = &headers[used].msg_hdr;
        memset(header, 0, sizeof *header);
        if (!is_connected) {
            header->msg_name =
                (void *)quiesce_target(family, PyTuple_GET_ITEM(message, 1),
                                       &rooms[used], &header->msg_namelen);
            if (header->msg_name == NULL)
                break;
        }
        parts[used].iov_base = PyBytes_AS_STRING(data);
        parts[used].iov_len = (size_t)PyBytes_GET_SIZE(data);
        header->msg_iov = &parts[used];
        header->msg_iovlen = 1;
    }
    if (used == 0) {
        PyObject *first = Py_NewRef(PyList_GET_ITEM(messages, 0));
        Py_ssize_t sent = quiesce_ask_socket_to_send(
            sock, PyTuple_GET_ITEM(first, 0), PyTuple_GET_ITEM(first, 1));
        Py_DECREF(first);
        return sent < 0 ? sent : 1;
    }
    do
        count = sendmmsg(fd, headers, (unsigned)used, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count < 0 ? quiesce_call_failed() : count;
}

#endif
