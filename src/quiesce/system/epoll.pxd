cimport cython
from quiesce.core.poller cimport Poller, Watcher
from quiesce.system cimport native

cdef int READABLE


@cython.final
cdef class Registration:
    cdef Watcher watcher
    cdef unsigned long long serial


cdef class EpollPoller(Poller):
    cdef int _epoll
    cdef int _wakeup_fd
    cdef object _wakeup
    cdef list _registered
    cdef object _batch
    cdef unsigned long long _serial
    cdef unsigned long long _batch_serial
    cdef Py_ssize_t _next
    cdef Py_ssize_t _count
    cdef readonly bint sleeping
    cdef bint _woken
    cdef bint _closed
    @cython.locals(known=Registration, error=int)
    cpdef watch(self, int fd, int events, Watcher watcher, bint edge=*)
    cpdef unwatch(self, int fd)
    @cython.locals(known=Registration)
    cpdef Watcher watcher_of(self, int fd)
    @cython.locals(known=Registration)
    cpdef list watchers(self)
    cpdef int poll(self, double timeout) except -1
    @cython.locals(known=Registration, index=Py_ssize_t)
    cdef int _deliver(self) except -1
    cpdef Py_ssize_t told(self)
    cpdef wake(self)
    cpdef close(self)
    cdef Registration _find(self, int fd)
    @cython.locals(missing=Py_ssize_t)
    cdef int _make_room(self, int fd) except -1
