/* An echo server with as little around the system's calls as can be: a measure for others.

   server tcp PORT | unix PATH | udp PORT | tls PORT CERTIFICATE KEY

   Says "ready" when it listens. */
#include "wire.h"

#define ROOM (256 * 1024)
#define DATAGRAMS 64

struct peer {
    struct wire wire;
    char *kept; /* what the peer did not take yet */
    size_t first, size;
};

static char memory[ROOM];
static int epoll;
#ifdef WITH_TLS
static SSL_CTX *context;
#endif

static void forget(struct peer *peer) {
    hang_up(&peer->wire);
    free(peer->kept);
    free(peer);
}

/* Answer what was received; 0 once the peer is gone or takes no more. */
static int answer(struct peer *peer, size_t size) {
    size_t sent = 0;
    while (sent < size) {
        ssize_t count = transmit(&peer->wire, memory + sent, size - sent);
        if (count == GONE) {
            forget(peer);
            return 0;
        }
        if (count == WAIT) {
            if (!peer->kept)
                peer->kept = malloc(ROOM);
            peer->first = 0;
            peer->size = size - sent;
            memcpy(peer->kept, memory + sent, peer->size);
            watch(epoll, EPOLL_CTL_MOD, peer->wire.fd, EPOLLOUT, peer);
            return 0;
        }
        sent += (size_t)count;
    }
    return 1;
}

static void serve(struct peer *peer);

static void send_kept(struct peer *peer) {
    ssize_t count = transmit(&peer->wire, peer->kept + peer->first, peer->size);
    if (count == GONE) {
        forget(peer);
        return;
    }
    if (count > 0) {
        peer->first += (size_t)count;
        peer->size -= (size_t)count;
    }
    if (peer->size == 0) {
        watch(epoll, EPOLL_CTL_MOD, peer->wire.fd, EPOLLIN, peer);
        serve(peer);
    }
}

static void serve(struct peer *peer) {
    ssize_t count;
    if (peer->size) {
        send_kept(peer);
        return;
    }
    do {
        count = receive(&peer->wire, memory, sizeof memory);
        if (count == GONE)
            forget(peer);
        /* A plain socket that gave less than there was room for has no more; what TLS has
           decrypted already, the system does not report. */
    } while (count > 0 && answer(peer, (size_t)count) && peer->wire.tls);
}

static void serve_datagrams(int fd) {
    for (int i = 0; i < DATAGRAMS; i++) {
        union address from;
        socklen_t length = sizeof from;
        ssize_t count =
            recvfrom(fd, memory, sizeof memory, MSG_DONTWAIT, &from.any, &length);
        if (count < 0)
            return;
        sendto(fd, memory, (size_t)count, MSG_DONTWAIT, &from.any, length);
    }
}

static void welcome(int listener, enum kind kind) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        if (kind != UNIX)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peer->wire.fd = fd;
#ifdef WITH_TLS
        if (kind == TLS) {
            peer->wire.tls = new_tls(context, fd);
            SSL_set_accept_state(peer->wire.tls);
        }
#endif
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, peer);
    }
}

static int listen_at(enum kind kind, const char *place) {
    union address address;
    socklen_t length = read_address(kind, place, &address);
    int fd = open_socket(kind), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &address.any, length) < 0)
        give_up("bind");
    if (kind != UDP && listen(fd, 4096) < 0)
        give_up("listen");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

int main(int count, char **arguments) {
    struct epoll_event events[512];
    enum kind kind = kind_named(count > 2 ? arguments[1] : "nothing");
    int listener = listen_at(kind, arguments[2]);
    signal(SIGPIPE, SIG_IGN);
#ifdef WITH_TLS
    if (kind == TLS) {
        context = SSL_CTX_new(TLS_server_method());
        if (count < 5
            || SSL_CTX_use_certificate_chain_file(context, arguments[3]) != 1
            || SSL_CTX_use_PrivateKey_file(context, arguments[4], SSL_FILETYPE_PEM) != 1)
            give_up("certificate");
    }
#endif
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else if (kind == UDP)
                serve_datagrams(listener);
            else
                welcome(listener, kind);
        }
    }
}
