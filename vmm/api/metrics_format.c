// SPDX-License-Identifier: Apache-2.0
/*
 * The two forms of metrics. One table for each kind of device says what a counter is called in
 * Firecracker's lines, in Prometheus, and where it is.
 */
#include "vmm/api/metrics_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"

struct metric {
    const char *group;      /* of the line; of devices, NULL */
    const char *name;       /* in the group */
    const char *prometheus; /* "husk_" goes before it; NULL: not there */
    size_t offset;          /* in its struct */
    bool is_level;          /* a value of now, not a count */
};

#define VM(group_, name_, prometheus_, member, level)                              \
    {                                                                              \
        group_, name_, prometheus_, offsetof(struct metrics_values, member), level \
    }

static const struct metric vm_metrics[] = {
    VM("deprecated_api", "deprecated_http_api_calls", "api_deprecated_calls_total",
       deprecated_calls, false),
    VM("logger", "missed_metrics_count", "metrics_missed_total", missed_metrics, false),
    VM("logger", "missed_log_count", "log_lines_missed_total", missed_log, false),
    VM("uart", "write_count", "console_tx_bytes_total", vm.console_tx_bytes, false),
    VM("uart", "read_count", "console_rx_bytes_total", vm.console_rx_bytes, false),
    VM("uart", "missed_write_count", "console_dropped_bytes_total", vm.console_dropped_bytes,
       false),
    VM("uart", "rate_limiter_dropped_bytes", "console_unread_bytes_total", serial_dropped_bytes,
       false),
    VM("vcpu", "exit_io_in", "vcpu_port_reads_total", vm.port_reads, false),
    VM("vcpu", "exit_io_out", "vcpu_port_writes_total", vm.port_writes, false),
    VM("vcpu", "exit_mmio_read", "vcpu_mmio_reads_total", vm.mmio_reads, false),
    VM("vcpu", "exit_mmio_write", "vcpu_mmio_writes_total", vm.mmio_writes, false),
    VM("vcpu", "exits", "vcpu_exits_total", vm.vcpu_exits, false),
    VM("vcpu", "cpu_ns", "vcpu_cpu_nanoseconds_total", vm.vcpu_cpu_ns, false),
    VM("vmm", "io_cpu_ns", "io_cpu_nanoseconds_total", vm.io_cpu_ns, false),
    VM("vmm", "memory_resident_bytes", "memory_resident_bytes", vm.memory_resident_bytes, true),
    VM("vsock", "tx_bytes_count", "vsock_tx_bytes_total", vm.vsock_tx_bytes, false),
    VM("vsock", "rx_bytes_count", "vsock_rx_bytes_total", vm.vsock_rx_bytes, false),
    VM("entropy", "entropy_bytes", "rng_bytes_total", vm.rng_bytes, false),
};

#define DRIVE(name_, prometheus_, member)                                          \
    {                                                                              \
        NULL, name_, prometheus_, offsetof(struct husk_drive_stats, member), false \
    }

static const struct metric drive_metrics[] = {
    DRIVE("read_count", "drive_read_requests_total", read_requests),
    DRIVE("write_count", "drive_write_requests_total", write_requests),
    DRIVE("flush_count", "drive_flush_requests_total", flush_requests),
    DRIVE("other_count", "drive_other_requests_total", other_requests),
    DRIVE("read_bytes", "drive_read_bytes_total", read_bytes),
    DRIVE("write_bytes", "drive_write_bytes_total", write_bytes),
    DRIVE("execute_fails", "drive_failed_requests_total", failed_requests),
    DRIVE("rate_limiter_throttled_events", "drive_throttled_total", throttled),
};

#define NET(name_, prometheus_, member)                                          \
    {                                                                            \
        NULL, name_, prometheus_, offsetof(struct husk_net_stats, member), false \
    }

static const struct metric net_metrics[] = {
    NET("rx_packets_count", "net_rx_packets_total", rx_packets),
    NET("rx_bytes_count", "net_rx_bytes_total", rx_bytes),
    NET("rx_fails", "net_rx_dropped_total", rx_dropped),
    NET("rx_rate_limiter_throttled", "net_rx_throttled_total", rx_throttled),
    NET("tx_packets_count", "net_tx_packets_total", tx_packets),
    NET("tx_bytes_count", "net_tx_bytes_total", tx_bytes),
    NET("tx_fails", "net_tx_dropped_total", tx_dropped),
    NET("tx_rate_limiter_throttled", "net_tx_throttled_total", tx_throttled),
};

static uint64_t value_at(const void *base, const struct metric *metric)
{
    return *(const uint64_t *)((const char *)base + metric->offset);
}

/* Since `last`. A counter that went back, because a device was replaced, began anew. */
static uint64_t since(const void *now, const void *last, const struct metric *metric)
{
    uint64_t value = value_at(now, metric), before = last ? value_at(last, metric) : 0;

    return metric->is_level || value < before ? value : value - before;
}

/* A member of a group, which is made when it is not there. False without memory. */
static bool put(json_t *line, const char *group, const char *name, uint64_t value)
{
    json_t *object = json_object_get(line, group);

    if (!object) {
        object = json_object();
        if (json_put(line, group, object))
            return false;
    }
    return json_put(object, name, json_integer((json_int_t)min_u64(value, INT64_MAX))) == 0;
}

/* The counters of one device, alone and in the sum over its kind. */
static bool put_device(json_t *line, const char *kind, const char *id, const struct metric *metrics,
                       unsigned count, const void *now, const void *last)
{
    char group[API_ID_MAX + 16];
    bool ok = true;

    snprintf(group, sizeof(group), "%s_%s", kind, id);
    for (unsigned i = 0; i < count && ok; i++) {
        uint64_t value = since(now, last, &metrics[i]);
        json_t *sum = json_object_get(json_object_get(line, kind), metrics[i].name);

        ok = put(line, group, metrics[i].name, value) &&
             put(line, kind, metrics[i].name, value + (uint64_t)json_integer_value(sum));
    }
    return ok;
}

static bool put_requests(json_t *line, const struct metrics_values *now,
                         const struct metrics_values *last)
{
    static const struct {
        enum api_method method;
        const char *group;
        bool fails; /* as Firecracker, which counts none of GETs */
    } groups[] = {{API_GET, "get_api_requests", false},
                  {API_PUT, "put_api_requests", true},
                  {API_PATCH, "patch_api_requests", true}};
    bool ok = true;

    for (unsigned g = 0; g < ARRAY_SIZE(groups); g++) {
        uint32_t used = router_counters(groups[g].method);

        for (unsigned c = 0; c < COUNTERS && ok; c++) {
            static const struct request_counts none;
            const struct request_counts *to = &now->requests[groups[g].method][c];
            const struct request_counts *from = last ? &last->requests[groups[g].method][c] : &none;
            char name[48];

            if (!(used & UINT32_C(1) << c))
                continue;
            snprintf(name, sizeof(name), "%s_count", api_counter_names[c]);
            ok = put(line, groups[g].group, name, to->count - from->count);
            snprintf(name, sizeof(name), "%s_fails", api_counter_names[c]);
            if (ok && groups[g].fails)
                ok = put(line, groups[g].group, name, to->fails - from->fails);
        }
    }
    return ok;
}

static bool put_head(json_t *line, const struct api *api)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (json_put(line, "utc_timestamp_ms",
                 json_integer((json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000)))
        return false;
    if (api->metrics.emit_id && json_put(line, "id", json_string(api->id)))
        return false;
    return !api->metrics.properties ||
           json_object_set(line, "properties", api->metrics.properties) == 0;
}

static bool put_all(json_t *line, const struct api *api, const struct metrics_values *now,
                    const struct metrics_values *last)
{
    bool ok = put_head(line, api) &&
              put(line, "api_server", "process_startup_time_us", api->metrics.startup_time_us) &&
              put(line, "api_server", "process_startup_time_cpu_us", api->metrics.startup_cpu_us) &&
              put(line, "latencies_us", "pause_vm", api->metrics.pause_us) &&
              put(line, "latencies_us", "resume_vm", api->metrics.resume_us) &&
              put(line, "seccomp", "num_faults", 0) && put_requests(line, now, last);

    for (unsigned i = 0; i < ARRAY_SIZE(vm_metrics) && ok; i++)
        ok = put(line, vm_metrics[i].group, vm_metrics[i].name, since(now, last, &vm_metrics[i]));
    for (unsigned i = 0; i < api->drive_count && ok; i++)
        ok = put_device(line, "block", api->drives[i].drive_id, drive_metrics,
                        ARRAY_SIZE(drive_metrics), &now->drives[i], last ? &last->drives[i] : NULL);
    for (unsigned i = 0; i < api->net_count && ok; i++)
        ok = put_device(line, "net", api->nets[i].iface_id, net_metrics, ARRAY_SIZE(net_metrics),
                        &now->nets[i], last ? &last->nets[i] : NULL);
    return ok;
}

char *metrics_json(const struct api *api, const struct metrics_values *now,
                   const struct metrics_values *last)
{
    json_t *line = json_object();
    char *text = NULL;

    if (line && put_all(line, api, now, last)) {
        size_t len = json_dumpb(line, NULL, 0, JSON_COMPACT);

        text = malloc(len + 2);
        if (text) {
            json_dumpb(line, text, len, JSON_COMPACT);
            memcpy(text + len, "\n", 2);
        }
    }
    json_decref(line);
    return text;
}

/* A growing text; after a failure nothing more is done. */
struct text {
    FILE *stream;
    const char *id;
};

static void head(const struct text *out, const struct metric *metric)
{
    fprintf(out->stream, "# TYPE husk_%s %s\n", metric->prometheus,
            metric->is_level ? "gauge" : "counter");
}

static void devices(const struct text *out, const char *label, const struct metric *metrics,
                    unsigned metric_count, const char *const *ids, const void *values,
                    size_t value_size, unsigned count)
{
    for (unsigned m = 0; m < metric_count && count > 0; m++) {
        head(out, &metrics[m]);
        for (unsigned i = 0; i < count; i++)
            fprintf(out->stream, "husk_%s{id=\"%s\",%s=\"%s\"} %" PRIu64 "\n",
                    metrics[m].prometheus, out->id, label, ids[i],
                    value_at((const char *)values + i * value_size, &metrics[m]));
    }
}

static void requests(const struct text *out, const struct metrics_values *now, bool fails)
{
    static const char *const methods[] = {"GET", "PUT", "PATCH"};
    const char *name = fails ? "api_request_failures_total" : "api_requests_total";

    fprintf(out->stream, "# TYPE husk_%s counter\n", name);
    for (unsigned m = 0; m < ARRAY_SIZE(methods); m++) {
        uint32_t used = router_counters((enum api_method)m);

        for (unsigned c = 0; c < COUNTERS; c++) {
            const struct request_counts *counts = &now->requests[m][c];

            if (used & UINT32_C(1) << c)
                fprintf(out->stream,
                        "husk_%s{id=\"%s\",method=\"%s\",resource=\"%s\"} %" PRIu64 "\n", name,
                        out->id, methods[m], api_counter_names[c],
                        fails ? counts->fails : counts->count);
        }
    }
}

char *metrics_prometheus(const struct api *api, const struct metrics_values *now)
{
    const char *drives[API_DEVICES_MAX], *nets[API_DEVICES_MAX];
    struct text out = {.id = api->id};
    char *text = NULL;
    size_t size;

    out.stream = open_memstream(&text, &size);
    if (!out.stream)
        return NULL;
    for (unsigned i = 0; i < api->drive_count; i++)
        drives[i] = api->drives[i].drive_id;
    for (unsigned i = 0; i < api->net_count; i++)
        nets[i] = api->nets[i].iface_id;
    for (unsigned i = 0; i < ARRAY_SIZE(vm_metrics); i++) {
        head(&out, &vm_metrics[i]);
        fprintf(out.stream, "husk_%s{id=\"%s\"} %" PRIu64 "\n", vm_metrics[i].prometheus, out.id,
                value_at(now, &vm_metrics[i]));
    }
    fprintf(out.stream,
            "# TYPE husk_vsock_connections gauge\nhusk_vsock_connections{id=\"%s\"} %" PRIu64 "\n",
            out.id, now->vm.vsock_connections);
    devices(&out, "drive", drive_metrics, ARRAY_SIZE(drive_metrics), drives, now->drives,
            sizeof(now->drives[0]), api->drive_count);
    devices(&out, "interface", net_metrics, ARRAY_SIZE(net_metrics), nets, now->nets,
            sizeof(now->nets[0]), api->net_count);
    requests(&out, now, false);
    requests(&out, now, true);
    if (fclose(out.stream)) {
        free(text);
        return NULL;
    }
    return text;
}
