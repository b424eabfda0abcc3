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


cdef extern from "native_last_resort.h":
    """
    """
    int free_signal "quiesce_free_signal"() noexcept
    void take_signal "quiesce_take_signal"(int signum) noexcept
    void give_signal_back "quiesce_give_signal_back"(int signum) noexcept
    bint prepare_end "quiesce_prepare_end"(int signum, double same, double seconds_at_once) noexcept
    void start_at "quiesce_start_at"(int signum, double seconds) noexcept
    void end_in "quiesce_end_in"(double seconds, int status) noexcept
    void do_not_end "quiesce_do_not_end"() noexcept
    void forget_end "quiesce_forget_end"() noexcept
    void note_child "quiesce_note_child"(int pid) noexcept
    void forget_child "quiesce_forget_child"(int pid) noexcept
