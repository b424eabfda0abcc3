cdef class Watcher:
    cdef object __weakref__
    cpdef on_ready(self, int events)
    cpdef object owner(self)
    cpdef on_iteration_end(self)
    cpdef on_loop_close(self)


cdef class Poller:
    cdef object __weakref__
    cpdef watch(self, int fd, int events, Watcher watcher, bint edge=*)
    cpdef unwatch(self, int fd)
    cpdef Watcher watcher_of(self, int fd)
    cpdef list watchers(self)
    cpdef int poll(self, double timeout) except -1
    cpdef Py_ssize_t told(self)
    cpdef wake(self)
    cpdef close(self)
