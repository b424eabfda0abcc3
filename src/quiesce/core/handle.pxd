cimport cython
from quiesce.core cimport native


cdef class Handle:
    cdef readonly object _callback
    cdef readonly tuple _args
    cdef readonly object _context
    cdef readonly object _loop
    cdef public object _source_traceback
    cdef public object _repr
    cdef readonly bint _cancelled
    cdef object __weakref__
    cdef int told(self, object future) except -1
    cdef bint only_counts(self) noexcept
    cdef int run(self) except -1


cdef class ThreadSafeHandle(Handle):
    cdef object lock
    cdef int run(self) except -1


cpdef int tell(Handle handle, object future) except -1
cpdef bint only_counts(Handle handle) except -1
@cython.locals(handle=Handle)
cpdef Handle make_handle(object callback, tuple args, object loop, object context)
@cython.locals(handle=ThreadSafeHandle)
cpdef ThreadSafeHandle make_thread_safe_handle(object callback, tuple args, object loop, object context)
cpdef int begin_notice(Handle handle, object loop) except -1
cdef inline int begin_handle(Handle handle, object callback, tuple args, object loop, object context) except -1
