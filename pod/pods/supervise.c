// SPDX-License-Identifier: Apache-2.0
/*
 * The process of a pod's supervisor: see supervise.h. Its start, in order: what it was given, the
 * records, signals, the control socket, the pod; then the loop until everything is over.
 */
#include "pod/pods/supervise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/requests.h"
#include "pod/store/spawn.h"

/* The host shuts down, or somebody wants this process to end: as `husk pod stop`. */
static void on_signal(void *arg, uint32_t events)
{
    struct pod *pod = arg;

    (void)events;
    if (process_take_signal(pod->signal_fd))
        pod_ending_stop(pod, pod_ending_grace_ms(pod));
}

/* The state is that of the last supervisor, if there was one: it has ended. */
static int read_records(struct pod *pod, struct husk_error *err)
{
    int ret = pod_load_record(pod->entry, &pod->record, err);

    if (ret == 0)
        ret = pod_load_state(pod->entry, &pod->state, err);
    pod->state.supervisor_pid = getpid();
    pod->state.supervisor_start = process_start_time();
    pod->state.machine_pid = 0;
    return ret;
}

static int serve(struct pod *pod)
{
    const struct server_callbacks callbacks = {
        .request = pod_requests_handle, .closed = pod_requests_closed, .arg = pod};
    int listener = pod->entry->listener, ret;

    pod->entry->listener = -1;
    ret = server_open(pod->loop, pod->log, listener,
                      json_pack("{s:s, s:s}", "pod", pod->record.key, "uid", pod->record.uid),
                      &callbacks, &pod->server);
    if (ret == 0) {
        server_adopt(pod->server, pod->first);
        pod->first = -1;
    }
    return ret;
}

static int set_up(struct pod *pod, const char *key, struct husk_error *err)
{
    int ret = entry_inherit(&pod_kind, key, &pod->entry, err);

    if (ret)
        return ret;
    pod->first = SPAWN_FD_FIRST;
    ret = read_records(pod, err);
    if (ret)
        return ret;
    ret = event_loop_create(&pod->loop);
    if (ret == 0)
        ret =
            process_watch_signals(pod->loop, on_signal, pod, &pod->signal_fd, &pod->signal_source);
    if (ret == 0)
        ret = serve(pod);
    return ret ? error_set(err, -ret, key, "cannot be supervised", NULL)
               : pod_life_create(pod, err);
}

/* What could not even be begun is recorded all the same. */
static void record_failure(struct pod *pod, const struct husk_error *error)
{
    char text[512];

    if (!pod->entry || !pod->record.pod)
        return;
    json_decref(pod->state.status);
    pod->state.status = json_pack("{s:s, s:s, s:s}", "phase", "Failed", "reason", "StartError",
                                  "message", error_format(error, text, sizeof(text)));
    if (pod->state.status)
        (void)pod_save_state(pod->entry, &pod->state, NULL);
    if (pod->record.remove)
        (void)entry_remove_own(pod->entry, NULL);
}

static void clean_up(struct pod *pod)
{
    network_worker_join(&pod->network);
    for (unsigned i = 0; i < pod->container_count; i++)
        container_destroy(&pod->containers[i]);
    free(pod->containers);
    images_destroy(&pod->images);
    if (pod->loop)
        asking_destroy(&pod->preparing);
    server_close(pod->server);
    event_loop_destroy(pod->loop);
    close_fd(&pod->signal_fd);
    close_fd(&pod->first);
    free(pod->end_waiters.list);
    free(pod->ready_waiters.list);
    free(pod->network_request);
    free(pod->network_result);
    if (pod->planned)
        plan_clear(&pod->plan);
    pod_state_clear(&pod->state);
    pod_record_clear(&pod->record);
    entry_close(pod->entry);
    free(pod);
}

int pod_supervisor_main(int argc, char *const argv[], const struct machine_ops *ops)
{
    const struct log log = {.sink = process_log_line, .level = LOG_LEVEL_WARN};
    struct pod *pod = calloc(1, sizeof(*pod));
    struct husk_error error = {.code = 0};
    char text[512];
    int ret;

    if (!pod || argc != 3 || !pod_key_valid(argv[2])) {
        log_error(&log, "supervisor", "supervise-pod KEY is what `husk pod start` starts");
        free(pod);
        return STATUS_HUSK;
    }
    pod->ops = ops;
    pod->log = &log;
    pod->first = pod->signal_fd = -1;
    LIST_INIT(&pod->dials);
    ret = set_up(pod, argv[2], &error);
    if (ret) {
        log_error(&log, "supervisor", "%s", error_format(&error, text, sizeof(text)));
        record_failure(pod, &error);
        process_tell_first(pod->first, &error);
    } else {
        pod_life_begin(pod);
        ret = event_loop_run(pod->loop);
    }
    ret = ret || pod->record_failed ? STATUS_HUSK : 0;
    clean_up(pod);
    return ret;
}
