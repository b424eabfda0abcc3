/* Loads several servers in turn, for a short while each, and counts what they answer.

   load KIND SIZE CONNECTIONS DEPTH TURNS MILLISECONDS BUSY ADDRESS@PID...

   KIND is tcp, unix, udp, tls, accept or http. SIZE is the bytes of one answer, which is
   also what is sent, but for http, where a GET is. Each connection has DEPTH messages
   under way. BUSY is 1 if this program is never to sleep, so that no server pays for
   waking it. A server's connections stay open between its turns.

   Prints a line of JSON for each server: answers per second and microseconds of its CPU
   time per answer, turn by turn; microseconds to an answer at the median and at 99 %; and
   whether it left something unanswered. */
#include "wire.h"

#define REQUEST "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#define TURNS 1000
#define ROOM (1 << 20)
/* Times are counted in steps that are a 64th of their size. */
#define STEPS 64
/* How long a server may take for its last answers. */
#define LAST_ANSWERS 2.0

struct connection {
    struct wire wire;
    size_t unsent, offset; /* bytes to send, and from where in `pattern` */
    size_t got;            /* bytes of the answer that is arriving */
    double *started;       /* when each message under way was sent: a ring */
    int first, under_way;
    int watches_writing;
};

struct server {
    const char *address;
    clockid_t clock;
    int epoll;
    struct connection *connections;
    double rate[TURNS], cpu[TURNS];
    long long times[64 * STEPS];
    int stalled;
};

static enum kind kind;
static size_t size, request, pattern_size;
static int connections, depth, busy;
static char *pattern, *memory;
static struct server *now_loaded;
static int recording, stopping;
static long long answers;
#ifdef WITH_TLS
static SSL_CTX *context;
#endif

static double seconds_on(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) < 0)
        return 0;
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double now(void) {
    return seconds_on(CLOCK_MONOTONIC);
}

static void note_time(double seconds) {
    uint64_t nanoseconds = seconds > 0 ? (uint64_t)(seconds * 1e9) | 1 : 1;
    int power = 63 - __builtin_clzll(nanoseconds);
    uint64_t step = power >= 6 ? nanoseconds >> (power - 6) & (STEPS - 1) : 0;
    now_loaded->times[power * STEPS + (int)step]++;
}

/* Microseconds that a part of all answers did not exceed. */
static double time_at(const struct server *server, double part) {
    long long total = 0, seen = 0;
    for (int i = 0; i < 64 * STEPS; i++)
        total += server->times[i];
    for (int i = 0; i < 64 * STEPS; i++) {
        seen += server->times[i];
        if (total && (double)seen >= part * (double)total) {
            uint64_t low = 1ull << i / STEPS;
            return (double)(low + (low / STEPS) * (uint64_t)(i % STEPS)) / 1e3;
        }
    }
    return 0;
}

static void watch_writing(struct connection *connection, int wanted) {
    if (connection->watches_writing != wanted)
        watch(now_loaded->epoll, EPOLL_CTL_MOD, connection->wire.fd,
              wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, connection);
    connection->watches_writing = wanted;
}

/* Spread over many addresses, connections that were closed use up no ports. */
static void choose_own_address(int fd) {
    static unsigned turn;
    int on = 1;
    struct sockaddr_in own = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 64);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    bind(fd, (struct sockaddr *)&own, sizeof own);
}

static void open_connection(struct connection *connection) {
    union address address;
    socklen_t length = read_address(kind, now_loaded->address, &address);
    int fd = open_socket(kind);
    if (kind == ACCEPT) {
        choose_own_address(fd);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    if (connect(fd, &address.any, length) < 0 && errno != EINPROGRESS)
        give_up("connect");
    connection->wire.fd = fd;
#ifdef WITH_TLS
    if (kind == TLS) {
        connection->wire.tls = new_tls(context, fd);
        SSL_set_connect_state(connection->wire.tls);
        if (SSL_do_handshake(connection->wire.tls) != 1)
            give_up("handshake");
    }
#endif
    fcntl(fd, F_SETFL, O_NONBLOCK);
    connection->unsent = connection->offset = connection->got = 0;
    connection->under_way = 0;
    connection->watches_writing = kind == ACCEPT;
    watch(now_loaded->epoll, EPOLL_CTL_ADD, fd,
          kind == ACCEPT ? EPOLLIN | EPOLLOUT : EPOLLIN, connection);
}

static void send_some(struct connection *connection) {
    while (connection->unsent) {
        size_t chunk = pattern_size - connection->offset;
        ssize_t count;
        if (chunk > connection->unsent)
            chunk = connection->unsent;
        if (kind == UDP)
            chunk = request;
        count = transmit(&connection->wire, pattern + connection->offset, chunk);
        if (count == GONE)
            give_up("a server hung up");
        if (count == WAIT)
            break;
        connection->unsent -= (size_t)count;
        connection->offset = (connection->offset + (size_t)count) % pattern_size;
    }
    watch_writing(connection, connection->unsent > 0);
}

static void start_messages(struct connection *connection, int count) {
    double time = now();
    for (int i = 0; i < count; i++) {
        int last = (connection->first + connection->under_way++) % depth;
        connection->started[last] = time;
    }
    connection->unsent += (size_t)count * request;
    send_some(connection);
}

static void end_message(struct connection *connection, double time) {
    if (recording) {
        note_time(time - connection->started[connection->first]);
        answers++;
    }
    connection->first = (connection->first + 1) % depth;
    connection->under_way--;
}

/* Take what has arrived; return 0 once there is no more. */
static int take_some(struct connection *connection) {
    ssize_t count = receive(&connection->wire, memory, ROOM);
    int ended = 0;
    if (count == WAIT)
        return 0;
    if (count == GONE)
        give_up("a server hung up");
    connection->got += (size_t)count;
    for (double time = now(); connection->got >= size; ended++) {
        end_message(connection, time);
        connection->got -= size;
    }
    if (ended && kind == ACCEPT) {
        hang_up(&connection->wire);
        if (!stopping)
            open_connection(connection);
        return 0;
    }
    if (ended && !stopping)
        start_messages(connection, ended);
    return kind == UDP ? depth > 1 : connection->wire.tls || count == ROOM;
}

static void look(int milliseconds) {
    struct epoll_event events[256];
    int ready = epoll_wait(now_loaded->epoll, events, 256, busy ? 0 : milliseconds);
    for (int i = 0; i < ready; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & EPOLLOUT) {
            if (kind == ACCEPT && !connection->under_way)
                start_messages(connection, 1);
            else
                send_some(connection);
        }
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            while (connection->wire.fd >= 0 && take_some(connection))
                ;
    }
}

static int is_quiet(void) {
    for (int i = 0; i < connections; i++) {
        struct connection *connection = &now_loaded->connections[i];
        if (kind == ACCEPT ? connection->wire.fd >= 0 : connection->under_way > 0)
            return 0;
    }
    return 1;
}

static void drain(void) {
    double limit = now() + LAST_ANSWERS;
    stopping = 1;
    recording = 0;
    while (!is_quiet() && now() < limit)
        look(5);
    if (!is_quiet())
        now_loaded->stalled = 1;
    stopping = 0;
}

/* Load a server for a quarter of `seconds` to warm up, then note how it does. */
static void take_turn(struct server *server, int turn, double seconds) {
    double from = now() + seconds / 4, until = from + seconds, began = 0, cpu = 0;
    now_loaded = server;
    answers = 0;
    for (int i = 0; i < connections; i++) {
        if (kind == ACCEPT)
            open_connection(&server->connections[i]);
        else
            start_messages(&server->connections[i], depth);
    }
    for (double time = now(); time < until; time = now()) {
        if (!recording && time >= from) {
            recording = turn >= 0;
            began = time;
            cpu = seconds_on(server->clock);
            answers = 0;
            from = until;
        }
        look(20);
    }
    if (turn >= 0) {
        cpu = seconds_on(server->clock) - cpu;
        server->rate[turn] = (double)answers / (now() - began);
        server->cpu[turn] = answers ? cpu * 1e6 / (double)answers : 0;
    }
    drain();
}

static void prepare(struct server *server, char *argument) {
    char *at = strrchr(argument, '@');
    if (!at)
        exit(2);
    *at = 0;
    server->address = argument;
    clock_getcpuclockid(atoi(at + 1), &server->clock);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->connections = calloc((size_t)connections, sizeof *server->connections);
    now_loaded = server;
    for (int i = 0; i < connections; i++) {
        server->connections[i].started = calloc((size_t)depth, sizeof(double));
        server->connections[i].wire.fd = -1;
        if (kind != ACCEPT)
            open_connection(&server->connections[i]);
    }
}

static void print_list(const char *name, const double *values, int count) {
    printf("\"%s\": [", name);
    for (int i = 0; i < count; i++)
        printf("%s%.3f", i ? ", " : "", values[i]);
    printf("], ");
}

int main(int count, char **arguments) {
    struct server *servers;
    int turns, known = count - 8;
    double seconds;
    if (known < 1)
        return 2;
    kind = kind_named(arguments[1]);
    size = (size_t)atol(arguments[2]);
    connections = atoi(arguments[3]);
    depth = atoi(arguments[4]);
    turns = atoi(arguments[5]) < TURNS ? atoi(arguments[5]) : TURNS;
    seconds = atof(arguments[6]) / 1e3;
    busy = atoi(arguments[7]);
    signal(SIGPIPE, SIG_IGN);
#ifdef WITH_TLS
    context = SSL_CTX_new(TLS_client_method());
#endif
    request = kind == HTTP ? strlen(REQUEST) : size;
    pattern_size = request * (size_t)depth;
    pattern = malloc(pattern_size);
    memory = malloc(ROOM);
    for (size_t i = 0; i < pattern_size; i++)
        pattern[i] = kind == HTTP ? REQUEST[i % request] : 'x';
    servers = calloc((size_t)known, sizeof *servers);
    for (int i = 0; i < known; i++)
        prepare(&servers[i], arguments[8 + i]);
    /* Every other time in the opposite order; the first time only warms up. */
    for (int turn = -1; turn < turns; turn++)
        for (int i = 0; i < known; i++) {
            struct server *server = &servers[turn & 1 ? known - 1 - i : i];
            if (!server->stalled)
                take_turn(server, turn, seconds);
        }
    for (int i = 0; i < known; i++) {
        putchar('{');
        print_list("rate", servers[i].rate, turns);
        print_list("cpu", servers[i].cpu, turns);
        printf("\"p50\": %.1f, \"p99\": %.1f, \"stalled\": %s}\n",
               time_at(&servers[i], 0.5), time_at(&servers[i], 0.99),
               servers[i].stalled ? "true" : "false");
    }
    return 0;
}
