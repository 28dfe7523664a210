// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor's process: see supervise.h. Its start, in order: what it was given, the records,
 * signals, the control socket, the machine; then the loop until everything is over.
 */
#include "pod/supervisor/supervise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/control/process.h"
#include "pod/store/spawn.h"
#include "pod/supervisor/supervisor.h"

/* ---- signals ---- */

/* The host shuts down, or somebody wants this process to end: as `husk stop`. */
static void on_signal(void *arg, uint32_t events)
{
    struct supervisor *s = arg;

    (void)events;
    if (process_take_signal(s->signal_fd))
        stop_begin(s, (int)s->record.stop_signal, s->record.stop_grace_ms);
}

/* ---- start ---- */

static int read_records(struct supervisor *s, struct husk_error *err)
{
    int ret = container_load_spec(s->container, &s->record, err);

    if (ret)
        return ret;
    ret = spec_load(s->record.spec, "spec.json: spec", &s->spec, err);
    s->state.supervisor_pid = getpid();
    s->state.supervisor_start = process_start_time();
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
    int ret = log_file_open(s->container->dir, "log", s->record.log_file_bytes, s->record.log_files,
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
    ret = server_open(
        s->loop, s->log, listener,
        json_pack("{s:s, s:s}", "container", s->record.name, "container_id", s->record.id),
        &callbacks, &s->server);
    if (ret == 0) {
        s->processes.loop = s->loop;
        s->processes.log = s->log;
        s->processes.server = s->server;
        s->processes.container = s->record.name;
        server_adopt(s->server, s->first);
        s->first = -1;
    }
    return ret;
}

static int set_up(struct supervisor *s, const char *name, struct husk_error *err)
{
    int ret = entry_inherit(&container_kind, name, &s->container, err);

    if (ret)
        return ret;
    s->first = SPAWN_FD_FIRST;
    ret = read_records(s, err);
    if (ret)
        return ret;
    ret = event_loop_create(&s->loop);
    if (ret == 0)
        ret = process_watch_signals(s->loop, on_signal, s, &s->signal_fd, &s->signal_source);
    if (ret == 0)
        ret = make_parts(s);
    if (ret == 0)
        ret = serve(s);
    return ret ? error_set(err, -ret, name, "cannot be supervised", NULL) : 0;
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
    s->state.finished_ns = process_now_ns();
    state_set_error(s, error_format(error, text, sizeof(text)));
    (void)container_save_state(s->container, &s->state, s->record.created_ns, NULL);
    if (s->record.remove)
        (void)entry_remove_own(s->container, NULL);
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
    entry_close(s->container);
}

int supervisor_main(int argc, char *const argv[], const struct machine_ops *ops)
{
    const struct log log = {.sink = process_log_line, .level = LOG_LEVEL_WARN};
    struct supervisor s = {.ops = ops, .log = &log, .first = -1, .signal_fd = -1};
    struct husk_error error = {.code = 0};
    char text[512];
    int ret;

    LIST_INIT(&s.processes.list);
    if (argc != 3 || !container_name_valid(argv[2])) {
        log_error(&log, "supervisor", "supervise NAME is what `husk run` starts");
        return STATUS_HUSK;
    }
    ret = set_up(&s, argv[2], &error);
    if (ret) {
        log_error(&log, "supervisor", "%s", error_format(&error, text, sizeof(text)));
        record_failure(&s, &error);
        process_tell_first(s.first, &error);
    } else {
        if (life_begin(&s, &error))
            life_fail(&s, &error, STATUS_HUSK);
        ret = event_loop_run(s.loop);
    }
    clean_up(&s);
    return ret || s.record_failed ? STATUS_HUSK : 0;
}
