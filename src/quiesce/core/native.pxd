from cpython.object cimport PyObject


cdef extern from "native.h":
    const int COMPILED "1"
    const int OWN_FRAMES "0"
    enum:
        PENDING "0"
        CANCELLED "1"
        FINISHED "2"
    const long long TICKS_PER_100_US "QUIESCE_TICKS_PER_100_US"
    double now "quiesce_now"() noexcept
    long long ticks "quiesce_ticks"() noexcept
    object copy_context "PyContext_CopyCurrent"()
    object copy_of "PyContext_Copy"(object context)
    object send_in "quiesce_send_in"(object context, object coro)
    object throw_in "quiesce_throw_in"(object context, object coro, object error)
    bint has_yielded "quiesce_has_yielded"(object came) noexcept
    bint has_returned "quiesce_has_returned"(object came) noexcept
    object content "quiesce_content"(object came)
    int call_in "quiesce_call_in"(object context, object callback, tuple args) except -1
    int adopt_methods "quiesce_adopt_methods"(object subtype, object base, tuple names) except -1
    object call_none "quiesce_call_none"(object function)
    object call_one "quiesce_call_one"(object function, object argument)
    int stop_with "quiesce_stop_with"(object value) noexcept
    int append "quiesce_append"(list items, object item) except -1
    object take_last "quiesce_take_last"(list items)
    int rearrange "quiesce_rearrange"(list items, Py_ssize_t place, object item) noexcept
    int truncate "quiesce_truncate"(list items) except -1
    Py_hash_t identity_hash "quiesce_identity_hash"(object thing) noexcept
    Py_ssize_t references "Py_REFCNT"(object thing) noexcept
    Py_ssize_t size "Py_SIZE"(object items) noexcept
    int check_signals "PyErr_CheckSignals"() except -1
    int lazy_attributes "QUIESCE_LAZY_ATTRIBUTES"(object type, object owner, PyObject *field) except -1
    int give_defaults "quiesce_give_defaults"(object type, dict defaults) noexcept
    int inherit_attributes "quiesce_inherit_attributes"(object subtype, object base) except -1
    int await_itself "quiesce_await_itself"(object type, int (*waits)(object) except -1, object (*result)(object)) except -1
    int finalize_only_if "quiesce_finalize_only_if"(object type, bint (*speaks)(object) noexcept) except -1
    int keep_freed "quiesce_keep_freed"(object type) noexcept
    void release "Py_XDECREF"(PyObject *) noexcept
