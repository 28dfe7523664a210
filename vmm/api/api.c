// SPDX-License-Identifier: Apache-2.0
/* The API's life, and what its handlers share: see api.h and state.h. */
#include "vmm/api/api.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/api/device_kind.h"

/* Enough to empty the console's pipe. */
#define FAREWELL_TURNS 4u

int need_not_started(const struct api *api, struct api_fault *fault)
{
    return api->vm ? api_fault_set(fault, "The requested operation is not supported after starting "
                                          "the microVM.")
                   : 0;
}

int need_started(const struct api *api, struct api_fault *fault)
{
    return api->vm ? 0
                   : api_fault_set(fault, "The requested operation is not supported before "
                                          "starting the microVM.");
}

int need_pci(const struct api *api, struct api_fault *fault)
{
    return api->options.enable_pci
               ? 0
               : api_fault_set(fault,
                               "PCI is not enabled: devices of the host, and all that come and "
                               "go after the start, are on a PCI bus only (--enable-pci).");
}

int read_body(const struct api_call *call, const struct json_shape *shape, void *out,
              struct api_fault *fault)
{
    return json_read(shape, call->body, out, fault) ? api_fault_prefix(fault, BODY_FAULT) : 0;
}

int api_create(const struct api_options *options, struct api **out, struct husk_error *err)
{
    struct api *api = calloc(1, sizeof(*api));

    if (!api)
        return error_set(err, ENOMEM, "", "cannot create the API", NULL);
    snprintf(api->id, sizeof(api->id), "%s", options->id ? options->id : API_ID_DEFAULT);
    api->options = *options;
    api->options.id = api->id;
    machine_defaults(&api->machine);
    log_init(&api->log, api->id);
    metrics_init(&api->metrics);
    console_init(&api->console);
    *out = api;
    return 0;
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    metrics_write(api);
    /* The VM writes out what its guest said last: into a pipe that nobody empties meanwhile. */
    for (unsigned i = 0; i < FAREWELL_TURNS; i++)
        console_run(&api->console);
    if (!api->attached)
        husk_vm_free(api->vm);
    console_close(&api->console);
    json_release(&boot_shape, &api->boot);
    device_release_all(api, &drive_kind);
    device_release_all(api, &net_kind);
    device_release_all(api, &vfio_kind);
    json_release(&vsock_shape, &api->vsock);
    json_release(&serial_shape, &api->serial);
    cpu_release(&api->cpu);
    metrics_close(&api->metrics);
    log_close(&api->log);
    free(api);
}

/* Options of the command line go through the same reader as a request's body. */
static int apply_text(struct api *api, json_t *body, const struct json_shape *shape, void *out,
                      const char *where, struct husk_error *err)
{
    struct api_fault fault = {0};
    int ret = body ? json_read(shape, body, out, &fault) : -EINVAL;

    json_decref(body);
    return ret ? error_set(err, EINVAL, where, "invalid value", "%s", fault.text) : 0;
}

int api_set_log(struct api *api, const struct api_log_options *options, struct husk_error *err)
{
    struct logger_settings logger = {0};
    json_t *body = json_pack("{s:s?, s:s?, s:s?}", "log_path", options->path, "level",
                             options->level, "module", options->module);
    int ret = apply_text(api, body, &logger_shape, &logger, "log-path, level, module", err);

    if (ret)
        return ret;
    logger.show_level = (struct json_flag){options->show_level, true};
    logger.show_log_origin = (struct json_flag){options->show_origin, true};
    ret = log_configure(&api->log, &logger);
    if (ret)
        error_set(err, -ret, options->path, "Could not initialize logger", NULL);
    json_release(&logger_shape, &logger);
    return ret;
}

int api_set_metrics_path(struct api *api, const char *path, struct husk_error *err)
{
    struct metrics_settings metrics = {0};
    struct api_fault fault = {0};
    int ret = apply_text(api, json_pack("{s:s}", "metrics_path", path), &metrics_shape, &metrics,
                         "metrics-path", err);

    if (ret)
        return ret;
    ret = metrics_configure(&api->metrics, &metrics, &fault);
    if (ret)
        error_set(err, EINVAL, path, "Could not initialize metrics", "%s", fault.text);
    json_release(&metrics_shape, &metrics);
    return ret;
}

void api_log_info(struct api *api, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vprint(&api->log, HUSK_LOG_INFO, format, args);
    va_end(args);
}

void api_log_error(struct api *api, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vprint(&api->log, HUSK_LOG_ERROR, format, args);
    va_end(args);
}

struct husk_vm *api_vm(const struct api *api)
{
    return api->vm;
}

static void note_gone(struct api *api, const struct husk_event *event)
{
    static const struct device_kind *const kinds[] = {
        [HUSK_DEVICE_DRIVE] = &drive_kind,
        [HUSK_DEVICE_NET] = &net_kind,
        [HUSK_DEVICE_VFIO] = &vfio_kind,
    };
    const struct device_kind *kind = kinds[event->device.kind];

    log_print(&api->log, HUSK_LOG_INFO, "The %s %s is gone.", kind->noun, event->device.id);
    device_gone(api, kind, event->device.id);
}

void api_note_event(struct api *api, const struct husk_event *event)
{
    char text[600];

    switch (event->type) {
    case HUSK_EVENT_READY:
        if (api->options.boot_timer)
            log_print(&api->log, HUSK_LOG_INFO, "Guest-boot-time = %6" PRIu64 " us",
                      (monotonic_ns() - api->started_ns) / 1000);
        break;
    case HUSK_EVENT_PAUSED:
    case HUSK_EVENT_RESUMED:
        break;
    case HUSK_EVENT_DEVICE_REMOVED:
        note_gone(api, event);
        break;
    case HUSK_EVENT_DEVICE_WANTED:
        log_print(&api->log, HUSK_LOG_WARN, "The host wants the device %s back.", event->device.id);
        break;
    case HUSK_EVENT_STOPPED:
        if (event->reason == HUSK_STOP_MONITOR_ERROR)
            log_print(&api->log, HUSK_LOG_ERROR, "The microVM ended: %s",
                      error_format(&event->error, text, sizeof(text)));
        else
            log_print(&api->log, HUSK_LOG_INFO, "The microVM ended: %s",
                      husk_stop_reason_name(event->reason));
        break;
    }
}

void api_console_poll(const struct api *api, struct pollfd *out)
{
    console_poll(&api->console, out);
}

int api_console_timeout_ms(const struct api *api)
{
    return console_timeout_ms(&api->console);
}

void api_console_run(struct api *api)
{
    console_run(&api->console);
    api->metrics.serial_dropped_bytes = api->console.dropped_bytes;
}

/* The times as the start-up's parts were given to us: `start` is a moment of CLOCK_MONOTONIC,
 * `start_cpu` this process's CPU time then, `parent` what its parent had used. */
void api_note_ready(struct api *api)
{
    const struct api_options *options = &api->options;
    struct timespec cpu;
    uint64_t cpu_us, now_us = monotonic_ns() / 1000;

    if (options->start_time_us && now_us > options->start_time_us)
        api->metrics.startup_time_us = now_us - options->start_time_us;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;
    if (options->start_time_cpu_us && cpu_us > options->start_time_cpu_us)
        api->metrics.startup_cpu_us =
            cpu_us - options->start_time_cpu_us + options->parent_cpu_time_us;
}
