// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics: counters of the API, and what the VM counts, as a line of JSON in Firecracker's form
 * (counters since the line before) or as text for Prometheus (counters since the start).
 *
 * Lines go to a file or FIFO every minute, on request and at the end. What it does not take is
 * dropped, and its counts come with the next line; a line that went out in part is completed before
 * the next one, so that a reader never sees half a line followed by another.
 *
 * One thread: the API's.
 */
#ifndef HUSK_VMM_API_METRICS_H
#define HUSK_VMM_API_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "husk/husk.h"
#include "vmm/api/settings.h"

struct api;

/* What is counted of requests, by Firecracker's names. */
enum api_counter {
    COUNT_NONE,
    COUNT_INSTANCE_INFO,
    COUNT_VMM_VERSION,
    COUNT_ACTIONS,
    COUNT_BOOT_SOURCE,
    COUNT_CPU_CFG,
    COUNT_DRIVE,
    COUNT_HOTPLUG_MEMORY,
    COUNT_LOGGER,
    COUNT_MACHINE_CFG,
    COUNT_METRICS,
    COUNT_MMDS,
    COUNT_NETWORK,
    COUNT_PMEM,
    COUNT_SERIAL,
    COUNT_VSOCK,
    COUNTERS,
};

extern const char *const api_counter_names[COUNTERS];

struct request_counts {
    uint64_t count, fails;
};

#define METERED_METHODS 4u

/* Everything that is counted, at one moment. */
struct metrics_values {
    struct request_counts requests[METERED_METHODS][COUNTERS];
    uint64_t deprecated_calls;
    uint64_t missed_metrics, missed_log;
    uint64_t serial_dropped_bytes;
    struct husk_vm_stats vm;
    struct husk_drive_stats drives[API_DEVICES_MAX];
    struct husk_net_stats nets[API_DEVICES_MAX];
};

struct api_metrics {
    int fd; /* -1 until a path is set */
    bool emit_id;
    json_t *properties; /* NULL: none */
    uint64_t next_ns;   /* when the next line is due */
    char *unfinished;   /* the rest of a line that went out in part; NULL: none */
    size_t unfinished_len;
    struct request_counts requests[METERED_METHODS][COUNTERS];
    uint64_t deprecated_calls, missed_metrics, serial_dropped_bytes;
    /* Not counters: the last value. */
    uint64_t startup_time_us, startup_cpu_us, pause_us, resume_us;
    struct metrics_values *last; /* of the last line; NULL: all zero */
};

void metrics_init(struct api_metrics *metrics);
void metrics_close(struct api_metrics *metrics);

/* 0, or -EINVAL with the fault. */
int metrics_configure(struct api_metrics *metrics, const struct metrics_settings *settings,
                      struct api_fault *fault);

/* Write a line if there is a file: 0, or -errno when it was dropped. */
int metrics_write(struct api *api);

/* The device in this place is gone, and those behind it have moved up. */
void metrics_forget_drive(struct api_metrics *metrics, unsigned place);
void metrics_forget_net(struct api_metrics *metrics, unsigned place);

/* The same values for Prometheus; free(). NULL without memory. */
char *metrics_text(struct api *api);

#endif
