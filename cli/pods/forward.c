// SPDX-License-Identifier: Apache-2.0
/*
 * husk pod port-forward: ports of this host's loopback that lead into a pod, without its network:
 * each connection is dialled inside the pod by its agent.
 *
 * The main thread takes connections; each has a thread of its own, with a client of its own (a
 * struct husk_pods is for one thread), which dials and then passes bytes both ways with a buffer
 * for each way, half-closes kept. Threads are counted, and end with the process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "cli/pods/pods.h"
#include "cli/pods/splice.h"

#define PORTS_MAX       64u
#define CONNECTIONS_MAX 128u
#define LOOK_MS         1000 /* how often it is looked whether the pod still runs */

struct forward {
    struct pods_scope scope;
    char *name;
    unsigned count;
    struct port {
        uint16_t local, remote;
        int listeners[2]; /* IPv4, IPv6; -1 */
    } ports[PORTS_MAX];
    atomic_uint connections; /* and one for the main thread */
};

struct connection {
    struct forward *forward;
    uint16_t remote;
    int fd;
};

static const struct pod_option options[] = {
    SCOPE_NAMESPACE(struct forward),
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "pod port-forward",
    .help =
        "husk pod port-forward [-n NAMESPACE] POD [LOCAL:]REMOTE...\n"
        "\n"
        "Pass TCP connections to ports of this host's loopback on to ports of the pod's, until\n"
        "Ctrl-C, or until the pod ends. The pod needs no network for that. LOCAL 0, or :REMOTE,\n"
        "is any free port, which is said.\n" STATUSES_TEXT,
    .wants = "a pod and ports",
    .least = 2,
    .most = PORTS_MAX + 1,
    .options = options,
};

static int parse_port(const char *text, uint64_t least, uint16_t *out)
{
    uint64_t number;

    if (strspn(text, "0123456789") != strlen(text) || parse_u64(text, least, UINT16_MAX, &number))
        return -EINVAL;
    *out = (uint16_t)number;
    return 0;
}

static int parse_ports(char *word, struct port *out)
{
    char *colon = strchr(word, ':');
    const char *remote = colon ? colon + 1 : word;

    *out = (struct port){.listeners = {-1, -1}};
    if (colon)
        *colon = '\0';
    if (parse_port(remote, 1, &out->remote) ||
        (colon && word[0] && parse_port(word, 0, &out->local)))
        return -EINVAL;
    if (!colon)
        out->local = out->remote;
    return 0;
}

/* By each thread, the main one too, when it has done with it: the last one frees it. */
static void leave(struct forward *forward)
{
    if (atomic_fetch_sub(&forward->connections, 1) != 1)
        return;
    free(forward->name);
    free(forward);
}

/* ---- connections ---- */

static void *serve(void *arg)
{
    struct connection *connection = arg;
    struct forward *forward = connection->forward;
    struct husk_pods *pods = pods_open_all();
    struct husk_error err = {0};
    int inside = -1;

    if (pods && husk_pod_dial(pods, forward->name, NULL, connection->remote, &inside, &err))
        cli_error(&err);
    husk_pods_close(pods);
    if (inside >= 0)
        splice_sockets(connection->fd, inside);
    close_fd(&inside);
    close_fd(&connection->fd);
    free(connection);
    leave(forward);
    return NULL;
}

static bool start_thread(struct connection *connection)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, serve, connection))
        return false;
    pthread_detach(thread);
    return true;
}

static void take_connection(struct forward *forward, const struct port *port, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct connection *connection = fd < 0 ? NULL : malloc(sizeof(*connection));

    if (connection) {
        *connection = (struct connection){forward, port->remote, fd};
        if (atomic_fetch_add(&forward->connections, 1) <= CONNECTIONS_MAX &&
            start_thread(connection))
            return;
        atomic_fetch_sub(&forward->connections, 1);
        cli_message("port %u: too many connections", port->local);
    }
    free(connection);
    close_fd(&fd);
}

/* ---- listening ---- */

static int listen_at(const struct sockaddr *address, socklen_t len)
{
    int on = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, address, len) < 0 || listen(fd, SOMAXCONN) < 0) {
        int ret = -errno;

        close(fd);
        return ret;
    }
    return fd;
}

/* 127.0.0.1, and ::1 where there is one. */
static int open_port(struct port *port, struct husk_error *err)
{
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_port = htons(port->local),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(four);
    char text[16];

    snprintf(text, sizeof(text), "port %u", port->local);
    port->listeners[0] = listen_at((struct sockaddr *)&four, sizeof(four));
    if (port->listeners[0] < 0)
        return error_set(err, -port->listeners[0], text, "cannot be listened on", NULL);
    if (getsockname(port->listeners[0], (struct sockaddr *)&four, &len) < 0)
        return error_set(err, errno, text, "cannot be listened on", NULL);
    port->local = ntohs(four.sin_port);
    six.sin6_port = four.sin_port;
    port->listeners[1] = listen_at((struct sockaddr *)&six, sizeof(six));
    printf("Forwarding from 127.0.0.1:%u -> %u\n", port->local, port->remote);
    if (port->listeners[1] >= 0)
        printf("Forwarding from [::1]:%u -> %u\n", port->local, port->remote);
    fflush(stdout);
    return 0;
}

/* Until a signal, or the pod's end. */
static int loop(struct forward *forward, struct husk_pods *pods, int signals)
{
    struct pollfd polls[2 * PORTS_MAX + 1];
    int status;

    for (unsigned i = 0; i < forward->count; i++) {
        for (unsigned k = 0; k < 2; k++)
            polls[2 * i + k] =
                (struct pollfd){.fd = forward->ports[i].listeners[k], .events = POLLIN};
    }
    polls[2 * forward->count] = (struct pollfd){.fd = signals, .events = POLLIN};
    for (;;) {
        int ready = poll(polls, 2 * forward->count + 1, LOOK_MS);

        if (ready > 0 && polls[2 * forward->count].revents)
            return STATUS_OK;
        for (unsigned i = 0; ready > 0 && i < 2 * forward->count; i++) {
            if (polls[i].revents)
                take_connection(forward, &forward->ports[i / 2], polls[i].fd);
        }
        status = husk_pod_wait(pods, forward->name, HUSK_POD_ENDED, 0, NULL);
        if (status != -ETIMEDOUT) {
            cli_message("%s: has ended", forward->name);
            return STATUS_MONITOR_ERROR;
        }
    }
}

static int run(struct forward *forward, struct husk_pods *pods)
{
    struct husk_error err = {0};
    int signals, status = STATUS_MONITOR_ERROR;

    /* Whether it runs is known before anything listens. */
    if (husk_pod_wait(pods, forward->name, HUSK_POD_ENDED, 0, &err) != -ETIMEDOUT) {
        if (!err.code)
            error_set(&err, ESRCH, forward->name, "does not run", "it has ended");
        cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    signals = pods_open_signals();
    if (signals < 0)
        return STATUS_MONITOR_ERROR;
    err.code = 0;
    for (unsigned i = 0; !err.code && i < forward->count; i++)
        open_port(&forward->ports[i], &err);
    if (err.code)
        cli_error(&err);
    else
        status = loop(forward, pods, signals);
    for (unsigned i = 0; i < forward->count; i++) {
        close_fd(&forward->ports[i].listeners[0]);
        close_fd(&forward->ports[i].listeners[1]);
    }
    close_fd(&signals);
    return status;
}

int verb_port_forward(int argc, char **argv)
{
    struct forward *forward = calloc(1, sizeof(*forward)); /* for threads that outlive us, too */
    struct husk_pods *pods = NULL;
    char **words;
    unsigned count;
    int status;

    if (!forward) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_MONITOR_ERROR;
    }
    atomic_store(&forward->connections, 1);
    status = pod_options_parse(&syntax, forward, argc, argv, &words, &count);
    for (unsigned i = 1; !status && i < count; i++) {
        if (parse_ports(words[i], &forward->ports[forward->count++]))
            status = pod_usage(&syntax, "%s: wants [LOCAL:]REMOTE, ports of 1 to 65535", words[i]);
    }
    if (!status) {
        forward->name = scope_name(&forward->scope, words[0]);
        pods = forward->name ? pods_open_all() : NULL;
        status = pods ? run(forward, pods) : STATUS_MONITOR_ERROR;
    }
    husk_pods_close(pods);
    leave(forward);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
