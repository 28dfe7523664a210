// SPDX-License-Identifier: Apache-2.0
/* A device of the host's in the guest: see vfio.h. */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "devices/vfio/iommu.h"
#include "devices/vfio/vfio.h"

#define CANNOT_ATTACH "cannot attach the device"

struct vfio_device {
    struct device device;
    struct vfio_device_env env;
    const char *name;
    struct vfio_attachment attachment;
    bool can_reset;
};

/* A device that cannot be reset goes on with what its last user left in it, which is a warning: it
 * may be anything. */
static int reset(const struct vfio_device *vfio)
{
    const struct vfio_kernel *kernel = vfio->env.iommu->kernel;

    return vfio->can_reset ? vfio_ioctl(kernel, vfio->attachment.device_fd, VFIO_DEVICE_RESET, NULL)
                           : -ENOTTY;
}

static void device_free(struct device *device)
{
    struct vfio_device *vfio = (struct vfio_device *)device;

    if (vfio->attachment.device_fd >= 0)
        reset(vfio);
    vfio_iommu_detach(vfio->env.iommu, &vfio->attachment);
    free(vfio);
}

static const struct device_ops device_ops = {
    .name = "vfio",
    .destroy = device_free,
};

static int read_info(struct vfio_device *vfio, struct husk_error *err)
{
    struct vfio_device_info info = {.argsz = sizeof(info)};
    int ret = vfio_ioctl(vfio->env.iommu->kernel, vfio->attachment.device_fd, VFIO_DEVICE_GET_INFO,
                         &info);

    if (ret < 0)
        return error_set(err, -ret, vfio->name, CANNOT_ATTACH, NULL);
    if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
        return error_set(err, ENODEV, vfio->name, CANNOT_ATTACH, "it is no PCI device");
    if (info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
        info.num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX)
        return error_set(err, EPROTO, vfio->name, CANNOT_ATTACH,
                         "the kernel says that it has %u regions and %u kinds of interrupts",
                         info.num_regions, info.num_irqs);
    vfio->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
    ret = reset(vfio);
    if (ret < 0)
        log_warn(vfio->env.env.log, "vfio", "%s: it starts without a reset: %s", vfio->name,
                 error_text(-ret));
    return 0;
}

int vfio_device_create(const struct vfio_device_env *env, const struct vfio_device_config *config,
                       struct device **out, struct husk_error *err)
{
    struct vfio_device *vfio = calloc(1, sizeof(*vfio));
    int group_fd = config->group_fd, device_fd = config->device_fd;
    int ret;

    if (!vfio) {
        close_fd(&group_fd);
        close_fd(&device_fd);
        return error_set(err, ENOMEM, config->name, CANNOT_ATTACH, NULL);
    }
    vfio->device.ops = &device_ops;
    vfio->env = *env;
    vfio->name = config->name;
    ret = vfio_iommu_attach(env->iommu, config, &vfio->attachment, err);
    if (!ret)
        ret = read_info(vfio, err);
    if (ret) {
        device_destroy(&vfio->device);
        return ret;
    }
    *out = &vfio->device;
    return 0;
}
