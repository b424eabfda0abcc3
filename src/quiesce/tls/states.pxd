cdef int NEW
cdef int HANDSHAKE
cdef int OPEN
cdef int CLOSING
cdef int LOST
