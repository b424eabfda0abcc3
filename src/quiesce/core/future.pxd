cimport cython


cdef class Future


from quiesce.core cimport awaiting, cancel_request, native
from quiesce.core.cancel_request cimport CancelRequest
from quiesce.core.handle cimport Handle, make_handle, only_counts, tell
from quiesce.core.ready cimport ReadyQueue


cdef object CancelledError
cdef object InvalidStateError
cdef object STATE_NAMES
cdef object TELL
cdef object WOKEN_STEP


cdef class Future:
    cdef readonly object _loop
    cdef ReadyQueue _ready
    cdef readonly object _result
    cdef readonly object _exception
    cdef object _exception_tb
    cdef object _message
    cdef public object _source_traceback
    cdef object _cancelled_exc
    cdef readonly CancelRequest _cancel_request
    cdef object _first_callback
    cdef object _first_context
    cdef list _more_callbacks
    cdef native.PyObject *_attributes
    cdef int _status
    cdef bint _blocking
    cdef bint _unretrieved
    cdef bint _shielded
    cdef object __weakref__

    cdef int attach(self, object loop) except -1
    cdef int wait_for_it(self, object waiter, object context) except -1
    @cython.final
    cdef bint tell_when_done(self, Handle handle) except -1
    @cython.final
    cdef int schedule_callbacks(self) except -1
    @cython.final
    cdef int schedule(self, object callback, object context) except -1
    cdef int finish(self, object result) except -1
    @cython.locals(cause=object)
    cdef int fail(self, object exception) except -1
    cdef bint has_parts(self) noexcept
    cdef bint hand_out_parts(self, list rest) except -1
    @cython.final
    cdef bint has_taker(self) except -1
    @cython.final
    cdef bint is_only_counted(self) except -1
    cdef bint mark_cancelled(self, object msg) except -1
    cdef object failure(self)
    cdef object cancelled_error(self)
    @cython.final
    cdef int give_up_waiting(self, object task) except -1
    @cython.final
    cdef list callback_pairs(self)


cpdef int note_unretrieved(object future) except -1
cdef bint is_context(object context) noexcept
@cython.locals(future=Future)
cdef bint has_last_words(object thing) noexcept
cdef int allow_attributes(Future example) except -1
@cython.locals(future=Future)
cpdef Future new_future(object loop, ReadyQueue ready)
