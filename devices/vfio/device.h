// SPDX-License-Identifier: Apache-2.0
/*
 * A device of the host's as a function on the guest's PCI bus: what the files of devices/vfio/
 * share of it.
 *
 *   device.c   its life: attach, reset, plug; and back
 *   config.c   configuration space: which bits are the device's own and which are made here
 *   bars.c     memory BARs: mapped into the guest where they can be, else access by access
 *   irq.c      interrupts: one of three kinds at a time. irq_msi.c, irq_msix.c, irq_intx.c
 *
 * The guest's accesses come from vCPU threads: to configuration space one at a time, under the host
 * bridge's lock, to BARs concurrently. The device's own lock guards everything about interrupts
 * (irq_lock) or memory slots (bar_lock); the two are never held together.
 *
 * Whatever the guest writes, the device's memory decoding and power stay on at the host: what is
 * mapped into the guest would otherwise vanish from under it (drivers/vfio/pci/vfio_pci_core.c,
 * vfio_pci_zap_bars()), and its next access would end the VM.
 */
#ifndef HUSK_DEVICES_VFIO_DEVICE_H
#define HUSK_DEVICES_VFIO_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "devices/pci/function.h"
#include "devices/vfio/info.h"
#include "devices/vfio/iommu.h"
#include "devices/vfio/vfio.h"
#include "vmm/irq.h"

struct event_source;

#define VFIO_CANNOT_ATTACH "cannot attach the device"

/* ---- BARs ---- */

/* A part of a BAR that is mapped here, and in the guest while the BAR has an address. */
struct vfio_window {
    struct vfio_area area;
    void *hva;
    bool has_slot;
    unsigned slot;
};

#define VFIO_WINDOWS_MAX \
    (VFIO_AREAS_MAX + 2u) /* the table and the pending bits each cut one in two */

struct vfio_bar {
    struct vfio_region
        region; /* size 0: there is none, or it is one of ports, which is not shown */
    bool is_64bit, prefetchable;
    uint64_t guest_size; /* what the guest sees: region.size, or more */
    unsigned window_count;
    struct vfio_window windows[VFIO_WINDOWS_MAX];
};

/* ---- interrupts ---- */

/* A message: a vector of the device's, an eventfd, a GSI. */
struct vfio_vector {
    struct irq_line line; /* event_fd -1: not used yet */
    bool held;            /* masked: what comes waits in the eventfd */
};

#define VFIO_MSI_VECTORS_MAX 32u

struct vfio_msi {
    unsigned at; /* offset of its capability, 0: it has none */
    unsigned max;
    bool is_64bit, maskable;
    unsigned enabled; /* vectors, 0: MSI is off */
    struct vfio_vector vectors[VFIO_MSI_VECTORS_MAX];
};

#define VFIO_MSIX_ENTRY_BYTES 16u
#define VFIO_MSIX_VECTORS_MAX 2048u

struct vfio_msix_vector {
    struct vfio_vector vector;
    uint8_t entry[VFIO_MSIX_ENTRY_BYTES]; /* as the guest wrote it */
    bool wired;                           /* the device signals the line */
};

/* Where the guest finds the table, or the pending bits. */
struct vfio_place {
    unsigned bar;
    uint64_t offset, size;
};

struct vfio_msix {
    unsigned at; /* offset of its capability, 0: it has none */
    unsigned count;
    struct vfio_place table, pba;
    bool resizable; /* vectors can be added while MSI-X is on */
    bool enabled;
    bool masked;        /* all of it */
    unsigned available; /* vectors that the host gave, while enabled */
    struct vfio_msix_vector *vectors;
};

struct vfio_intx {
    bool present;
    struct irq_resampled line; /* not connected: it is off */
};

/* ---- the device ---- */

struct vfio_device {
    struct device device;
    struct pci_function function;
    struct vfio_device_env env;
    const struct vfio_kernel *kernel; /* these two: of the address space */
    struct vfio_vm vm;
    const char *name;
    struct vfio_attachment attachment;
    bool can_reset, plugged;
    uint32_t irq_kinds; /* indices that the kernel knows */
    atomic_bool dead;   /* it reported an error: nothing of it is touched any more */

    /* config.c; guarded by the host bridge's lock. A set bit is the device's own. */
    struct vfio_region config;
    uint8_t through[PCI_CONFIG_BYTES];

    pthread_mutex_t bar_lock; /* slots of windows */
    struct log_limit bar_limit;
    struct vfio_bar bars[PCI_BARS];

    pthread_mutex_t irq_lock; /* the rest of it */
    struct log_limit irq_limit;
    struct vfio_msi msi;
    struct vfio_msix msix;
    struct vfio_intx intx;
    bool irq_stopped;

    /* device.c: the host asks for the device; it reports an error. -1, NULL: there is no such
     * signal. I/O thread. */
    struct log_limit event_limit;
    int request_fd, error_fd;
    struct event_source *request_source, *error_source;
};

static inline struct vfio_device *vfio_of_function(struct pci_function *function)
{
    return (struct vfio_device *)((char *)function - offsetof(struct vfio_device, function));
}

/* ---- config.c ---- */

/* Make function.config, of what the device has. After vfio_bars_read(). */
int vfio_config_init(struct vfio_device *vfio, struct husk_error *err);
void vfio_config_read(struct pci_function *function, unsigned offset, unsigned size);
void vfio_config_written(struct pci_function *function, unsigned offset, const void *data,
                         unsigned size);
/* Write the device's command register: decoding on, and nothing else but what the guest has of it.
 * off: all off. */
void vfio_config_command(struct vfio_device *vfio, bool off);

/* ---- capabilities.c ---- */

/* Show the guest those capabilities of `bytes`, the device's configuration space, that can do no
 * harm. */
int vfio_capabilities_init(struct vfio_device *vfio, const uint8_t *bytes, unsigned count,
                           struct husk_error *err);

/* ---- bars.c ---- */

int vfio_bars_read(struct vfio_device *vfio, struct husk_error *err);
/* Map what can be mapped, and make the function's BARs. After vfio_config_init(). */
int vfio_bars_init(struct vfio_device *vfio, struct husk_error *err);
void vfio_bar_read(struct pci_function *function, unsigned bar, uint64_t offset, void *data,
                   unsigned size);
void vfio_bar_write(struct pci_function *function, unsigned bar, uint64_t offset, const void *data,
                    unsigned size);
void vfio_bar_moved(struct pci_function *function, unsigned bar, uint64_t from, uint64_t to);
/* Take everything out of the guest, for good. Any thread. */
void vfio_bars_hide(struct vfio_device *vfio);
void vfio_bars_release(struct vfio_device *vfio);

/* ---- irq.c ---- */

/* Which kinds of interrupts it has: the IRQ indices of <linux/vfio.h>. `flags` may be NULL. */
int vfio_irq_count(const struct vfio_device *vfio, uint32_t index, uint32_t *count,
                   uint32_t *flags);
/* VFIO_DEVICE_SET_IRQS: have vectors [start, start + count) of `index` signal these descriptors; -1
 * means none. Returns 0, the number of vectors that there are if it is fewer, or -errno. */
int vfio_irq_wire(const struct vfio_device *vfio, uint32_t index, uint32_t start, uint32_t count,
                  const int32_t *fds);
/* The one vector of `index` is unmasked when fd is signalled. Returns 0 or -errno. */
int vfio_irq_wire_unmask(const struct vfio_device *vfio, uint32_t index, int32_t fd);
/* All vectors of `index` off. */
void vfio_irq_off(const struct vfio_device *vfio, uint32_t index);

/* Give the vector a line, if it has none, that sends this message; and let it go. */
int vfio_vector_send(struct vfio_device *vfio, struct vfio_vector *vector, uint64_t address,
                     uint32_t data);
void vfio_vector_hold(struct vfio_device *vfio, struct vfio_vector *vector);
bool vfio_vector_pending(const struct vfio_vector *vector);
void vfio_vector_release(struct vfio_device *vfio, struct vfio_vector *vector);

/* The guest wrote, or is about to read, [offset, offset + size) of configuration space. */
void vfio_irq_config_written(struct vfio_device *vfio, unsigned offset, unsigned size);
void vfio_irq_config_read(struct vfio_device *vfio, unsigned offset, unsigned size);
/* It is plugged: whatever the guest's registers say takes effect. */
void vfio_irq_start(struct vfio_device *vfio);
/* Everything off for good, all lines back. A second call does nothing. Any thread. */
void vfio_irq_stop(struct vfio_device *vfio);

/*
 * ---- irq_msi.c, irq_msix.c, irq_intx.c ----
 * One kind of interrupts each. wanted: the guest turned it on. update: bring the device to what the
 * registers say. off: also when it is off already. These are for irq.c, with irq_lock held.
 */

/* `room`: bytes from `at` to the next capability. */
int vfio_msi_init(struct vfio_device *vfio, const uint8_t *bytes, unsigned at, unsigned room,
                  struct husk_error *err);
bool vfio_msi_covers(const struct vfio_device *vfio, unsigned offset, unsigned size);
bool vfio_msi_wanted(const struct vfio_device *vfio);
void vfio_msi_update(struct vfio_device *vfio);
void vfio_msi_off(struct vfio_device *vfio);
void vfio_msi_show_pending(struct vfio_device *vfio);

/* `pin`: as its configuration space has it. After the function has its header. */
int vfio_intx_init(struct vfio_device *vfio, uint8_t pin, struct husk_error *err);
void vfio_intx_update(struct vfio_device *vfio);
void vfio_intx_off(struct vfio_device *vfio);

int vfio_msix_init(struct vfio_device *vfio, const uint8_t *bytes, unsigned at,
                   struct husk_error *err);
bool vfio_msix_covers(const struct vfio_device *vfio, unsigned offset, unsigned size);
bool vfio_msix_wanted(const struct vfio_device *vfio);
void vfio_msix_update(struct vfio_device *vfio);
void vfio_msix_off(struct vfio_device *vfio);
void vfio_msix_release(struct vfio_device *vfio);
/* Accesses that touch the table or the pending bits, which they then serve: true. Any thread. */
bool vfio_msix_read(struct vfio_device *vfio, unsigned bar, uint64_t offset, void *data,
                    unsigned size);
bool vfio_msix_write(struct vfio_device *vfio, unsigned bar, uint64_t offset, const void *data,
                     unsigned size);

#endif
