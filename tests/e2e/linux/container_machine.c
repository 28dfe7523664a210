// SPDX-License-Identifier: Apache-2.0
/*
 * container-machine STORE IMAGE DIRECTORY MACHINE
 *
 * Starts the machine of a container (pod/machine/machine.h) and leaves the talking to a test:
 * prints
 *     {"vsock": PATH, "pid": N, "prepared_ns": N, "requests": […], "rootfs": {…}}
 * and, when the machine has ended by itself or standard input has,
 *     {"reason": NAME, "why": TEXT, "last": TEXT, "timeline": {NAME: NANOSECONDS, …}}
 * MACHINE is the object of pod/machine/options.h. Status 1, with one line of error, when it cannot.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pod/machine/machine.h"

static int fail(const struct husk_error *err)
{
    char text[600];

    fprintf(stderr, "container-machine: %s\n", husk_error_format(err, text, sizeof(text)));
    return 1;
}

static void say(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
}

static json_t *timeline_of(const struct husk_vm *vm)
{
    struct husk_moment moments[64];
    unsigned count = husk_vm_timeline(vm, moments, 64);
    json_t *object = json_object();

    for (unsigned i = 0; i < count; i++)
        json_object_set_new(object, moments[i].name, json_integer((json_int_t)moments[i].at_ns));
    return object;
}

/* Until the machine has stopped: by itself, or because the test has closed our standard input. */
static void wait_for_end(struct husk_vm *vm, struct husk_event *event)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = husk_vm_event_fd(vm), .events = POLLIN}};

    for (;;) {
        poll(fds, 2, -1);
        while (husk_vm_next_event(vm, event) == 1) {
            if (event->type == HUSK_EVENT_STOPPED)
                return;
        }
        if (fds[0].revents) {
            husk_vm_stop(vm, NULL);
            fds[0].fd = -1;
        }
    }
}

static json_int_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (json_int_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int run(struct pod_machine *machine, const char *vsock)
{
    json_int_t prepared = now();
    struct husk_vm_info info = {.size = sizeof(info)};
    struct husk_event event;
    struct husk_error err;
    struct husk_vm *vm;
    char last[1024];
    json_t *timeline;

    if (pod_machine_new_vm(machine, &vm, &err))
        return fail(&err);
    if (husk_vm_build(vm, &err) || husk_vm_start(vm, &err)) {
        husk_vm_free(vm);
        return fail(&err);
    }
    husk_vm_info(vm, &info);
    say(json_pack("{ss si sI sO sO}", "vsock", vsock, "pid", info.pid, "prepared_ns", prepared,
                  "requests", pod_machine_requests(machine), "rootfs",
                  json_array_get(pod_machine_rootfs(machine), 0)));
    wait_for_end(vm, &event);
    timeline = timeline_of(vm);
    husk_vm_free(vm);
    pod_machine_explain(machine, &event, &err);
    pod_machine_last_words(machine, last, sizeof(last));
    say(json_pack("{ss ss++ ss so}", "reason", husk_stop_reason_name(event.reason), "why", err.what,
                  err.why[0] ? ": " : "", err.why, "last", last, "timeline", timeline));
    return 0;
}

int main(int argc, char **argv)
{
    struct pod_machine_options options;
    struct pod_machine *machine;
    struct image_store *store;
    struct image_record record;
    struct digest layers[IMAGE_LAYERS_MAX];
    struct husk_error err;
    char vsock[96];
    int ret = 1, dir;
    json_t *object;

    if (argc != 5) {
        fprintf(stderr, "usage: container-machine STORE IMAGE DIRECTORY MACHINE\n");
        return 2;
    }
    object = json_loads(argv[4], JSON_REJECT_DUPLICATES, NULL);
    if (pod_machine_options_decode(object, &options, &err) ||
        image_store_open(argv[1], false, &store, &err))
        return fail(&err);
    dir = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(vsock, sizeof(vsock), "%s/v/socket", argv[3]);
    if (dir < 0 || mkdirat(dir, "v", 0755) < 0) {
        perror(argv[3]);
        return 1;
    }
    if (image_store_find(store, argv[2], &record, &err) == 0) {
        const struct machine_image image = {layers, record.layer_count};
        const struct pod_machine_place place = {
            .store = store, .images = &image, .image_count = 1, .dir = dir, .vsock_path = vsock};

        for (unsigned i = 0; i < record.layer_count; i++)
            layers[i] = record.layers[i].diff_id;
        if (pod_machine_create(&place, &options, &machine, &err) == 0) {
            ret = run(machine, vsock);
            pod_machine_destroy(machine);
        } else {
            fail(&err);
        }
    } else {
        fail(&err);
    }
    image_store_close(store);
    json_decref(object);
    close(dir);
    return ret;
}
