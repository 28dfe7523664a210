// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts of a passed-through device. VFIO turns each of the device's interrupts into a write to
 * an eventfd, and KVM (irqfd) turns that into an interrupt of the guest's: nobody of this process
 * is woken on the way.
 *
 * A device has one kind of interrupts at a time (<linux/vfio.h>, VFIO_DEVICE_SET_IRQS), in this
 * order: MSI-X when the guest turned that on, MSI when it turned that on, else its pin. The
 * device's own enable bits are the kernel's: it sets them when it is told of eventfds, which is
 * done before the guest's write of its enable bit returns. Those that the guest sees are made here.
 *
 * A message's vector gets its eventfd and its GSI when the guest first unmasks it. While it is
 * masked KVM does not listen to the eventfd, and what comes is counted there: the pending bit.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "devices/vfio/device.h"

int vfio_irq_count(const struct vfio_device *vfio, uint32_t index, uint32_t *count, uint32_t *flags)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};
    int ret;

    *count = 0;
    if (flags)
        *flags = 0;
    if (index >= vfio->irq_kinds)
        return 0;
    ret = vfio_ioctl(vfio->kernel, vfio->attachment.device_fd, VFIO_DEVICE_GET_IRQ_INFO, &info);
    if (ret < 0)
        return ret;
    /* What cannot signal an eventfd is of no use. */
    if (info.flags & VFIO_IRQ_INFO_EVENTFD)
        *count = info.count;
    if (flags)
        *flags = info.flags;
    return 0;
}

static int set_eventfds(const struct vfio_device *vfio, uint32_t index, uint32_t action,
                        uint32_t start, uint32_t count, const int32_t *fds)
{
    size_t bytes = sizeof(struct vfio_irq_set) + count * sizeof(*fds);
    struct vfio_irq_set *set = calloc(1, bytes);
    int ret;

    if (!set)
        return -ENOMEM;
    *set = (struct vfio_irq_set){
        .argsz = (uint32_t)bytes,
        .flags = VFIO_IRQ_SET_DATA_EVENTFD | action,
        .index = index,
        .start = start,
        .count = count,
    };
    memcpy(set->data, fds, count * sizeof(*fds));
    ret = vfio_ioctl(vfio->kernel, vfio->attachment.device_fd, VFIO_DEVICE_SET_IRQS, set);
    free(set);
    return ret;
}

int vfio_irq_wire(const struct vfio_device *vfio, uint32_t index, uint32_t start, uint32_t count,
                  const int32_t *fds)
{
    return set_eventfds(vfio, index, VFIO_IRQ_SET_ACTION_TRIGGER, start, count, fds);
}

int vfio_irq_wire_unmask(const struct vfio_device *vfio, uint32_t index, int32_t fd)
{
    return set_eventfds(vfio, index, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, &fd);
}

void vfio_irq_off(const struct vfio_device *vfio, uint32_t index)
{
    struct vfio_irq_set set = {
        .argsz = sizeof(set),
        .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
        .index = index,
    };

    vfio_ioctl(vfio->kernel, vfio->attachment.device_fd, VFIO_DEVICE_SET_IRQS, &set);
}

/* ---- vectors ---- */

int vfio_vector_send(struct vfio_device *vfio, struct vfio_vector *vector, uint64_t address,
                     uint32_t data)
{
    const struct msi_controller *msi = vfio->env.msi;
    int ret = 0;

    if (vector->line.event_fd < 0) {
        ret = msi->take(msi->arg, &vector->line);
        if (ret)
            vector->line.event_fd = -1;
        vector->held = false;
    }
    if (!ret)
        ret = msi->route(msi->arg, &vector->line, address, data);
    if (!ret && vector->held) {
        ret = msi->hold(msi->arg, &vector->line, false);
        vector->held = ret != 0;
    }
    if (ret)
        log_limited(vfio->env.env.log, &vfio->irq_limit, LOG_LEVEL_WARN, "vfio",
                    "%s: an interrupt vector stays masked: %s", vfio->name, error_text(-ret));
    return ret;
}

void vfio_vector_hold(struct vfio_device *vfio, struct vfio_vector *vector)
{
    const struct msi_controller *msi = vfio->env.msi;

    if (vector->line.event_fd < 0 || vector->held)
        return;
    vector->held = msi->hold(msi->arg, &vector->line, true) == 0;
}

bool vfio_vector_pending(const struct vfio_vector *vector)
{
    return vector->held && irq_line_is_raised(&vector->line);
}

void vfio_vector_release(struct vfio_device *vfio, struct vfio_vector *vector)
{
    vfio->env.msi->give(vfio->env.msi->arg, &vector->line);
    vector->held = false;
}

/* ---- which kind ---- */

/* Bring the device to what the guest's registers say. irq_lock held. */
static void update(struct vfio_device *vfio)
{
    bool msix = vfio_msix_wanted(vfio), msi = !msix && vfio_msi_wanted(vfio);
    bool intx = !msix && !msi;

    if (!msix)
        vfio_msix_off(vfio);
    if (!msi)
        vfio_msi_off(vfio);
    if (!intx)
        vfio_intx_off(vfio);
    if (msix)
        vfio_msix_update(vfio);
    if (msi)
        vfio_msi_update(vfio);
    if (intx)
        vfio_intx_update(vfio);
}

void vfio_irq_config_written(struct vfio_device *vfio, unsigned offset, unsigned size)
{
    if (!vfio_msi_covers(vfio, offset, size) && !vfio_msix_covers(vfio, offset, size))
        return;
    pthread_mutex_lock(&vfio->irq_lock);
    if (!atomic_load(&vfio->dead) && !vfio->irq_stopped)
        update(vfio);
    pthread_mutex_unlock(&vfio->irq_lock);
}

void vfio_irq_config_read(struct vfio_device *vfio, unsigned offset, unsigned size)
{
    if (!vfio_msi_covers(vfio, offset, size))
        return;
    pthread_mutex_lock(&vfio->irq_lock);
    vfio_msi_show_pending(vfio);
    pthread_mutex_unlock(&vfio->irq_lock);
}

void vfio_irq_start(struct vfio_device *vfio)
{
    pthread_mutex_lock(&vfio->irq_lock);
    update(vfio);
    pthread_mutex_unlock(&vfio->irq_lock);
}

void vfio_irq_stop(struct vfio_device *vfio)
{
    pthread_mutex_lock(&vfio->irq_lock);
    if (!vfio->irq_stopped) {
        vfio_msix_off(vfio);
        vfio_msi_off(vfio);
        vfio_intx_off(vfio);
    }
    vfio->irq_stopped = true;
    pthread_mutex_unlock(&vfio->irq_lock);
}
