// SPDX-License-Identifier: Apache-2.0
/* Collecting and writing metrics: see metrics.h. How a line looks is metrics_format.c's. */
#include "vmm/api/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "vmm/api/log.h"
#include "vmm/api/metrics_format.h"
#include "vmm/api/state.h"

#define PERIOD_NS      60000000000ull
#define PROPERTIES_MAX 64u

const char *const api_counter_names[COUNTERS] = {
    [COUNT_INSTANCE_INFO] = "instance_info",
    [COUNT_VMM_VERSION] = "vmm_version",
    [COUNT_ACTIONS] = "actions",
    [COUNT_BOOT_SOURCE] = "boot_source",
    [COUNT_CPU_CFG] = "cpu_cfg",
    [COUNT_DRIVE] = "drive",
    [COUNT_HOTPLUG_MEMORY] = "hotplug_memory",
    [COUNT_LOGGER] = "logger",
    [COUNT_MACHINE_CFG] = "machine_cfg",
    [COUNT_METRICS] = "metrics",
    [COUNT_MMDS] = "mmds",
    [COUNT_NETWORK] = "network",
    [COUNT_PMEM] = "pmem",
    [COUNT_SERIAL] = "serial",
    [COUNT_VSOCK] = "vsock",
};

void metrics_init(struct api_metrics *metrics)
{
    memset(metrics, 0, sizeof(*metrics));
    metrics->fd = -1;
}

void metrics_close(struct api_metrics *metrics)
{
    close_fd(&metrics->fd);
    json_decref(metrics->properties);
    free(metrics->unfinished);
    free(metrics->last);
    metrics_init(metrics);
}

static int check_properties(const json_t *properties, struct api_fault *fault)
{
    const char *key;
    json_t *value;

    if (!json_is_object(properties))
        return api_fault_set(fault,
                             "Metrics error: properties: invalid type: %s, expected an "
                             "object of strings",
                             json_type_name(properties));
    if (json_object_size(properties) > PROPERTIES_MAX)
        return api_fault_set(fault, "Metrics error: properties: more than %u", PROPERTIES_MAX);
    json_object_foreach((json_t *)properties, key, value)
    {
        if (!json_is_string(value))
            return api_fault_set(fault,
                                 "Metrics error: properties: %.64s: invalid type: %s, "
                                 "expected a string",
                                 key, json_type_name(value));
    }
    return 0;
}

int metrics_configure(struct api_metrics *metrics, const struct metrics_settings *settings,
                      struct api_fault *fault)
{
    static const char bad[] = "Metrics error: metrics_path: Cannot initialize the metrics system "
                              "due to bad user input";
    int fd;

    if (metrics->fd >= 0)
        return api_fault_set(fault, "%s: Reinitialization of metrics not allowed.", bad);
    if (settings->properties && !json_is_null(settings->properties) &&
        check_properties(settings->properties, fault))
        return -EINVAL;
    fd = open_sink(settings->metrics_path);
    if (fd < 0)
        return api_fault_set(fault, "%s: %s: %s", bad, settings->metrics_path, strerror(-fd));
    metrics->fd = fd;
    metrics->emit_id = settings->emit_id.value;
    if (json_is_object(settings->properties))
        metrics->properties = json_incref(settings->properties);
    metrics->next_ns = monotonic_ns() + PERIOD_NS;
    return 0;
}

/* Devices that the VM does not know keep zeroes; so does everything before the start. */
static void collect(struct api *api, struct metrics_values *now)
{
    memset(now, 0, sizeof(*now));
    memcpy(now->requests, api->metrics.requests, sizeof(now->requests));
    now->deprecated_calls = api->metrics.deprecated_calls;
    now->missed_metrics = api->metrics.missed_metrics;
    now->missed_log = atomic_load_explicit(&api->log.missed, memory_order_relaxed);
    now->serial_dropped_bytes = api->metrics.serial_dropped_bytes;
    if (!api->vm)
        return;
    now->vm.size = sizeof(now->vm);
    husk_vm_stats(api->vm, &now->vm, NULL);
    for (unsigned i = 0; i < api->drive_count; i++) {
        now->drives[i].size = sizeof(now->drives[i]);
        husk_vm_drive_stats(api->vm, api->drives[i].drive_id, &now->drives[i], NULL);
    }
    for (unsigned i = 0; i < api->net_count; i++) {
        now->nets[i].size = sizeof(now->nets[i]);
        husk_vm_net_stats(api->vm, api->nets[i].iface_id, &now->nets[i], NULL);
    }
}

/* Complete the line that went out in part. 0, or -errno when it still does not fit. */
static int finish_line(struct api_metrics *metrics)
{
    ssize_t n;

    if (!metrics->unfinished)
        return 0;
    n = write(metrics->fd, metrics->unfinished, metrics->unfinished_len);
    if (n < 0)
        return -errno;
    if ((size_t)n < metrics->unfinished_len) {
        metrics->unfinished_len -= (size_t)n;
        memmove(metrics->unfinished, metrics->unfinished + n, metrics->unfinished_len);
        return -EAGAIN;
    }
    free(metrics->unfinished);
    metrics->unfinished = NULL;
    return 0;
}

/* Takes the line, which ends in a newline, over. 0 when it went out, if only in part: the rest
 * follows. -errno when nothing did. */
static int write_line(struct api_metrics *metrics, char *line)
{
    size_t len = strlen(line);
    int ret = finish_line(metrics);
    ssize_t n = ret ? -1 : write(metrics->fd, line, len);

    if (n < 0) {
        ret = ret ? ret : -errno;
        free(line);
        return ret;
    }
    if ((size_t)n == len) {
        free(line);
        return 0;
    }
    memmove(line, line + n, len - (size_t)n + 1);
    metrics->unfinished = line;
    metrics->unfinished_len = len - (size_t)n;
    return 0;
}

static int write_values(struct api *api, struct metrics_values *now)
{
    struct api_metrics *metrics = &api->metrics;
    char *line = metrics_json(api, now, metrics->last);
    int ret = line ? write_line(metrics, line) : -ENOMEM;

    if (ret) {
        metrics->missed_metrics++;
        free(now);
        return ret;
    }
    free(metrics->last);
    metrics->last = now;
    return 0;
}

int metrics_write(struct api *api)
{
    struct metrics_values *now;

    if (api->metrics.fd < 0)
        return 0;
    now = malloc(sizeof(*now));
    if (!now)
        return -ENOMEM;
    collect(api, now);
    return write_values(api, now);
}

void metrics_forget_drive(struct api_metrics *metrics, unsigned place)
{
    struct husk_drive_stats *drives = metrics->last ? metrics->last->drives : NULL;

    if (!drives)
        return;
    memmove(&drives[place], &drives[place + 1], (API_DEVICES_MAX - 1 - place) * sizeof(*drives));
    memset(&drives[API_DEVICES_MAX - 1], 0, sizeof(*drives));
}

void metrics_forget_net(struct api_metrics *metrics, unsigned place)
{
    struct husk_net_stats *nets = metrics->last ? metrics->last->nets : NULL;

    if (!nets)
        return;
    memmove(&nets[place], &nets[place + 1], (API_DEVICES_MAX - 1 - place) * sizeof(*nets));
    memset(&nets[API_DEVICES_MAX - 1], 0, sizeof(*nets));
}

char *metrics_text(struct api *api)
{
    struct metrics_values *now = malloc(sizeof(*now));
    char *text;

    if (!now)
        return NULL;
    collect(api, now);
    text = metrics_prometheus(api, now);
    free(now);
    return text;
}

int api_metrics_timeout_ms(const struct api *api)
{
    uint64_t now_ns = monotonic_ns();

    if (api->metrics.fd < 0)
        return -1;
    return now_ns >= api->metrics.next_ns
               ? 0
               : (int)((api->metrics.next_ns - now_ns + 999999) / 1000000);
}

void api_metrics_run(struct api *api)
{
    if (api_metrics_timeout_ms(api) != 0)
        return;
    api->metrics.next_ns = monotonic_ns() + PERIOD_NS;
    metrics_write(api);
}
