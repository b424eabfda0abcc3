/* The end of the process without Python; stand-ins in native.py, use in last_resort.py.

   All of it is done in signal handlers, of the signals that ask for the end and of the timer
   that those start, so that it needs neither the GIL nor a thread. Only what may be called in
   a signal handler is called there (signal-safety(7)). */
#ifndef QUIESCE_NATIVE_LAST_RESORT_H
#define QUIESCE_NATIVE_LAST_RESORT_H

#include <Python.h>

#ifdef __linux__
#define QUIESCE_HAS_LAST_RESORT 1

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUIESCE_CHILDREN 1024
/* Seconds between two expiries while Python has not heard of the signal. A signal can come
   after Python's last look and before a system call that blocks; the next one interrupts it. */
#define QUIESCE_NUDGE 0.25
#define QUIESCE_SIGNALS 65

static struct {
    timer_t timer;
    /* The process that made the timer: a forked child has none. */
    pid_t owner;
    /* The signal that the timer sends, and what writes the stacks when it comes. */
    int signum;
    struct sigaction dump;
    /* What was installed for a signal that asks for the end; none where flag is 0. */
    struct sigaction former[QUIESCE_SIGNALS];
    char replaced[QUIESCE_SIGNALS];
    double seconds;
    double seconds_at_once;
    double same;
    volatile sig_atomic_t running;
    volatile sig_atomic_t status;
    volatile sig_atomic_t expired;
    struct timespec asked_at;
    /* When the process ends, on the monotonic clock. */
    double ends_at;
    volatile pid_t children[QUIESCE_CHILDREN];
    volatile int used;
} quiesce_end;

static inline double quiesce_seconds(const struct timespec *moment) {
    return (double)moment->tv_sec + 1e-9 * (double)moment->tv_nsec;
}

static inline double quiesce_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return quiesce_seconds(&now);
}

/* Let the timer expire in so many seconds and then again and again; 0 stops it. */
static inline void quiesce_set_timer(double seconds, double again) {
    struct itimerspec value;
    value.it_value.tv_sec = (time_t)seconds;
    value.it_value.tv_nsec = (long)((seconds - (double)value.it_value.tv_sec) * 1e9);
    value.it_interval.tv_sec = 0;
    value.it_interval.tv_nsec = (long)(again * 1e9);
    timer_settime(quiesce_end.timer, 0, &value, NULL);
}

static inline void quiesce_end_at(double moment, double first) {
    quiesce_end.ends_at = moment;
    quiesce_set_timer(first, QUIESCE_NUDGE);
}

/* Start the timer at the first signal that asks for the end, then do what is done otherwise.
   A Ctrl-C that comes later than the same one can means "now". */
static void quiesce_asked(int signum) {
    int error = errno;
    if (getpid() == quiesce_end.owner) {
        if (!quiesce_end.running) {
            quiesce_end.running = 1;
            quiesce_end.status = 128 + signum;
            clock_gettime(CLOCK_MONOTONIC, &quiesce_end.asked_at);
            quiesce_end_at(quiesce_clock() + quiesce_end.seconds, QUIESCE_NUDGE);
        }
        else if (signum == SIGINT && quiesce_end.asked_at.tv_sec != 0
                 && quiesce_clock() - quiesce_seconds(&quiesce_end.asked_at)
                        >= quiesce_end.same) {
            double at_once = quiesce_clock() + quiesce_end.seconds_at_once;
            if (quiesce_end.ends_at > at_once)
                quiesce_end_at(at_once, QUIESCE_NUDGE);
        }
        else if (quiesce_end.asked_at.tv_sec == 0)
            clock_gettime(CLOCK_MONOTONIC, &quiesce_end.asked_at);
    }
    errno = error;
    if (signum < QUIESCE_SIGNALS && quiesce_end.replaced[signum])
        quiesce_end.former[signum].sa_handler(signum);
}

/* Only children of this process that are in its session; the others are not ours to end. */
static inline int quiesce_signal_children(int signum) {
    int index, alive = 0;
    pid_t session = getsid(0);
    for (index = 0; index < quiesce_end.used; index++) {
        pid_t pid = quiesce_end.children[index];
        siginfo_t info;
        memset(&info, 0, sizeof info);
        if (pid <= 0 || getsid(pid) != session)
            continue;
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0)
            continue;
        alive++;
        if (signum)
            kill(pid, signum);
    }
    return alive;
}

static inline void quiesce_leave(void) {
    int looks;
    if (quiesce_signal_children(SIGTERM) > 0) {
        for (looks = 0; looks < 25 && quiesce_signal_children(0) > 0; looks++) {
            struct timespec pause = {0, 10000000};
            nanosleep(&pause, NULL);
        }
        quiesce_signal_children(SIGKILL);
    }
    _exit(quiesce_end.status);
}

static inline int quiesce_is_over(void) {
    return getpid() == quiesce_end.owner && quiesce_end.running
           && (quiesce_end.expired || quiesce_clock() >= quiesce_end.ends_at);
}

/* The timer's handler once Python has taken back the function that writes the stacks, which
   it does as it is taken down: there are no lines any more. */
static void quiesce_out_of_python(int signum) {
    (void)signum;
    if (quiesce_is_over())
        quiesce_leave();
}

/* Name the lines and end the process. Who reads stderr may have stopped to do so: the timer
   fires once more then, in the middle of writing. */
static void quiesce_out_of_time(int signum) {
    static const char said[] =
        "quiesce: the time to end is over, but a call in C does not let the main thread hear "
        "of it; the process ends here:\n";
    struct pollfd err = {STDERR_FILENO, POLLOUT, 0};
    if (!quiesce_is_over())
        return;
    if (!quiesce_end.expired++) {
        quiesce_set_timer(0.15, 0);
        if (poll(&err, 1, 0) == 1 && (err.revents & POLLOUT)) {
            if (write(STDERR_FILENO, said, sizeof said - 1) > 0)
                quiesce_end.dump.sa_handler(signum);
        }
        quiesce_set_timer(0, 0);
    }
    quiesce_leave();
}

/* Give the number of a real-time signal that nobody uses, or 0. */
static inline int quiesce_free_signal(void) {
    int signum;
    for (signum = SIGRTMAX; signum > SIGRTMIN; signum--) {
        struct sigaction present;
        if (signum < QUIESCE_SIGNALS && sigaction(signum, NULL, &present) == 0
            && !(present.sa_flags & SA_SIGINFO) && present.sa_handler == SIG_DFL)
            return signum;
    }
    return 0;
}

/* Take the free signal, before the function that writes the stacks is installed for it. */
static inline void quiesce_take_signal(int signum) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = quiesce_out_of_python;
    sigaction(signum, &action, NULL);
}

/* Give that signal its usual effect again. */
static inline void quiesce_give_signal_back(int signum) {
    struct sigaction present;
    if (sigaction(signum, NULL, &present) == 0
        && present.sa_handler == quiesce_out_of_python) {
        present.sa_handler = SIG_DFL;
        sigaction(signum, &present, NULL);
    }
}

/* Prepare the timer; `signum` is the signal that was taken, for which the function that writes
   the stacks was installed since. Give 0 where that does not work. */
static inline int quiesce_prepare_end(int signum, double same, double seconds_at_once) {
    struct sigaction action;
    struct sigevent event;
    if (sigaction(signum, NULL, &quiesce_end.dump) < 0
        || quiesce_end.dump.sa_handler == quiesce_out_of_python)
        return 0;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signum;
    if (timer_create(CLOCK_MONOTONIC, &event, &quiesce_end.timer) < 0)
        return 0;
    action = quiesce_end.dump;
    action.sa_handler = quiesce_out_of_time;
    action.sa_flags |= SA_NODEFER;
    action.sa_flags &= ~SA_RESTART;
    if (sigaction(signum, &action, NULL) < 0) {
        timer_delete(quiesce_end.timer);
        return 0;
    }
    quiesce_end.signum = signum;
    quiesce_end.same = same;
    quiesce_end.seconds_at_once = seconds_at_once;
    quiesce_end.running = quiesce_end.expired = 0;
    quiesce_end.owner = getpid();
    return 1;
}

/* From now on `signum` starts the timer, if Python handles that signal. */
static inline void quiesce_start_at(int signum, double seconds) {
    struct sigaction action;
    quiesce_end.seconds = seconds;
    if (signum <= 0 || signum >= QUIESCE_SIGNALS || sigaction(signum, NULL, &action) < 0
        || (action.sa_flags & SA_SIGINFO) || action.sa_handler == SIG_DFL
        || action.sa_handler == SIG_IGN || action.sa_handler == quiesce_asked)
        return;
    quiesce_end.former[signum] = action;
    quiesce_end.replaced[signum] = 1;
    action.sa_handler = quiesce_asked;
    sigaction(signum, &action, NULL);
}

/* Start or move the timer; `status` is the one that the process then ends with. */
static inline void quiesce_end_in(double seconds, int status) {
    quiesce_end.status = status;
    quiesce_end.running = 1;
    if (getpid() == quiesce_end.owner)
        quiesce_end_at(quiesce_clock() + seconds, seconds > 0 ? seconds : 1e-6);
}

/* Stop the timer; the next signal starts it anew. */
static inline void quiesce_do_not_end(void) {
    if (getpid() == quiesce_end.owner)
        quiesce_set_timer(0, 0);
    quiesce_end.running = 0;
    quiesce_end.asked_at.tv_sec = 0;
}

/* Put back what was installed before, except where somebody else has put another there. */
static inline void quiesce_leave_signals(void) {
    int signum;
    struct sigaction present;
    for (signum = 1; signum < QUIESCE_SIGNALS; signum++) {
        if (!quiesce_end.replaced[signum])
            continue;
        if (sigaction(signum, NULL, &present) == 0 && present.sa_handler == quiesce_asked) {
            present.sa_handler = quiesce_end.former[signum].sa_handler;
            sigaction(signum, &present, NULL);
        }
        quiesce_end.replaced[signum] = 0;
    }
}

/* Let go of the timer and its signal. */
static inline void quiesce_forget_end(void) {
    struct sigaction present;
    if (quiesce_end.signum == 0)
        return;
    quiesce_leave_signals();
    quiesce_do_not_end();
    if (getpid() == quiesce_end.owner)
        timer_delete(quiesce_end.timer);
    if (sigaction(quiesce_end.signum, NULL, &present) == 0
        && present.sa_handler == quiesce_out_of_time)
        sigaction(quiesce_end.signum, &quiesce_end.dump, NULL);
    quiesce_end.signum = 0;
}

static inline void quiesce_note_child(int pid) {
    int index;
    for (index = 0; index < QUIESCE_CHILDREN; index++) {
        if (quiesce_end.children[index] == 0) {
            quiesce_end.children[index] = pid;
            if (index >= quiesce_end.used)
                quiesce_end.used = index + 1;
            return;
        }
    }
}

static inline void quiesce_forget_child(int pid) {
    int index;
    for (index = 0; index < quiesce_end.used; index++) {
        if (quiesce_end.children[index] == pid)
            quiesce_end.children[index] = 0;
    }
}

#else
#define QUIESCE_HAS_LAST_RESORT 0
static inline int quiesce_free_signal(void) { return 0; }
static inline void quiesce_take_signal(int signum) {}
static inline void quiesce_give_signal_back(int signum) {}
static inline int quiesce_prepare_end(int signum, double same, double at_once) { return 0; }
static inline void quiesce_start_at(int signum, double seconds) {}
static inline void quiesce_end_in(double seconds, int status) {}
static inline void quiesce_do_not_end(void) {}
static inline void quiesce_leave_signals(void) {}
static inline void quiesce_forget_end(void) {}
static inline void quiesce_note_child(int pid) {}
static inline void quiesce_forget_child(int pid) {}
#endif

#endif
