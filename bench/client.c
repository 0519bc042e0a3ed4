/* A WebSocket echo client that is cheap enough to measure servers with.
 *
 * Opens CONNECTIONS connections to 127.0.0.1, keeps one message in flight on each,
 * compares every byte that comes back, and prints one line of JSON. Any wrong echo ends
 * it with status 1 and a reason on stderr. One connection: a blocking recv, so that the
 * round trip holds nothing but the server and the kernel. More: epoll.
 *
 * With --idle it opens the connections, echoes one message on each, prints "open N" and
 * answers pings until the end of its standard input. --raw is for a server that parses nothing and
 * gives back the very bytes it got. --spin does nothing but keep its core awake.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BINARY = 0x82, CLOSE = 0x88, PING = 0x89, PONG = 0x8a, STALL_SECONDS = 30 };

/* The example of RFC 6455 section 1.3: its answer is known, so no SHA-1 is needed here. */
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==", ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
static const unsigned char MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

struct connection {
    int fd;
    bool wants_write;
    uint32_t stamp[2]; /* index of the connection, number of the message */
    uint64_t started;
    unsigned char *frame, *expected; /* what is sent, what has to come back */
    size_t sent, received;
    unsigned char control[2 + 125], pong[6 + 125];
    size_t control_length, pong_length;
};

static const char *path = "/echo";
static int port, raw, idle, spin;
static size_t count = 1, size = 125, messages;
static double seconds = 1, warm_up = 0.2;

static size_t frame_length, frame_header, expected_length, expected_header;
static uint64_t window_begin, window_end;
static size_t echoes; /* all of them, with those of the warm-up */
static uint32_t *latencies; /* ns, of the window only */
static size_t measured, capacity;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("client: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void *allocate(void *old, size_t length) {
    void *memory = realloc(old, length);
    if (!memory) die("out of memory");
    return memory;
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Write the header of a binary frame (RFC 6455 section 5.2); give its length. */
static size_t write_header(unsigned char *to, size_t payload, bool masked) {
    size_t length = 2;
    int bytes = payload < 126 ? 0 : payload < 65536 ? 2 : 8;
    to[0] = BINARY;
    to[1] = (unsigned char)(bytes == 0 ? payload : bytes == 2 ? 126 : 127);
    for (int i = bytes - 1; i >= 0; i--) to[length++] = (unsigned char)(payload >> (8 * i));
    if (masked) {
        to[1] |= 0x80;
        memcpy(to + length, MASK, 4);
        length += 4;
    }
    return length;
}

static void make_frames(struct connection *c) {
    c->frame = allocate(NULL, size + 14);
    c->expected = raw ? c->frame : allocate(NULL, size + 14);
    frame_header = write_header(c->frame, size, true);
    expected_header = raw ? frame_header : write_header(c->expected, size, false);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)(i * 31 + (i >> 8));
        c->expected[expected_header + i] = byte;
        c->frame[frame_header + i] = byte ^ MASK[i % 4];
    }
    frame_length = frame_header + size;
    expected_length = expected_header + size;
}

/* Send what is waiting: the message, then a pong. False: the kernel's buffer is full. */
static bool flush(struct connection *c) {
    while (c->sent < frame_length || c->pong_length) {
        bool pong = c->sent == frame_length;
        size_t left = pong ? c->pong_length : frame_length - c->sent;
        ssize_t n = send(c->fd, pong ? c->pong : c->frame + c->sent, left,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return false;
        if (n < 0) die("send: %s", strerror(errno));
        if (pong && (size_t)n < left) die("a pong was cut");
        if (pong) c->pong_length = 0;
        else c->sent += (size_t)n;
    }
    return true;
}

static void stamp(struct connection *c, size_t at) {
    for (size_t i = at; i < at + sizeof c->stamp && i < size; i++) {
        unsigned char byte = ((unsigned char *)c->stamp)[i - at];
        c->expected[expected_header + i] = byte;
        c->frame[frame_header + i] = byte ^ MASK[i % 4];
    }
}

/* Begin a message. New stamps on every page and at the end show an echo of bytes that
 * belong to an earlier message or to another connection. */
static bool begin(struct connection *c, uint64_t time) {
    c->stamp[1]++;
    for (size_t at = 0; at < size; at += 4096) stamp(c, at);
    if (size > sizeof c->stamp) stamp(c, size - sizeof c->stamp);
    c->sent = c->received = 0;
    c->started = time;
    return flush(c);
}

/* Take one byte of a control frame; answer a Ping when it is complete. */
static void take_control(struct connection *c, unsigned char byte) {
    c->control[c->control_length++] = byte;
    if (c->control_length == 2 && c->control[1] > 125) die("a control frame of bad length");
    if (c->control_length < 2 || c->control_length < 2u + c->control[1]) return;
    if (c->control[0] == CLOSE) die("the server closed the connection");
    if (c->control[0] != PING && c->control[0] != PONG) die("bad frame: %02x", c->control[0]);
    if (c->control[0] == PING) {
        c->pong[0] = PONG;
        c->pong[1] = 0x80 | c->control[1];
        memcpy(c->pong + 2, MASK, 4);
        for (size_t i = 0; i < c->control[1]; i++) c->pong[6 + i] = c->control[2 + i] ^ MASK[i % 4];
        c->pong_length = 6u + c->control[1];
    }
    c->control_length = 0;
}

/* Read once and compare; true when the echo is complete. */
static bool receive(struct connection *c, int flags) {
    static unsigned char buffer[256 * 1024];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, flags);
    if (n < 0 && errno == EAGAIN && flags & MSG_DONTWAIT) return false;
    if (n < 0) die("recv: %s", errno == EAGAIN ? "no echo in time" : strerror(errno));
    if (n == 0) die("the server ended the connection");
    for (unsigned char *p = buffer, *end = buffer + n; p < end;) {
        size_t take = (size_t)(end - p), left = expected_length - c->received;
        bool between = c->received == 0 || left == 0;
        if (c->control_length || (!raw && between && *p & 0x08)) {
            take_control(c, *p++);
            continue;
        }
        if (left == 0) die("%zu bytes after the echo", take);
        if (take > left) take = left;
        if (memcmp(p, c->expected + c->received, take)) {
            size_t at = 0;
            while (p[at] == c->expected[c->received + at]) at++;
            die("wrong echo of %zu bytes: byte %zu of the frame is %02x, not %02x", size,
                c->received + at, p[at], c->expected[c->received + at]);
        }
        c->received += take;
        p += take;
    }
    return c->received == expected_length;
}

/* Count an echo; true when the run is over. */
static bool record(struct connection *c, uint64_t time) {
    echoes++;
    if (messages || (time >= window_begin && (time <= window_end || !measured))) {
        if (measured == capacity) {
            capacity = capacity ? 2 * capacity : 65536;
            latencies = allocate(latencies, capacity * sizeof *latencies);
        }
        uint64_t spent = time - c->started;
        latencies[measured++] = spent > UINT32_MAX ? UINT32_MAX : (uint32_t)spent;
    }
    return messages ? echoes + count > messages : time >= window_end && measured;
}

static void echo_one(struct connection *c, bool once) {
    for (bool flushed = begin(c, now());;) {
        if (!flushed) {
            struct pollfd p = {c->fd, POLLIN | POLLOUT, 0};
            if (poll(&p, 1, STALL_SECONDS * 1000) <= 0) die("the server does not read");
            flushed = flush(c);
        }
        if (!receive(c, flushed ? 0 : MSG_DONTWAIT)) {
            if (c->pong_length) flushed = flush(c);
            continue;
        }
        uint64_t time = now();
        if (once || record(c, time)) return;
        flushed = begin(c, time);
    }
}

static void watch(int epoll, struct connection *c, int operation, bool wants_write) {
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    if (operation == EPOLL_CTL_MOD && c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    if (epoll_ctl(epoll, operation, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void echo_many(struct connection *all) {
    struct epoll_event events[128];
    int epoll = epoll_create1(0);
    if (epoll < 0) die("epoll_create1: %s", strerror(errno));
    for (size_t i = 0; i < count; i++) watch(epoll, &all[i], EPOLL_CTL_ADD, !begin(&all[i], now()));
    for (size_t active = count; active;) {
        int ready = epoll_wait(epoll, events, 128, STALL_SECONDS * 1000);
        if (ready <= 0) die("epoll_wait: %s", ready ? strerror(errno) : "no echo in time");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            bool flushed = !c->wants_write;
            if (events[i].events & EPOLLOUT) flushed = flush(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT && receive(c, MSG_DONTWAIT)) {
                uint64_t time = now();
                if (record(c, time)) active--;
                else flushed = begin(c, time);
            } else if (c->pong_length) flushed = flush(c);
            watch(epoll, c, EPOLL_CTL_MOD, !flushed);
        }
    }
    close(epoll);
}

/* Answer pings until the end of standard input, which has to be a pipe. */
static void stay(struct connection *all) {
    struct epoll_event events[128], end = {.events = EPOLLIN, .data.ptr = NULL};
    int epoll = epoll_create1(0);
    char rest[64];
    if (epoll < 0) die("epoll_create1: %s", strerror(errno));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &end)) die("epoll_ctl: %s", strerror(errno));
    for (size_t i = 0; i < count; i++) watch(epoll, &all[i], EPOLL_CTL_ADD, false);
    for (bool stays = true; stays;) {
        int ready = epoll_wait(epoll, events, 128, -1);
        if (ready < 0) die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) stays = read(0, rest, sizeof rest) > 0;
            else {
                receive(c, MSG_DONTWAIT);
                if (!flush(c)) die("the server does not read");
            }
        }
    }
    close(epoll);
}

static void open_connection(struct connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = STALL_SECONDS};
    int on = 1;
    char text[4096];
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect: %s", strerror(errno));
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n", path, port, KEY);
    if (send(c->fd, text, (size_t)length, MSG_NOSIGNAL) != length) die("send: %s", strerror(errno));
    size_t have = 0;
    char *end = NULL;
    while (!end) {
        ssize_t n = recv(c->fd, text + have, sizeof text - 1 - have, 0);
        if (n <= 0) die("no answer to the opening handshake");
        text[have += (size_t)n] = 0;
        end = strstr(text, "\r\n\r\n");
    }
    if (strncmp(text, "HTTP/1.1 101 ", 13) || !strstr(text, ACCEPT)) die("refused: %.60s", text);
    if (end + 4 != text + have) die("bytes after the opening handshake");
}

/* Say Close on all, then wait a little for the ends, so that the server is free again. */
static void close_all(struct connection *all) {
    static const unsigned char frame[] = {CLOSE, 0x82, 0, 0, 0, 0, 0x03, 0xe8};
    struct timeval limit = {.tv_usec = 200000};
    uint64_t deadline = now() + 1000000000u;
    char rest[512];
    for (size_t i = 0; i < count; i++) {
        if (!raw) send(all[i].fd, frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL);
        else shutdown(all[i].fd, SHUT_WR);
    }
    for (size_t i = 0; i < count; i++) {
        setsockopt(all[i].fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        while (now() < deadline && recv(all[i].fd, rest, sizeof rest, 0) > 0) continue;
        close(all[i].fd);
    }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_json(double window) {
    double sum = 0;
    qsort(latencies, measured, sizeof *latencies, ascending);
    for (size_t i = 0; i < measured; i++) sum += latencies[i];
    printf("{\"connections\": %zu, \"size\": %zu, \"seconds\": %.6f, \"messages\": %zu, "
           "\"echoes\": %zu, \"rate\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"mean_us\": %.2f, "
           "\"min_us\": %.2f, \"max_us\": %.2f}\n",
           count, size, window, measured, echoes, (double)measured / window,
           latencies[measured / 2] / 1e3, latencies[measured * 99 / 100] / 1e3, sum / (double)measured / 1e3, latencies[0] / 1e3,
           latencies[measured - 1] / 1e3);
}

static void parse(int argc, char **argv) {
    static const struct option options[] = {
        {"port", 1, 0, 'p'},    {"path", 1, 0, 'u'},     {"size", 1, 0, 's'},   {"spin", 0, &spin, 1},
        {"seconds", 1, 0, 't'}, {"warm-up", 1, 0, 'w'},  {"connections", 1, 0, 'c'},
        {"raw", 0, &raw, 1},    {"messages", 1, 0, 'n'}, {"idle", 0, &idle, 1},
        {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 's': size = strtoull(optarg, NULL, 10); break;
        case 't': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'c': count = strtoull(optarg, NULL, 10); break;
        case 'n': messages = strtoull(optarg, NULL, 10); break;
        case '?': exit(2);
    }
    if (spin) return;
    if (port <= 0 || port > 65535 || !count || !size || seconds <= 0 || warm_up < 0 || optind < argc) {
        fputs("usage: client --port N [--path P] [--size BYTES] [--connections N] [--raw] [--idle]\n"
              "              [--seconds S] [--warm-up S] [--messages N (instead of a time)]\n", stderr);
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct rlimit files;
    parse(argc, argv);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a killed benchmark leaves no client behind */
    if (spin) {
        struct sched_param lowest = {0};
        if (sched_setscheduler(0, SCHED_IDLE, &lowest)) die("SCHED_IDLE: %s", strerror(errno));
        for (;;) {
#ifdef __x86_64__
            __builtin_ia32_pause(); /* leaves the core to its other hardware thread */
#endif
        }
    }
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct connection *all = allocate(NULL, count * sizeof *all);
    memset(all, 0, count * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        all[i].stamp[0] = (uint32_t)i;
        make_frames(&all[i]);
        open_connection(&all[i]);
        if (idle) echo_one(&all[i], true);
    }
    if (idle) {
        printf("open %zu\n", count);
        fflush(stdout);
        stay(all);
    } else {
        uint64_t begun = now();
        window_begin = begun + (uint64_t)(warm_up * 1e9);
        window_end = window_begin + (uint64_t)(seconds * 1e9);
        if (count == 1) echo_one(all, false);
        else echo_many(all);
        uint64_t end = now();
        /* An echo that took longer than the window stretches it. */
        bool stretched = messages || measured == 1;
        print_json(stretched ? (double)(end - (messages ? begun : window_begin)) / 1e9 : seconds);
    }
    close_all(all);
    return 0;
}
