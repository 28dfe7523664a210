// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's vhost interface (linux/vhost.h): one descriptor is one kernel data path with its own
 * worker thread, which reads and writes virtqueues on its own. Addresses come in as plain numbers
 * and pointers; checking that they lie in guest memory was the caller's job.
 *
 * Order of calls: vhost_set_owner() once; then vhost_set_features() and vhost_set_memory() while no
 * ring runs; then per ring vhost_start_ring() and a backend (vhost_net_set_backend()); to stop, the
 * backend first (-1), then vhost_stop_ring().
 *
 * Threads: the calls on one descriptor must not overlap. All return 0 or -errno. They may wait for
 * the worker to finish the packet in hand, never for a peer.
 */
#ifndef HUSK_DEVICES_BACKEND_VHOST_H
#define HUSK_DEVICES_BACKEND_VHOST_H

#include <stdint.h>

/* 0 or -errno. Tests put a simulated kernel here. */
typedef int (*vhost_ioctl_fn)(int fd, unsigned long request, void *arg);

/* The real one. */
int vhost_ioctl(int fd, unsigned long request, void *arg);

struct vhost {
    int fd; /* the owner's */
    vhost_ioctl_fn ioctl;
};

/* One range of guest memory. */
struct vhost_region {
    uint64_t gpa;
    uint64_t size;
    void *hva;
};

#define VHOST_MAX_REGIONS 64u /* the kernel's own default limit */

struct vhost_ring {
    unsigned index;
    uint16_t size; /* entries */
    uint16_t base; /* free-running index of the next available entry to read */
    const void *desc, *avail, *used;
    int kick_fd;  /* the driver's notifications, in */
    int call_fd;  /* interrupts, out */
    int error_fd; /* a ring the kernel gave up, out */
};

/* Bind the descriptor to this process and its memory. */
int vhost_set_owner(const struct vhost *vhost);

/* What the kernel can do, and what of it the driver accepted. */
int vhost_get_features(const struct vhost *vhost, uint64_t *features);
int vhost_set_features(const struct vhost *vhost, uint64_t features);

/* -E2BIG for more than VHOST_MAX_REGIONS. */
int vhost_set_memory(const struct vhost *vhost, const struct vhost_region *regions, unsigned count);

/* Describe a ring that has no backend. */
int vhost_start_ring(const struct vhost *vhost, const struct vhost_ring *ring);

/* Lets go of the kick descriptor. *base is where to start again: everything before is used. */
int vhost_stop_ring(const struct vhost *vhost, unsigned index, uint16_t *base);

/* vhost-net: connect a ring to a tap descriptor (the ring runs from here on), or to -1 (it stands
 * still when this returns). */
int vhost_net_set_backend(const struct vhost *vhost, unsigned index, int tap_fd);

#endif
