cimport cython
from quiesce.core cimport native
from quiesce.core.future cimport Future
from quiesce.core.handle cimport Handle
from quiesce.core.poller cimport Poller, Watcher
from quiesce.core.ready cimport ReadyQueue

cdef int READABLE
cdef int WRITABLE
cdef int HALF_CLOSED
cdef int URGENT
cdef int FAILED
cdef int WORTH_A_TRY
cdef int BEHIND_WHICH_MORE_HIDES


cdef class FdWatcher(Watcher):
    cdef int _fd
    cdef int _asked
    cdef bint _edge
    cdef bint _knows_all
    cdef readonly bint may_read
    cdef Poller _poller
    cdef ReadyQueue _ready
    cdef object _file
    cdef Future _reading
    cdef Future _writing
    cdef readonly Handle reader
    cdef readonly Handle writer
    cpdef object owner(self)
    cpdef on_ready(self, int events)
    @cython.locals(reader=Handle, writer=Handle)
    cdef int queue_callbacks(self, int events) except -1
    cdef int replace(self, Handle reader, Handle writer) except -1
    @cython.locals(events=int)
    cdef int ask_for_states(self, bint read, bint write) except -1
    cdef bint is_of(self, object file) except -1
    cdef int belong_to(self, object file, bint is_tcp) except -1
    cdef int forget_closed(self) except -1
    @cython.locals(reading=Future, writing=Future)
    cdef int wake_all(self) except -1
    cdef int wait_to_read(self, Future future) except -1
    cdef int wait_to_write(self, Future future) except -1
    @cython.locals(has_callbacks=bint)
    cdef int ask_for_calls(self) except -1
    @cython.locals(events=int)
    cdef int ask_for_changes(self) except -1
    cdef int leave(self) except -1
    cdef int note_received(self, Py_ssize_t count, Py_ssize_t room) noexcept


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
    @cython.locals(known=Watcher, watcher=FdWatcher)
    cdef FdWatcher known_watcher(self, object file, int fd)
    @cython.locals(watcher=FdWatcher)
    cdef FdWatcher watcher_to_wait(self, object file, int fd, bint is_tcp)
    @cython.locals(fd=int, known=Watcher, watcher=FdWatcher)
    cdef FdWatcher _watcher_for(self, object fileobj)


cdef bint is_pending(Future future) noexcept
cdef bint wait_behind(Future first, Future future) except -1
cdef int wake(Future future) except -1
cpdef int wake_after(Future future, object _before) except -1
cdef object weak(object file)
cpdef int descriptor(object fileobj) except -1
