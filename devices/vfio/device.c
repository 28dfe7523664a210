// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a passed-through device: see vfio.h. vfio_device_create() ends with a list of steps;
 * the way back, device_free(), copes with whatever they left.
 *
 * The device is reset before anything of it is read, and again before it goes: neither the guest
 * nor the host finds what the other left in it.
 */
#include "devices/vfio/device.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "devices/pci/host.h"

/* ---- resets ---- */

static int reset(const struct vfio_device *vfio)
{
    if (!vfio->can_reset)
        return -ENOTTY;
    return vfio_ioctl(vfio->kernel, vfio->attachment.device_fd, VFIO_DEVICE_RESET, NULL);
}

/* ---- what the device and the host say while it is here; I/O thread ---- */

static void tell(struct vfio_device *vfio, enum vfio_event event)
{
    if (vfio->env.event)
        vfio->env.event(vfio->env.event_arg, &vfio->device, event);
}

static void on_request(void *arg, uint32_t events)
{
    struct vfio_device *vfio = arg;

    if (!eventfd_drain(vfio->request_fd))
        return;
    log_limited(vfio->env.env.log, &vfio->event_limit, LOG_LEVEL_WARN, "vfio",
                "%s: the host asks for it back", vfio->name);
    tell(vfio, VFIO_EVENT_REQUEST);
}

/* An error that nobody could correct: what the device does from now on is anybody's guess, so
 * nothing of it is reached any more. */
static void on_error(void *arg, uint32_t events)
{
    struct vfio_device *vfio = arg;

    if (!eventfd_drain(vfio->error_fd) || atomic_exchange(&vfio->dead, true))
        return;
    vfio_bars_hide(vfio);
    vfio_irq_stop(vfio);
    log_error(vfio->env.env.log, "vfio",
              "%s: it reported an error that cannot be corrected, and is off for the guest",
              vfio->name);
    tell(vfio, VFIO_EVENT_ERROR);
}

struct watch {
    struct vfio_device *vfio;
    int ret;
};

static void add_sources(void *arg)
{
    struct watch *watch = arg;
    struct vfio_device *vfio = watch->vfio;
    struct event_loop *loop = vfio->env.env.loop;

    if (vfio->request_fd >= 0)
        watch->ret = event_loop_add(loop, vfio->request_fd, EPOLLIN, on_request, vfio,
                                    &vfio->request_source);
    if (!watch->ret && vfio->error_fd >= 0)
        watch->ret =
            event_loop_add(loop, vfio->error_fd, EPOLLIN, on_error, vfio, &vfio->error_source);
}

static void remove_sources(void *arg)
{
    struct vfio_device *vfio = arg;

    event_source_remove(vfio->request_source);
    event_source_remove(vfio->error_source);
    vfio->request_source = vfio->error_source = NULL;
}

/* An eventfd that the kernel signals, or -1: it has no such signal. Returns 0 or -errno. */
static int open_signal(const struct vfio_device *vfio, uint32_t index, int *out)
{
    uint32_t count;
    int fd, ret = vfio_irq_count(vfio, index, &count, NULL);

    if (ret || count != 1)
        return 0;
    fd = eventfd_open();
    if (fd < 0)
        return fd;
    ret = vfio_irq_wire(vfio, index, 0, 1, &fd);
    if (ret) {
        close_fd(&fd);
        return ret < 0 ? ret : -EIO;
    }
    *out = fd;
    return 0;
}

/* ---- steps ---- */

static int attach(struct vfio_device *vfio, const struct vfio_device_config *config,
                  struct husk_error *err)
{
    return vfio_iommu_attach(vfio->env.iommu, config, &vfio->attachment, err);
}

static int check_and_reset(struct vfio_device *vfio, const struct vfio_device_config *config,
                           struct husk_error *err)
{
    struct vfio_device_info info = {.argsz = sizeof(info)};
    int ret = vfio_ioctl(vfio->kernel, vfio->attachment.device_fd, VFIO_DEVICE_GET_INFO, &info);

    if (ret < 0)
        return error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel does not describe it: %s", error_text(-ret));
    if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
        return error_set(err, ENODEV, vfio->name, VFIO_CANNOT_ATTACH, "it is no PCI device");
    if (info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
        info.num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX)
        return error_set(err, EPROTO, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel says that it has %u regions and %u kinds of interrupts",
                         info.num_regions, info.num_irqs);
    vfio->irq_kinds = info.num_irqs;
    vfio->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
    ret = reset(vfio);
    if (ret < 0)
        log_warn(vfio->env.env.log, "vfio",
                 "%s: it cannot be reset, and starts as its last user left it: %s", vfio->name,
                 error_text(-ret));
    return 0;
}

static int describe(struct vfio_device *vfio, const struct vfio_device_config *config,
                    struct husk_error *err)
{
    int ret = vfio_bars_read(vfio, err);

    if (!ret)
        ret = vfio_config_init(vfio, err);
    if (!ret)
        ret = vfio_bars_init(vfio, err);
    return ret;
}

static int watch(struct vfio_device *vfio, const struct vfio_device_config *config,
                 struct husk_error *err)
{
    struct watch watch = {.vfio = vfio};
    int ret = open_signal(vfio, VFIO_PCI_REQ_IRQ_INDEX, &vfio->request_fd);

    if (!ret)
        ret = open_signal(vfio, VFIO_PCI_ERR_IRQ_INDEX, &vfio->error_fd);
    if (!ret) {
        event_loop_call(vfio->env.env.loop, add_sources, &watch);
        ret = watch.ret;
    }
    return ret ? error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                           "its signals cannot be watched: %s", error_text(-ret))
               : 0;
}

static int plug(struct vfio_device *vfio, const struct vfio_device_config *config,
                struct husk_error *err)
{
    uint64_t low = 0, high = 0;
    int ret;

    vfio_config_command(vfio, false);
    ret = pci_host_plug(vfio->env.host, &vfio->function, config->number, !config->hotplugged);
    if (!ret) {
        vfio->plugged = true;
        vfio_irq_start(vfio);
        return 0;
    }
    for (unsigned i = 0; i < PCI_BARS; i++)
        *(vfio->bars[i].is_64bit ? &high : &low) += vfio->bars[i].guest_size;
    return error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                     "the PCI bus has no place for it, or for its BARs (%llu KiB below 4 GiB, "
                     "%llu KiB anywhere): %s",
                     (unsigned long long)(low >> 10), (unsigned long long)(high >> 10),
                     error_text(-ret));
}

static void device_free(struct device *device)
{
    struct vfio_device *vfio = (struct vfio_device *)device;

    if (vfio->plugged)
        pci_host_unplug(vfio->env.host, &vfio->function);
    event_loop_call(vfio->env.env.loop, remove_sources, vfio);
    if (vfio->attachment.device_fd >= 0) {
        vfio_irq_stop(vfio);
        vfio_bars_release(vfio);
        vfio_config_command(vfio, true);
        reset(vfio);
    }
    vfio_msix_release(vfio);
    vfio_iommu_detach(vfio->env.iommu, &vfio->attachment);
    close_fd(&vfio->request_fd);
    close_fd(&vfio->error_fd);
    pthread_mutex_destroy(&vfio->irq_lock);
    pthread_mutex_destroy(&vfio->bar_lock);
    free(vfio);
}

static const struct device_ops device_ops = {
    .name = "vfio",
    .destroy = device_free,
};

int vfio_device_create(const struct vfio_device_env *env, const struct vfio_device_config *config,
                       struct device **out, struct husk_error *err)
{
    static int (*const steps[])(struct vfio_device *, const struct vfio_device_config *,
                                struct husk_error *) = {
        attach, check_and_reset, describe, watch, plug,
    };
    struct vfio_device *vfio = calloc(1, sizeof(*vfio));

    if (!vfio) {
        int group_fd = config->group_fd, device_fd = config->device_fd;

        close_fd(&group_fd);
        close_fd(&device_fd);
        return error_set(err, ENOMEM, config->name, VFIO_CANNOT_ATTACH, NULL);
    }
    vfio->device.ops = &device_ops;
    vfio->env = *env;
    vfio->kernel = env->iommu->kernel;
    vfio->vm = env->iommu->vm;
    vfio->name = config->name;
    vfio->attachment.device_fd = -1;
    vfio->request_fd = vfio->error_fd = -1;
    pthread_mutex_init(&vfio->bar_lock, NULL);
    pthread_mutex_init(&vfio->irq_lock, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        int ret = steps[i](vfio, config, err);

        if (ret) {
            device_free(&vfio->device);
            return ret;
        }
    }
    *out = &vfio->device;
    return 0;
}

unsigned vfio_device_slot(const struct device *device)
{
    return ((const struct vfio_device *)device)->function.number;
}
