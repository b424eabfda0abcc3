cdef extern from "native_epoll.h":
    """
    """
    const int ADD "EPOLL_CTL_ADD"
    const int DELETE "EPOLL_CTL_DEL"
    const int MODIFY "EPOLL_CTL_MOD"
    int open_epoll "quiesce_open_epoll"() except -1
    int close_epoll "close"(int epoll) noexcept
    int control "quiesce_control"(int epoll, int operation, int fd, int events, bint edge) noexcept
    object new_batch "quiesce_new_batch"()
    int wait "quiesce_wait"(int epoll, object batch, double timeout) except -1
    int ready_fd "quiesce_ready_fd"(object batch, Py_ssize_t index) noexcept
    int ready_events "quiesce_ready_events"(object batch, Py_ssize_t index) noexcept
