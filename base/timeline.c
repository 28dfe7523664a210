// SPDX-License-Identifier: Apache-2.0
/* Moments of a start-up: see timeline.h. */
#include "base/timeline.h"

#include <time.h>

#include "base/io.h"

static const char *const names[TIMELINE_POINTS] = {
    [TIMELINE_EXEC] = "exec",
    [TIMELINE_PARSED] = "parsed",
    [TIMELINE_KVM] = "kvm",
    [TIMELINE_MEMORY] = "memory",
    [TIMELINE_DEVICES] = "devices",
    [TIMELINE_IOMMU] = "iommu",
    [TIMELINE_PINNED] = "pinned",
    [TIMELINE_VFIO] = "vfio",
    [TIMELINE_LOADED] = "loaded",
    [TIMELINE_VCPUS] = "vcpus",
    [TIMELINE_FIRST_ENTRY] = "first-entry",
    [TIMELINE_FIRST_EXIT] = "kernel",
    [TIMELINE_INIT] = "init",
    [TIMELINE_STOPPED] = "stopped",
};

void timeline_mark_at(struct timeline *timeline, enum timeline_point point, uint64_t at_ns)
{
    uint64_t unset = 0;

    atomic_compare_exchange_strong(&timeline->at_ns[point], &unset, at_ns);
}

void timeline_mark(struct timeline *timeline, enum timeline_point point)
{
    /* Most calls find the mark set (each exit asks): keep them to one load. */
    if (atomic_load_explicit(&timeline->at_ns[point], memory_order_relaxed) == 0)
        timeline_mark_at(timeline, point, monotonic_ns());
}

const char *timeline_name(enum timeline_point point)
{
    return names[point];
}

uint64_t timeline_process_start_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return monotonic_ns() - ((uint64_t)used.tv_sec * 1000000000ull + (uint64_t)used.tv_nsec);
}
