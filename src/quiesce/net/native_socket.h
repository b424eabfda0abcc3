/* Socket calls without the price of Python objects; stand-ins in native.py. */
#ifndef QUIESCE_NATIVE_SOCKET_H
#define QUIESCE_NATIVE_SOCKET_H

#include <Python.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define QUIESCE_RECEIVE_SIZE (256 * 1024)
#define QUIESCE_SEND_CHUNKS 128
#define QUIESCE_WOULD_BLOCK (-1)
#define QUIESCE_ERROR (-2)

/* What a failed call means: WOULD_BLOCK, or an error that is then set as OSError. */
static Py_ssize_t quiesce_call_failed(void) {
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return QUIESCE_WOULD_BLOCK;
    PyErr_SetFromErrno(PyExc_OSError);
    return QUIESCE_ERROR;
}

static Py_ssize_t quiesce_receive_at(int fd, void *memory, size_t size) {
    ssize_t count;
    /* The system would have us wait for nothing; Python's sockets do not. */
    if (size == 0)
        return 0;
    do
        count = recv(fd, memory, size, MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    return count < 0 ? quiesce_call_failed() : count;
}

/* NULL with an error set, or None where the call would have to wait. */
static PyObject *quiesce_nothing_received(Py_ssize_t outcome) {
    if (outcome == QUIESCE_ERROR)
        return NULL;
    Py_RETURN_NONE;
}

/* inet_ntop would print it piece by piece with a format. */
static PyObject *quiesce_ipv4_host(const struct in_addr *address) {
    const unsigned char *bytes = (const unsigned char *)&address->s_addr;
    char text[INET_ADDRSTRLEN], *end = text;
    for (int i = 0; i < 4; i++) {
        if (bytes[i] >= 100)
            *end++ = (char)('0' + bytes[i] / 100);
        if (bytes[i] >= 10)
            *end++ = (char)('0' + bytes[i] / 10 % 10);
        *end++ = (char)('0' + bytes[i] % 10);
        *end++ = '.';
    }
    return PyUnicode_FromStringAndSize(text, end - 1 - text);
}

/* As Python's sockets give it; None for what has to be asked for. */
static PyObject *quiesce_address(const struct sockaddr_storage *address, socklen_t size) {
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return Py_BuildValue(
            "(Ni)", quiesce_ipv4_host(&in->sin_addr), (int)ntohs(in->sin_port));
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        return Py_BuildValue("(siII)", host, (int)ntohs(in->sin6_port),
                             (unsigned)ntohl(in->sin6_flowinfo), (unsigned)in->sin6_scope_id);
    }
    if (address->ss_family == AF_UNIX && size <= sizeof(sa_family_t))
        return PyUnicode_FromStringAndSize(NULL, 0);
    Py_RETURN_NONE;
}

static PyObject *quiesce_own_address(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return quiesce_address(&address, size);
}

static PyObject *quiesce_accept(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    PyObject *accepted, *peer;
    int connection;
    memset(&address, 0, sizeof address);
    do
        connection =
            accept4(fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (connection < 0 && errno == EINTR);
    if (connection < 0)
        return quiesce_nothing_received(quiesce_call_failed());
    peer = quiesce_address(&address, size);
    accepted = peer == NULL ? NULL : Py_BuildValue("(iN)", connection, peer);
    if (accepted == NULL)
        close(connection);
    return accepted;
}

/* The exception that is set, as a value: a `try` in compiled code saves and restores what
   Python handles, each time. Those that end the run stay set. */
static PyObject *quiesce_error_as_value(void) {
    PyObject *error;
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
        || PyErr_ExceptionMatches(PyExc_SystemExit))
        return NULL;
#if PY_VERSION_HEX >= 0x030C0000
    error = PyErr_GetRaisedException();
#else
    PyObject *type, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(error, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
#endif
    return error;
}

/* Small reads are copied out of one buffer that serves the process: it is filled and read
   with the GIL held. */
static PyObject *quiesce_receive_small(int fd, size_t size) {
    static char shared[QUIESCE_RECEIVE_SIZE];
    Py_ssize_t count = quiesce_receive_at(fd, shared, size);
    if (count < 0)
        return quiesce_nothing_received(count);
    return PyBytes_FromStringAndSize(shared, count);
}

/* A large one would be copied for long, so it goes straight into the bytes object, which is
   cut to size. */
static PyObject *quiesce_receive_large(int fd, Py_ssize_t size) {
    Py_ssize_t count;
    PyObject *data = PyBytes_FromStringAndSize(NULL, size);
    if (data == NULL)
        return NULL;
    count = quiesce_receive_at(fd, PyBytes_AS_STRING(data), (size_t)size);
    if (count < 0) {
        Py_DECREF(data);
        return quiesce_nothing_received(count);
    }
    _PyBytes_Resize(&data, count);
    return data;
}

static PyObject *quiesce_receive(int fd, Py_ssize_t expected) {
    return expected ? quiesce_receive_large(fd, expected)
                    : quiesce_receive_small(fd, QUIESCE_RECEIVE_SIZE);
}

static PyObject *quiesce_receive_or_error(int fd, Py_ssize_t expected) {
    PyObject *data = quiesce_receive(fd, expected);
    return data == NULL ? quiesce_error_as_value() : data;
}

static PyObject *quiesce_receive_at_most(int fd, Py_ssize_t size) {
    return size > QUIESCE_RECEIVE_SIZE ? quiesce_receive_large(fd, size)
                                       : quiesce_receive_small(fd, (size_t)size);
}

static Py_ssize_t quiesce_receive_into(int fd, PyObject *buffer) {
    Py_buffer view;
    Py_ssize_t count;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0)
        return QUIESCE_ERROR;
    count = quiesce_receive_at(fd, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return count;
}

/* A copy of memory that its owner may change. */
static inline PyObject *quiesce_as_bytes(PyObject *data) {
    return PyBytes_CheckExact(data) ? Py_NewRef(data) : PyBytes_FromObject(data);
}

/* Bytes in a bytes, bytearray or memoryview object. */
static inline Py_ssize_t quiesce_size_of(PyObject *data) {
    if (PyBytes_Check(data))
        return PyBytes_GET_SIZE(data);
    if (PyMemoryView_Check(data))
        return PyMemoryView_GET_BUFFER(data)->len;
    return PyObject_Size(data);
}

static Py_ssize_t quiesce_send_from(int fd, PyObject *data, Py_ssize_t offset) {
    Py_buffer view;
    ssize_t count;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return QUIESCE_ERROR;
    do
        count = send(fd, (char *)view.buf + offset, (size_t)(view.len - offset),
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    count = count < 0 ? quiesce_call_failed() : count;
    PyBuffer_Release(&view);
    return count;
}

static Py_ssize_t quiesce_send(int fd, PyObject *data) {
    return quiesce_send_from(fd, data, 0);
}

/* `chunks` is a list of bytes objects; the caller keeps it unchanged meanwhile. */
static Py_ssize_t quiesce_send_chunks(int fd, PyObject *chunks, Py_ssize_t first,
                                      Py_ssize_t offset) {
    struct iovec parts[QUIESCE_SEND_CHUNKS];
    struct msghdr message;
    ssize_t count;
    Py_ssize_t waiting = PyList_GET_SIZE(chunks) - first;
    Py_ssize_t used = waiting < QUIESCE_SEND_CHUNKS ? waiting : QUIESCE_SEND_CHUNKS;
    for (Py_ssize_t i = 0; i < used; i++) {
        PyObject *chunk = PyList_GET_ITEM(chunks, first + i);
        Py_ssize_t skipped = i == 0 ? offset : 0;
        parts[i].iov_base = PyBytes_AS_STRING(chunk) + skipped;
        parts[i].iov_len = (size_t)(PyBytes_GET_SIZE(chunk) - skipped);
    }
    memset(&message, 0, sizeof message);
    message.msg_iov = parts;
    message.msg_iovlen = (size_t)used;
    do
        count = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count < 0 ? quiesce_call_failed() : count;
}

/* Leave the context that a call was made in; an error, once set, passes through. */
static PyObject *quiesce_leave_after(PyObject *context, PyObject *value) {
    if (PyContext_Exit(context) < 0)
        Py_CLEAR(value);
    return value;
}

static int quiesce_tell_in(PyObject *context, PyObject *callback, PyObject *argument) {
    PyObject *value;
    if (PyContext_Enter(context) < 0)
        return -1;
    value = quiesce_leave_after(context, PyObject_CallOneArg(callback, argument));
    Py_XDECREF(value);
    return value == NULL ? -1 : 0;
}

/* A bound method's function is called with what it is bound to. */
static inline PyObject *quiesce_tell(PyObject *callback, PyObject *argument) {
    PyObject *args[2];
    if (!PyMethod_Check(callback))
        return PyObject_CallOneArg(callback, argument);
    args[0] = PyMethod_GET_SELF(callback);
    args[1] = argument;
    return PyObject_Vectorcall(PyMethod_GET_FUNCTION(callback), args, 2, NULL);
}

/* None, or what the callback raised. */
static PyObject *quiesce_deliver_in(PyObject *context, PyObject *callback, PyObject *argument) {
    PyObject *value;
    if (PyContext_Enter(context) < 0)
        return quiesce_error_as_value();
    value = quiesce_leave_after(context, quiesce_tell(callback, argument));
    if (value == NULL)
        return quiesce_error_as_value();
    Py_DECREF(value);
    Py_RETURN_NONE;
}

static PyObject *quiesce_ask_in(PyObject *context, PyObject *callback, PyObject *args) {
    PyObject *value;
    if (PyContext_Enter(context) < 0)
        return NULL;
    value = PyObject_Vectorcall(
        callback, ((PyTupleObject *)args)->ob_item, PyTuple_GET_SIZE(args), NULL);
    return quiesce_leave_after(context, value);
}

#endif
