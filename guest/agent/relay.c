// SPDX-License-Identifier: Apache-2.0
/* Connections into the pod: see relay.h. All are in the agent's list. */
#include "guest/agent/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/hello.h"
#include "husk/agent.h"

#define BUFFER_SIZE 16384
#define TURNS_MAX   8 /* buffers that one end may fill before others have their turn */

enum { HOST, POD, END_COUNT };

struct end {
    struct relay *relay;
    int fd;
    struct event_source *source;
    bool ended;   /* nothing more comes from it */
    bool shut;    /* it has been told that nothing more comes */
    bool hung_up; /* says so without end: it is not watched without need */
    size_t start, len;
    char waiting[BUFFER_SIZE]; /* for it, from the other one */
};

struct relay {
    struct relay *next;
    struct agent *agent;
    bool connected;
    struct event_timer *timer;
    struct end ends[END_COUNT];
};

static struct end *other(struct end *end)
{
    return &end->relay->ends[end == &end->relay->ends[HOST] ? POD : HOST];
}

static void destroy(struct relay *relay)
{
    struct relay **at = &relay->agent->relays;

    while (*at && *at != relay)
        at = &(*at)->next;
    if (*at) {
        *at = relay->next;
        relay->agent->relay_count--;
    }
    for (int i = 0; i < END_COUNT; i++) {
        event_source_remove(relay->ends[i].source);
        close_fd(&relay->ends[i].fd);
    }
    event_timer_remove(relay->timer);
    free(relay);
}

/* What is on its way is lost, and either peer hears of that. */
static void break_off(struct relay *relay)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    setsockopt(relay->ends[POD].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    destroy(relay);
}

static void on_end(void *arg, uint32_t events);

static int watch(struct end *end)
{
    uint32_t events = 0;

    if (!end->ended && !other(end)->len)
        events |= EPOLLIN;
    if (end->len)
        events |= EPOLLOUT;
    /* That it breaks is of interest as long as something can still go there. */
    if (!events && !end->shut && !end->hung_up)
        events = EPOLLERR;
    if (end->source && events)
        return event_source_watch(end->source, events);
    event_source_remove(end->source);
    end->source = NULL;
    return events
               ? event_loop_add(end->relay->agent->loop, end->fd, events, on_end, end, &end->source)
               : 0;
}

/* Ends of directions pass when all before them has; what is waited for follows. */
static void update(struct relay *relay)
{
    int ret = 0;

    for (int i = 0; i < END_COUNT; i++) {
        struct end *end = &relay->ends[i];

        if (other(end)->ended && !end->len && !end->shut) {
            end->shut = true;
            shutdown(end->fd, SHUT_WR);
        }
    }
    if (relay->ends[HOST].shut && relay->ends[POD].shut) {
        destroy(relay);
        return;
    }
    for (int i = 0; i < END_COUNT && !ret; i++)
        ret = watch(&relay->ends[i]);
    if (ret)
        break_off(relay);
}

/* False when it takes nothing any more. */
static bool drain(struct end *end)
{
    ssize_t len;

    if (!end->len)
        return true;
    len = send(end->fd, end->waiting + end->start, end->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR;
    end->start += (size_t)len;
    end->len -= (size_t)len;
    return true;
}

/* False when it is broken; stops when nothing is there, or the other end takes no more. */
static bool pass_on(struct end *from)
{
    struct end *to = other(from);

    for (int i = 0; i < TURNS_MAX && !from->ended && !to->len; i++) {
        ssize_t len = recv(from->fd, to->waiting, BUFFER_SIZE, MSG_DONTWAIT);

        if (len < 0)
            return errno == EAGAIN || errno == EINTR;
        from->ended = len == 0;
        to->start = 0;
        to->len = (size_t)len;
        if (!drain(to))
            return false;
    }
    return true;
}

/* ---- before it stands ---- */

static void say(struct relay *relay, const struct husk_error *error)
{
    hello_send(relay->agent, relay->ends[HOST].fd, error);
}

static void refuse(struct relay *relay, int code)
{
    struct husk_error error;

    error_set(&error, code, "dial", "cannot connect", NULL);
    say(relay, &error);
    break_off(relay);
}

static void on_late(void *arg)
{
    refuse(arg, ETIMEDOUT);
}

static void on_connected(struct relay *relay)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(relay->ends[POD].fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error) {
        refuse(relay, error);
        return;
    }
    event_timer_disarm(relay->timer);
    relay->connected = true;
    say(relay, NULL);
    update(relay);
}

/* ---- events ---- */

static void on_end(void *arg, uint32_t events)
{
    struct end *end = arg;
    struct relay *relay = end->relay;
    bool wants_input = !end->ended && !other(end)->len;

    if (!relay->connected) {
        if (end == &relay->ends[POD])
            on_connected(relay);
        else
            break_off(relay); /* the host has given up */
        return;
    }
    if (events & EPOLLERR || (events & EPOLLOUT && !drain(end)) ||
        (wants_input && events & (EPOLLIN | EPOLLHUP) && !pass_on(end))) {
        break_off(relay);
        return;
    }
    end->hung_up |= (events & EPOLLHUP) != 0;
    update(relay);
}

/* ---- the beginning ---- */

int relay_address(const struct node *hello, union relay_address *out, struct husk_error *err)
{
    struct node port_member = node_member(hello, "port");
    struct node member = node_member(hello, "address");
    const char *text = NULL;
    uint64_t port = 0;
    int ret = node_need_text(hello, "address", 1, INET6_ADDRSTRLEN, &text, err);

    if (!ret)
        ret = node_need(&port_member, err);
    if (!ret)
        ret = node_unsigned(hello, "port", UINT16_MAX, &port, NULL, err);
    if (ret)
        return ret;
    if (!port)
        return node_error(&port_member, ERANGE, err, "wants 1 to 65535");
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
    } else {
        return node_error(&member, EINVAL, err, "is no address of IPv4 or IPv6 in numbers");
    }
    return 0;
}

/* Not blocking; -1 with errno set. */
static int connect_to(const union relay_address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t len = address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
    const int yes = 1;
    int error;

    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (connect(fd, &address->any, len) == 0 || errno == EINPROGRESS)
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int watch_first(struct relay *relay)
{
    struct event_loop *loop = relay->agent->loop;
    int ret = event_loop_add_timer(loop, on_late, relay, &relay->timer);

    if (!ret)
        ret = event_loop_add(loop, relay->ends[POD].fd, EPOLLOUT, on_end, &relay->ends[POD],
                             &relay->ends[POD].source);
    if (!ret)
        ret = event_loop_add(loop, relay->ends[HOST].fd, EPOLLERR, on_end, &relay->ends[HOST],
                             &relay->ends[HOST].source);
    return ret;
}

int relay_begin(struct agent *agent, int host, const union relay_address *address,
                struct husk_error *err)
{
    struct relay *relay;
    int pod, ret;

    if (agent->relay_count >= HUSK_AGENT_DIALS_MAX)
        return error_set(err, ENOSPC, "dial", "cannot connect", "there are %d such connections",
                         HUSK_AGENT_DIALS_MAX);
    pod = connect_to(address);
    if (pod < 0)
        return error_set(err, errno, "dial", "cannot connect", NULL);
    relay = calloc(1, sizeof(*relay));
    if (!relay) {
        close(pod);
        return error_set(err, ENOMEM, "dial", "cannot connect", NULL);
    }
    relay->agent = agent;
    relay->ends[POD] = (struct end){.relay = relay, .fd = pod};
    relay->ends[HOST] = (struct end){.relay = relay, .fd = -1};
    relay->next = agent->relays;
    agent->relays = relay;
    agent->relay_count++;
    relay->ends[HOST].fd = host;
    ret = watch_first(relay);
    if (ret) {
        relay->ends[HOST].fd = -1; /* still the caller's */
        destroy(relay);
        return error_set(err, -ret, "dial", "cannot connect", NULL);
    }
    event_timer_arm(relay->timer, HUSK_AGENT_DIAL_TIMEOUT_MS * 1000000ull);
    return 0;
}

void relay_end_all(struct agent *agent)
{
    struct relay *next;

    for (struct relay *at = agent->relays; at; at = next) {
        next = at->next;
        break_off(at);
    }
}
