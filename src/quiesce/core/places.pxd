from quiesce.core cimport native_frames

cdef dict passes_on


cdef bint only_passes_on(str file) except -1
cpdef object place_here()
cpdef object line_at(object code, int offset)
