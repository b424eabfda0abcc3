cimport cython
from quiesce.core cimport native, places

cdef object current_task, running_loop, current_frame
cdef dict shared
cdef int SOMEBODY, TASK, TASK_GROUP, TIMEOUT, WAIT_FOR, CALLBACK, OUTSIDE


@cython.final
cdef class CancelRequest:
    cdef int kind
    cdef int offset
    cdef object asker
    cdef object code
    cdef readonly double at
    cdef readonly object why


cdef class CancelNotes(list):
    cpdef list texts(self)


@cython.final
cdef class requesting:
    cdef object request
    cdef object before


@cython.locals(request=CancelRequest)
cdef CancelRequest request_from_here(object loop, object why)
@cython.locals(request=CancelRequest)
cpdef CancelRequest request_of_timeout(double seconds, bint for_wait_for)
cdef int find_place(CancelRequest request, object loop) except -1
cdef bint runs_loop(object loop, object frame) except -1
cdef int note_task_group(CancelRequest request, object frame, str function) except -1
@cython.locals(notes=CancelNotes)
cdef int note_on(object error, CancelRequest request) except -1
cdef int note_once(object error, CancelRequest request) except -1
cdef bint has_no_other_note(object error) except -1
