cdef extern from "Python.h":
    """
    #define quiesce_tls_beginning(memory, count) \\
        PyBytes_FromStringAndSize(PyByteArray_AS_STRING(memory), count)
    """
    bytes beginning "quiesce_tls_beginning"(bytearray memory, Py_ssize_t count)
