/* The calls of epoll(7) without the price of Python objects; stand-ins in native.py. */
#ifndef QUIESCE_NATIVE_EPOLL_H
#define QUIESCE_NATIVE_EPOLL_H

#include <Python.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define QUIESCE_BATCH 256

static int quiesce_open_epoll(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    return epoll;
}

static inline int quiesce_control(int epoll, int operation, int fd, int events, int edge) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = (unsigned)events | (edge ? (unsigned)EPOLLET : 0);
    event.data.fd = fd;
    return epoll_ctl(epoll, operation, fd, &event) < 0 ? errno : 0;
}

/* A bytearray, so that the garbage collector frees it with the poller. */
static inline PyObject *quiesce_new_batch(void) {
    return PyByteArray_FromStringAndSize(NULL, QUIESCE_BATCH * sizeof(struct epoll_event));
}

static inline struct epoll_event *quiesce_events(PyObject *batch) {
    return (struct epoll_event *)PyByteArray_AS_STRING(batch);
}

/* Milliseconds, rounded up: to wake before the time that was asked for would only mean to
   sleep again. */
static inline int quiesce_milliseconds(double seconds) {
    double exact = ceil(seconds * 1e3);
    if (seconds < 0)
        return -1;
    return exact < INT_MAX ? (int)exact : INT_MAX;
}

static int quiesce_wait(int epoll, PyObject *batch, double timeout) {
    struct epoll_event *events = quiesce_events(batch);
    int count, error;
    if (timeout == 0) {
        count = epoll_wait(epoll, events, QUIESCE_BATCH, 0);
        error = errno;
    }
    else {
        int milliseconds = quiesce_milliseconds(timeout);
        Py_BEGIN_ALLOW_THREADS
        count = epoll_wait(epoll, events, QUIESCE_BATCH, milliseconds);
        error = errno;
        Py_END_ALLOW_THREADS
    }
    if (count >= 0)
        return count;
    if (error == EINTR)
        return PyErr_CheckSignals() < 0 ? -1 : 0;
    errno = error;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

static inline int quiesce_ready_fd(PyObject *batch, Py_ssize_t index) {
    return quiesce_events(batch)[index].data.fd;
}

static inline int quiesce_ready_events(PyObject *batch, Py_ssize_t index) {
    return (int)quiesce_events(batch)[index].events;
}

#endif
