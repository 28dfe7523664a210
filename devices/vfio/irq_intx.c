// SPDX-License-Identifier: Apache-2.0
/*
 * The interrupt pin of a passed-through device. It is a level, and VFIO masks it at the device each
 * time that it signals. When the guest has ended the interrupt, KVM signals a second eventfd, at
 * which VFIO unmasks it again, and signals anew if the device still asserts it: all of that in the
 * kernel (<linux/vfio.h>, VFIO_IRQ_SET_ACTION_UNMASK; KVM_IRQFD_FLAG_RESAMPLE).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "devices/vfio/device.h"

int vfio_intx_init(struct vfio_device *vfio, uint8_t pin, struct husk_error *err)
{
    uint32_t count, flags;
    int ret = vfio_irq_count(vfio, VFIO_PCI_INTX_IRQ_INDEX, &count, &flags);

    vfio->intx.line = (struct irq_resampled){.trigger_fd = -1, .resample_fd = -1};
    if (ret)
        return error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel does not describe its interrupt pin: %s", error_text(-ret));
    if (pin == 0 || count == 0 || !(flags & VFIO_IRQ_INFO_MASKABLE) || !vfio->env.levels)
        return 0;
    vfio->intx.present = true;
    pci_function_add_pin(&vfio->function);
    return 0;
}

void vfio_intx_off(struct vfio_device *vfio)
{
    const struct level_controller *levels = vfio->env.levels;

    if (!vfio->intx.present || vfio->intx.line.trigger_fd < 0)
        return;
    vfio_irq_off(vfio, VFIO_PCI_INTX_IRQ_INDEX);
    levels->give(levels->arg, &vfio->intx.line);
}

void vfio_intx_update(struct vfio_device *vfio)
{
    const struct level_controller *levels = vfio->env.levels;
    struct vfio_intx *intx = &vfio->intx;
    int ret;

    if (!intx->present || intx->line.trigger_fd >= 0)
        return;
    ret = levels->take(levels->arg, vfio->function.gsi, &intx->line);
    if (!ret)
        ret = vfio_irq_wire(vfio, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &intx->line.trigger_fd);
    /* Only a pin that is on can be unmasked. What the guest ended by then is in the eventfd. */
    if (!ret)
        ret = vfio_irq_wire_unmask(vfio, VFIO_PCI_INTX_IRQ_INDEX, intx->line.resample_fd);
    if (!ret)
        return;
    vfio_intx_off(vfio);
    log_limited(vfio->env.env.log, &vfio->irq_limit, LOG_LEVEL_WARN, "vfio",
                "%s: its interrupt pin does not work: %s", vfio->name,
                error_text(ret < 0 ? -ret : EIO));
}
