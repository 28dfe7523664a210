// SPDX-License-Identifier: Apache-2.0
/*
 * The agent: one thread reconciles, the main thread serves HTTP and takes signals.
 *
 * Nothing that it knows is needed by the next agent: what is wanted is in the files, what there is
 * in the pods, and whose they are is written on them.
 */
#include "cli/node/node.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/thread.h"
#include "cli/node/api.h"
#include "cli/node/reconcile.h"
#include "http/api_socket.h"

#define NS_PER_US      1000u
#define NS_PER_MS      1000000ull
#define NS_PER_S       1000000000ull
#define PAUSE_MS       100 /* between two rounds at least: changes come in bursts */
#define SETTLE_MS      200 /* a directory has come to rest when nothing happened for so long, */
#define SETTLE_TURNS   10  /* and is looked at after so many times of it in any case */
#define END_PATIENCE_S 10u /* for visits, when the agent ends */

struct node {
    const struct node_options *options;
    char directory[PATH_MAX];
    char name[256];
    struct husk_pods_options pods_options;
    struct husk_pod_create_options create;
    struct node_library library;
    struct node_pods pods;
    struct source *source;
    struct events *events;
    struct metrics metrics;
    struct reconciler *reconciler;
    struct api *api;
    struct api_socket socket;
    struct http_server *http;
    int signal_fd, wake_fd;
    atomic_bool stopping;
    pthread_t thread;
    bool has_thread;
};

/* ---- the reconcile thread ---- */

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};

    return poll(&at, 1, timeout_ms) == 1;
}

/* An editor writes in several steps. */
static void settle(struct node *node)
{
    for (int i = 0; i < SETTLE_TURNS && !node->stopping; i++) {
        source_clear(node->source);
        if (!is_readable(source_fd(node->source), SETTLE_MS))
            return;
    }
    source_clear(node->source);
}

/* Until there may be something to do. */
static void wait_for_news(struct node *node, uint64_t timeout_ns)
{
    struct pollfd fds[] = {
        {.fd = node->wake_fd, .events = POLLIN},
        {.fd = source_fd(node->source), .events = POLLIN},
        {.fd = husk_pods_watch_fd(node->library.pods), .events = POLLIN},
    };
    uint64_t ms = min_u64(timeout_ns, node->options->resync_ns) / NS_PER_MS + 1;

    is_readable(node->wake_fd, PAUSE_MS);
    poll(fds, 3, (int)ms);
    eventfd_drain(node->wake_fd);
    if (fds[1].revents)
        settle(node);
    husk_pods_watch_clear(node->library.pods);
}

/* What an agent that was killed had half made, and what the dead have left. */
static void tidy(struct node *node)
{
    struct husk_error err = {0};
    char text[512];

    if (!husk_pods_tidy(node->library.pods, &err))
        return;
    events_add(node->events, &(struct event){.warning = true,
                                             .kind = "Node",
                                             .name = node->name,
                                             .reason = "FailedTidy",
                                             .message = error_format(&err, text, sizeof(text))});
}

static void *run_reconciler(void *arg)
{
    struct node *node = arg;

    tidy(node);
    while (!node->stopping) {
        uint64_t next_ns = reconciler_round(node->reconciler, monotonic_ns());

        if (next_ns && !node->stopping)
            wait_for_news(node, next_ns);
    }
    return NULL;
}

/* ---- making it ---- */

static int find_directory(struct node *node, struct husk_error *err)
{
    static const char wrong[] = "cannot keep the directory of manifests";
    const char *given = node->options->manifests;
    char here[PATH_MAX];
    size_t len;

    /* Its name is written on pods, so it must always be the same. */
    if (realpath(given, node->directory))
        return 0;
    if (errno != ENOENT)
        return error_set(err, errno, given, wrong, NULL);
    if (*given != '/' && !getcwd(here, sizeof(here)))
        return error_set(err, errno, given, wrong, NULL);
    if ((size_t)snprintf(node->directory, sizeof(node->directory), "%s%s%s",
                         *given == '/' ? "" : here, *given == '/' ? "" : "/",
                         given) >= sizeof(node->directory))
        return error_set(err, ENAMETOOLONG, given, wrong, NULL);
    for (len = strlen(node->directory); len > 1 && node->directory[len - 1] == '/'; len--)
        node->directory[len - 1] = '\0';
    return 0;
}

static void find_name(struct node *node)
{
    if (node->options->name)
        snprintf(node->name, sizeof(node->name), "%s", node->options->name);
    else if (gethostname(node->name, sizeof(node->name) - 1))
        snprintf(node->name, sizeof(node->name), "localhost");
}

static int block_signals(struct node *node, struct husk_error *err)
{
    sigset_t signals;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    node->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    node->wake_fd = eventfd_open();
    if (node->signal_fd < 0 || node->wake_fd < 0)
        return error_set(err, errno, "", "cannot take signals", NULL);
    return 0;
}

static int make_reconciler(struct node *node, struct husk_error *err)
{
    static const char wrong[] = "cannot start the agent";
    struct reconciler_options options = {
        .pods = &node->pods,
        .metrics = &node->metrics,
        .backoff = node->options->backoff,
        .directory = node->directory,
        .node = node->name,
    };
    int ret = source_create(node->directory, &node->source);

    if (ret)
        return error_set(err, -ret, node->directory, wrong, NULL);
    node->events = events_create(STDERR_FILENO, node->name, (uint64_t)realtime_ns() / NS_PER_US);
    options.source = node->source;
    options.events = node->events;
    node->reconciler = node->events ? reconciler_create(&options) : NULL;
    return node->reconciler ? 0 : error_set(err, ENOMEM, "", wrong, NULL);
}

static int listen_at(struct node *node, struct husk_error *err)
{
    static const struct http_options options = {.body_max_bytes = API_BODY_MAX_BYTES,
                                                .later = true};
    struct api_options api = {
        .events = node->events,
        .metrics = &node->metrics,
        .reconciler = node->reconciler,
        .pods = &node->pods_options,
        .create = &node->create,
        .directory = node->directory,
        .well_ns = 2 * node->options->resync_ns + 60 * NS_PER_S,
    };
    struct http_handler handler;
    int ret;

    if (!node->options->listen)
        return 0;
    ret = api_socket_open(&node->socket, node->options->listen, err);
    if (ret)
        return ret;
    node->api = api_create(&api);
    if (!node->api)
        return error_set(err, ENOMEM, "", "cannot serve the API", NULL);
    api_handler(node->api, &handler);
    ret = http_server_create(&handler, &options, node->socket.fd, &node->http);
    return ret ? error_set(err, -ret, node->options->listen, "cannot serve the API", NULL) : 0;
}

static int make(struct node *node, struct husk_error *err)
{
    int ret = find_directory(node, err);

    find_name(node);
    node->create.network = node->options->network;
    node->create.kernel = node->options->kernel;
    if (!ret)
        ret = block_signals(node, err);
    if (!ret)
        ret = husk_pods_open(&node->pods_options, &node->library.pods, err);
    if (ret)
        return ret;
    node->library.create = &node->create;
    node_pods_library(&node->library, &node->pods);
    ret = make_reconciler(node, err);
    if (!ret)
        ret = listen_at(node, err);
    if (ret)
        return ret;
    ret = thread_start(&node->thread, "husk-reconcile", 0, run_reconciler, node);
    node->has_thread = !ret;
    return ret ? error_set(err, -ret, "", "cannot start the agent", NULL) : 0;
}

/* ---- the main thread ---- */

static void take_signals(struct node *node)
{
    struct signalfd_siginfo info;

    while (read(node->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGHUP)
            node->stopping = true;
        eventfd_signal(node->wake_fd);
    }
}

static void turn(struct node *node, int timeout_ms)
{
    struct pollfd fds[] = {
        {.fd = node->signal_fd, .events = POLLIN},
        {.fd = node->http ? http_server_fd(node->http) : -1, .events = POLLIN},
        {.fd = node->api ? api_fd(node->api) : -1, .events = POLLIN},
    };
    int http_ms = node->http ? http_server_timeout_ms(node->http) : -1;

    if (timeout_ms < 0 || (http_ms >= 0 && http_ms < timeout_ms))
        timeout_ms = http_ms;
    poll(fds, 3, timeout_ms);
    take_signals(node);
    if (node->http)
        http_server_run(node->http);
    if (node->api)
        api_collect(node->api);
}

/* Lets visits end. False when some do not: they stand in the library. */
static bool end_visits(struct node *node)
{
    uint64_t until_ns = monotonic_ns() + END_PATIENCE_S * NS_PER_S;

    if (!node->api)
        return true;
    api_stop(node->api);
    while (api_visits(node->api) && monotonic_ns() < until_ns)
        turn(node, 100);
    return !api_visits(node->api);
}

/* Half-made, too. What a visit still uses stays: the process ends. */
static void destroy(struct node *node)
{
    if (node->has_thread)
        pthread_join(node->thread, NULL);
    api_socket_close(&node->socket);
    if (!end_visits(node))
        return;
    http_server_destroy(node->http);
    api_destroy(node->api);
    reconciler_destroy(node->reconciler);
    source_destroy(node->source);
    events_destroy(node->events);
    husk_pods_close(node->library.pods);
    close_fd(&node->signal_fd);
    close_fd(&node->wake_fd);
    free(node);
}

int node_run(const struct node_options *options, struct husk_error *err)
{
    struct node *node = calloc(1, sizeof(*node));
    int ret;

    if (!node)
        return error_set(err, ENOMEM, "", "cannot start the agent", NULL);
    node->options = options;
    node->pods_options = (struct husk_pods_options)HUSK_PODS_OPTIONS_INIT;
    node->create = (struct husk_pod_create_options)HUSK_POD_CREATE_OPTIONS_INIT;
    node->socket.fd = node->signal_fd = node->wake_fd = -1;
    ret = make(node, err);
    if (!ret)
        events_add(node->events, &(struct event){.kind = "Node",
                                                 .name = node->name,
                                                 .reason = "AgentStarted",
                                                 .message = node->directory});
    while (!ret && !node->stopping)
        turn(node, -1);
    destroy(node);
    return ret;
}
