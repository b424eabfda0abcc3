cimport cython
from quiesce.core.handle cimport Handle
from quiesce.core.poller cimport Poller, Watcher
from quiesce.core.ready cimport ReadyQueue

cdef int READABLE
cdef int WRITABLE
cdef int FAILED


cdef class FdWatcher(Watcher):
    cdef int _fd
    cdef Poller _poller
    cdef ReadyQueue _ready
    cdef readonly Handle reader
    cdef readonly Handle writer
    @cython.locals(reader=Handle, writer=Handle)
    cpdef on_ready(self, int events)
    cdef int replace(self, Handle reader, Handle writer) except -1


@cython.final
cdef class FdCallbacks:
    cdef Poller _poller
    cdef ReadyQueue _ready
    @cython.locals(watcher=FdWatcher, replaced=Handle)
    cpdef add_reader(self, object fileobj, Handle handle)
    @cython.locals(watcher=FdWatcher, replaced=Handle)
    cpdef add_writer(self, object fileobj, Handle handle)
    @cython.locals(watcher=FdWatcher, removed=Handle)
    cpdef bint remove_reader(self, object fileobj) except -1
    @cython.locals(watcher=FdWatcher, removed=Handle)
    cpdef bint remove_writer(self, object fileobj) except -1
    @cython.locals(fd=int)
    cdef FdWatcher _watcher_for(self, object fileobj)


cpdef int descriptor(object fileobj) except -1
