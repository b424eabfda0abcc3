cimport cython
from quiesce.core cimport native
from quiesce.core.fd_callbacks cimport FdCallbacks, FdWatcher
from quiesce.core.future cimport Future, new_future
from quiesce.core.scheduler cimport Scheduler
from quiesce.net cimport native as calls

cdef object index
cdef object NOT_YET
cdef object PlainSocket
cdef int RECEIVE, RECEIVE_INTO, SEND_ALL, CALL_TO_READ, CALL_TO_WRITE, WAIT_TO_WRITE
cdef int NOT_BEGUN, WAITING, ENDED


@cython.final
cdef class SocketCall:
    cdef Scheduler loop
    cdef object sock
    cdef object argument
    cdef str name
    cdef FdWatcher watcher
    cdef Future future
    cdef Py_ssize_t size
    cdef Py_ssize_t done
    cdef int kind
    cdef int stage

    cpdef close(self)
    cdef int begin(self) except -1
    cdef int leave_to_methods(self) except -1
    cdef object attempt(self)
    @cython.locals(fd=int, watcher=FdWatcher, callbacks=FdCallbacks)
    cdef object receive(self)
    @cython.locals(fd=int, watcher=FdWatcher, callbacks=FdCallbacks, size=Py_ssize_t, count=Py_ssize_t)
    cdef object receive_into(self)
    @cython.locals(fd=int, sent=Py_ssize_t)
    cdef object send_all(self)
    @cython.locals(fd=int, watcher=FdWatcher, callbacks=FdCallbacks, future=Future)
    cdef object wait(self)
    cdef int check_woken(self) except -1


@cython.locals(call=SocketCall)
cdef object new_call(Scheduler loop, object sock, int kind, object argument, str name)
@cython.locals(call=SocketCall)
cdef bint has_last_words(object thing) noexcept
