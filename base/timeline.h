// SPDX-License-Identifier: Apache-2.0
/*
 * Named moments of one start-up, in order, on CLOCK_MONOTONIC. Fixed size, no allocation.
 * timeline_mark() may be called from any thread; each name is recorded once (the first time wins).
 */
#ifndef HUSK_BASE_TIMELINE_H
#define HUSK_BASE_TIMELINE_H

#include <stdatomic.h>
#include <stdint.h>

enum timeline_point {
    TIMELINE_EXEC,        /* the process began (estimated from its CPU time) */
    TIMELINE_PARSED,      /* options read and checked */
    TIMELINE_KVM,         /* /dev/kvm open, VM and processor model made */
    TIMELINE_MEMORY,      /* guest memory mapped and registered */
    TIMELINE_DEVICES,     /* devices and their backends made */
    TIMELINE_IOMMU,       /* devices of the host: the first one's DMA goes through the IOMMU */
    TIMELINE_PINNED,      /* all guest memory taken from the host and locked for them */
    TIMELINE_VFIO,        /* they are on the guest's bus */
    TIMELINE_LOADED,      /* kernel, initrd, tables in guest memory */
    TIMELINE_VCPUS,       /* vCPUs made and their registers set */
    TIMELINE_FIRST_ENTRY, /* the boot vCPU is about to enter the guest for the first time */
    TIMELINE_FIRST_EXIT,  /* its first exit to the monitor: the kernel is running */
    TIMELINE_INIT,        /* the guest wrote mark 1: its init runs */
    TIMELINE_STOPPED,     /* the guest stopped */
    TIMELINE_POINTS,
};

struct timeline {
    _Atomic uint64_t at_ns[TIMELINE_POINTS]; /* 0: not reached */
};

void timeline_mark(struct timeline *timeline, enum timeline_point point);
void timeline_mark_at(struct timeline *timeline, enum timeline_point point, uint64_t at_ns);

/* Short stable name, e.g. "first-entry". */
const char *timeline_name(enum timeline_point point);

/* When this process began: now minus the CPU time it has used (the start-up of a process hardly
 * ever waits). Call first thing in main(). */
uint64_t timeline_process_start_ns(void);

#endif
