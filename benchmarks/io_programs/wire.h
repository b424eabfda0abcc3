/* One connection, encrypted or not, as both programs use it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
#else
typedef void SSL;
#endif

enum kind { TCP, UNIX, UDP, TLS, ACCEPT, HTTP };
/* What receiving and sending return beside a count. */
enum { GONE = 0, WAIT = -1 };

struct wire {
    int fd;
    SSL *tls;
};

static void give_up(const char *what) {
    perror(what);
    exit(1);
}

static enum kind kind_named(const char *name) {
    static const char *const names[] = {"tcp", "unix", "udp", "tls", "accept", "http"};
    for (int i = 0; i < 6; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum kind)i;
    fprintf(stderr, "no such kind: %s\n", name);
    exit(2);
}

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

/* A path, or a port of this machine. */
static socklen_t read_address(enum kind kind, const char *text, union address *to) {
    memset(to, 0, sizeof *to);
    if (kind == UNIX) {
        to->un.sun_family = AF_UNIX;
        strncpy(to->un.sun_path, text, sizeof to->un.sun_path - 1);
        return sizeof to->un;
    }
    to->in.sin_family = AF_INET;
    to->in.sin_port = htons((uint16_t)atoi(text));
    to->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof to->in;
}

static int open_socket(enum kind kind) {
    int type = kind == UDP ? SOCK_DGRAM : SOCK_STREAM, on = 1, room = 4 << 20;
    int fd = socket(kind == UNIX ? AF_UNIX : AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        give_up("socket");
    if (kind == UDP)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    else if (kind != UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

#ifdef WITH_TLS
static ssize_t tls_outcome(SSL *tls, int count) {
    int why;
    if (count > 0)
        return count;
    why = SSL_get_error(tls, count);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? WAIT : GONE;
}

static SSL *new_tls(SSL_CTX *context, int fd) {
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    SSL_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return tls;
}
#endif

static ssize_t outcome(ssize_t count) {
    if (count >= 0)
        return count;
    return errno == EAGAIN || errno == EINTR || errno == EINPROGRESS ? WAIT : GONE;
}

static ssize_t receive(struct wire *wire, void *to, size_t room) {
#ifdef WITH_TLS
    if (wire->tls)
        return tls_outcome(wire->tls, SSL_read(wire->tls, to, (int)room));
#endif
    return outcome(recv(wire->fd, to, room, MSG_DONTWAIT));
}

static ssize_t transmit(struct wire *wire, const void *from, size_t size) {
#ifdef WITH_TLS
    if (wire->tls)
        return tls_outcome(wire->tls, SSL_write(wire->tls, from, (int)size));
#endif
    return outcome(send(wire->fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static void hang_up(struct wire *wire) {
#ifdef WITH_TLS
    if (wire->tls)
        SSL_free(wire->tls);
#endif
    close(wire->fd);
    wire->tls = NULL;
    wire->fd = -1;
}

static void watch(int epoll, int operation, int fd, uint32_t events, void *whom) {
    struct epoll_event event = {.events = events, .data.ptr = whom};
    epoll_ctl(epoll, operation, fd, &event);
}
