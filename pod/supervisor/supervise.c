// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor's process: see supervise.h. Its start, in order: what it was given, the records,
 * signals, the control socket, the machine; then the loop until everything is over.
 */
#include "pod/supervisor/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/agent/frame.h"
#include "pod/supervisor/spawn.h"
#include "pod/supervisor/supervisor.h"

/* Standard error is the file `errors` of the container's directory. */
static void write_line(void *arg, enum log_level level, const char *line)
{
    char text[1200];
    struct timespec now;
    struct tm tm;
    size_t len;

    (void)arg;
    (void)level;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ ", &tm);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "%.1100s", line);
    text[len++] = '\n';
    (void)!write(STDERR_FILENO, text, len);
}

/* Field 22 of /proc/self/stat, behind the name in brackets; 0 when it cannot be read. */
static uint64_t start_time(void)
{
    char text[1024], *at;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close_fd(&fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    at = strrchr(text, ')');
    for (unsigned field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

/* ---- signals ---- */

/* The host shuts down, or somebody wants this process to end: as `husk stop`. */
static void on_signal(void *arg, uint32_t events)
{
    struct supervisor *s = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        stop_begin(s, (int)s->record.stop_signal, s->record.stop_grace_ms);
}

/* Disk and socket tell by error numbers; a terminal that this has not got says nothing. */
static int take_signals(struct supervisor *s)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t ending;

    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    (void)sigaction(SIGHUP, &ignore, NULL);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    if (sigprocmask(SIG_BLOCK, &ending, NULL) < 0)
        return -errno;
    s->signal_fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return -errno;
    return event_loop_add(s->loop, s->signal_fd, EPOLLIN, on_signal, s, &s->signal_source);
}

/* ---- start ---- */

static int read_records(struct supervisor *s, struct husk_error *err)
{
    int ret = container_load_spec(s->container, &s->record, err);

    if (ret)
        return ret;
    ret = spec_load(s->record.spec, "spec.json: spec", &s->spec, err);
    s->state.supervisor_pid = getpid();
    s->state.supervisor_start = start_time();
    return ret;
}

static int make_parts(struct supervisor *s)
{
    struct hub_options options = {
        .terminal =
            json_is_true(json_object_get(json_object_get(s->spec.config, "process"), "terminal")),
        .stdin_mode = s->record.stdin_mode,
        .drained = ending_drained,
        .arg = s,
    };
    int ret = log_file_open(s->container->dir, s->record.log_file_bytes, s->record.log_files,
                            &s->log_file);

    options.log_file = s->log_file;
    if (ret == 0)
        ret = hub_create(s->loop, &options, &s->hub);
    if (ret == 0)
        ret = event_loop_add_timer(s->loop, ending_timer, s, &s->phase_timer);
    if (ret == 0)
        ret = event_loop_add_timer(s->loop, state_save_again, s, &s->save_timer);
    return ret ? ret : stop_create(s);
}

static int serve(struct supervisor *s)
{
    const struct server_callbacks callbacks = {
        .request = requests_handle, .closed = requests_closed, .arg = s};
    int listener = s->container->listener, ret;

    s->container->listener = -1;
    ret = server_open(s->loop, s->log, listener, s->record.name, s->record.id, &callbacks,
                      &s->server);
    if (ret == 0) {
        server_adopt(s->server, s->first);
        s->first = -1;
    }
    return ret;
}

static int set_up(struct supervisor *s, const char *name, struct husk_error *err)
{
    int ret = container_inherit(name, &s->container, err);

    if (ret)
        return ret;
    s->first = SPAWN_FD_FIRST;
    ret = read_records(s, err);
    if (ret)
        return ret;
    ret = event_loop_create(&s->loop);
    if (ret == 0)
        ret = take_signals(s);
    if (ret == 0)
        ret = make_parts(s);
    if (ret == 0)
        ret = serve(s);
    return ret ? error_set(err, -ret, name, "cannot be supervised", NULL) : 0;
}

/* Before there is a server: the first client waits for an answer to its hello. */
static void tell_first(struct supervisor *s, const struct husk_error *error)
{
    struct frame_writer writer = {.limit = CONTROL_FRAME_MAX};
    json_t *message = json_pack("{s:o}", "error", server_error_json(error, STATUS_HUSK));

    if (s->first >= 0 && message && frame_queue(&writer, message, CONTROL_FRAME_MAX) == 0)
        (void)frame_flush(&writer, s->first);
    frame_writer_clear(&writer);
    json_decref(message);
}

/* What could not even be served is recorded all the same. */
static void record_failure(struct supervisor *s, const struct husk_error *error)
{
    char text[sizeof(s->state.error)];

    if (!s->container)
        return;
    s->state.status = CONTAINER_EXITED;
    s->state.ended = true;
    s->state.exit = (struct container_exit){.status = STATUS_HUSK};
    s->state.finished_ns = state_now_ns();
    state_set_error(s, error_format(error, text, sizeof(text)));
    (void)container_save_state(s->container, &s->state, s->record.created_ns, NULL);
    if (s->record.remove)
        (void)container_remove_own(s->container, NULL);
}

static void clean_up(struct supervisor *s)
{
    server_close(s->server);
    hub_destroy(s->hub);
    log_file_close(s->log_file);
    event_loop_destroy(s->loop);
    close_fd(&s->signal_fd);
    close_fd(&s->first);
    free(s->waiters.list);
    json_decref(s->plan.requests);
    json_decref(s->plan.rootfs);
    spec_clear(&s->spec);
    container_spec_clear(&s->record);
    container_close(s->container);
}

int supervisor_main(int argc, char *const argv[], const struct machine_ops *ops)
{
    const struct log log = {.sink = write_line, .level = LOG_LEVEL_WARN};
    struct supervisor s = {.ops = ops, .log = &log, .first = -1, .signal_fd = -1};
    struct husk_error error = {.code = 0};
    char text[512];
    int ret;

    LIST_INIT(&s.processes);
    if (argc != 3 || !container_name_valid(argv[2])) {
        log_error(&log, "supervisor", "supervise NAME is what `husk run` starts");
        return STATUS_HUSK;
    }
    ret = set_up(&s, argv[2], &error);
    if (ret) {
        log_error(&log, "supervisor", "%s", error_format(&error, text, sizeof(text)));
        record_failure(&s, &error);
        tell_first(&s, &error);
    } else {
        if (life_begin(&s, &error))
            life_fail(&s, &error, STATUS_HUSK);
        ret = event_loop_run(s.loop);
    }
    clean_up(&s);
    return ret || s.record_failed ? STATUS_HUSK : 0;
}
