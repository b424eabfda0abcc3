cdef extern from "native_frames.h":
    object calling_code "quiesce_calling_code"(bint (*passes_on)(str) except -1)
    int calling_offset "quiesce_calling_offset"() noexcept
