// SPDX-License-Identifier: Apache-2.0
/*
 * /dev/kvm and the VM in it: see kvm.h. Follows Documentation/virt/kvm/api.rst of the kernel; the
 * sections named below are its own.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "vmm/memory.h"

#define KVM_DEVICE   "/dev/kvm"
#define KVM_VERSION  12 /* "applications should refuse to run" with any other (4.1) */
#define KVM_PVM_MARK "/sys/module/kvm_pvm"

/* What every architecture's machine stands on. */
static const struct kvm_requirement common_requirements[] = {
    {KVM_CAP_USER_MEMORY, "USER_MEMORY"},
    {KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "DESTROY_MEMORY_REGION_WORKS"},
    {KVM_CAP_IRQCHIP, "IRQCHIP"},
    {KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING"},
    {KVM_CAP_IRQFD, "IRQFD"},
    {KVM_CAP_IOEVENTFD, "IOEVENTFD"},
    {KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT"},
    {KVM_CAP_MP_STATE, "MP_STATE"},
};

int kvm_ioctl(int fd, unsigned long request, unsigned long argument)
{
    int ret;

    do {
        ret = ioctl(fd, request, argument);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

int kvm_ioctl_ptr(int fd, unsigned long request, void *argument)
{
    return kvm_ioctl(fd, request, (unsigned long)argument);
}

int kvm_capability(const struct kvm *kvm, int capability)
{
    int fd = kvm->vm_fd >= 0 ? kvm->vm_fd : kvm->dev_fd;
    int ret = kvm_ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)capability);

    return ret > 0 ? ret : 0;
}

int kvm_open_device(struct husk_error *err)
{
    const char *advice;
    int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        advice = "this kernel offers no KVM: load the module kvm_intel or kvm_amd, and enable "
                 "virtualisation (VT-x or AMD-V) in the firmware";
        break;
    case EACCES:
    case EPERM:
        advice = "permission denied: join the group kvm (usermod -aG kvm $USER, then log in again)";
        break;
    case EBUSY:
        advice = "another hypervisor has taken the CPU's virtualisation";
        break;
    default:
        return error_set(err, errno, KVM_DEVICE, "cannot open KVM", NULL);
    }
    return error_set(err, errno, KVM_DEVICE, "cannot open KVM", "%s", advice);
}

static void list_missing(const struct kvm *kvm, const struct kvm_requirement *requirements,
                         unsigned count, char *list, size_t size)
{
    size_t used = strlen(list);

    for (unsigned i = 0; i < count; i++) {
        int n;

        if (kvm_capability(kvm, requirements[i].capability))
            continue;
        n = snprintf(list + used, size - used, "%s%s", used ? ", " : "", requirements[i].name);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}

static int check_host(struct kvm *kvm, const struct kvm_requirement *requirements, unsigned count,
                      struct husk_error *err)
{
    char missing[160] = "";
    int version = kvm_ioctl(kvm->dev_fd, KVM_GET_API_VERSION, 0);

    if (version < 0)
        return error_set(err, -version, KVM_DEVICE, "cannot use this KVM",
                         "it does not answer as KVM does: %s", error_text(-version));
    if (version != KVM_VERSION)
        return error_set(err, ENOTSUP, KVM_DEVICE, "cannot use this KVM",
                         "its API version is %d, version %d is needed", version, KVM_VERSION);
    list_missing(kvm, common_requirements, ARRAY_SIZE(common_requirements), missing,
                 sizeof(missing));
    list_missing(kvm, requirements, count, missing, sizeof(missing));
    if (missing[0])
        return error_set(err, ENOTSUP, KVM_DEVICE, "cannot use this KVM", "it lacks %s", missing);
    return 0;
}

static int create_vm(struct kvm *kvm, struct husk_error *err)
{
    int ret = kvm_ioctl(kvm->dev_fd, KVM_CREATE_VM, 0);

    /* The new descriptor is CLOEXEC: KVM makes it so itself. */
    if (ret < 0)
        return error_set(err, -ret, KVM_DEVICE, "cannot create a VM", NULL);
    kvm->vm_fd = ret;
    ret = kvm_ioctl(kvm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (ret <= 0)
        return error_set(err, ret ? -ret : EINVAL, KVM_DEVICE, "cannot size a vCPU", NULL);
    kvm->run_bytes = (size_t)ret;

    /* 4.7: without MAX_VCPUS the recommended number counts, without that 4. */
    ret = kvm_capability(kvm, KVM_CAP_MAX_VCPUS);
    if (ret == 0)
        ret = kvm_capability(kvm, KVM_CAP_NR_VCPUS);
    kvm->max_vcpus = ret > 0 ? (unsigned)ret : 4;
    /* 4.35: 32 slots where the capability is missing. */
    ret = kvm_capability(kvm, KVM_CAP_NR_MEMSLOTS);
    kvm->max_memslots = ret > 0 ? (unsigned)ret : 32;
    return 0;
}

bool kvm_host_is_pvm(void)
{
    return access(KVM_PVM_MARK, F_OK) == 0;
}

int kvm_open(struct kvm *kvm, int dev_fd, const struct kvm_requirement *requirements,
             unsigned count, struct husk_error *err)
{
    int ret;

    *kvm = (struct kvm)KVM_CLOSED;
    kvm->dev_fd = dev_fd;
    ret = check_host(kvm, requirements, count, err);
    if (!ret)
        ret = create_vm(kvm, err);
    if (ret) {
        kvm_close(kvm);
        return ret;
    }
    return 0;
}

void kvm_close(struct kvm *kvm)
{
    close_fd(&kvm->vm_fd);
    close_fd(&kvm->dev_fd);
}

int kvm_map_memory(const struct kvm *kvm, const struct guest_memory *memory, struct husk_error *err)
{
    unsigned count = guest_memory_region_count(memory);

    if (count > kvm->max_memslots)
        return error_set(err, ENOSPC, "memory", "cannot give memory to the guest",
                         "%u regions, but this KVM has %u slots", count, kvm->max_memslots);
    for (unsigned i = 0; i < count; i++) {
        const struct guest_region *region = guest_memory_region(memory, i);
        struct kvm_userspace_memory_region slot = {
            .slot = i,
            .guest_phys_addr = region->base.value,
            .memory_size = region->size,
            .userspace_addr = (uintptr_t)region->hva,
        };
        int ret = kvm_ioctl_ptr(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);

        if (ret < 0)
            return error_set(err, -ret, "memory", "cannot give memory to the guest",
                             "KVM refused %llu bytes at %#llx: %s",
                             (unsigned long long)slot.memory_size,
                             (unsigned long long)slot.guest_phys_addr, error_text(-ret));
    }
    return 0;
}

int kvm_connect_irq(const struct kvm *kvm, int event_fd, uint32_t gsi)
{
    struct kvm_irqfd irqfd = {.fd = (uint32_t)event_fd, .gsi = gsi};

    return kvm_ioctl_ptr(kvm->vm_fd, KVM_IRQFD, &irqfd);
}

int kvm_create_vfio(const struct kvm *kvm)
{
    struct kvm_create_device device = {.type = KVM_DEV_TYPE_VFIO};
    int ret = kvm_ioctl_ptr(kvm->vm_fd, KVM_CREATE_DEVICE, &device);

    return ret < 0 ? ret : (int)device.fd; /* CLOEXEC: KVM makes it so itself */
}

int kvm_vfio_file(int vfio_fd, int file_fd, bool add)
{
    int32_t fd = file_fd;
    struct kvm_device_attr attribute = {
        .group = KVM_DEV_VFIO_GROUP,
        .attr = add ? KVM_DEV_VFIO_GROUP_ADD : KVM_DEV_VFIO_GROUP_DEL,
        .addr = (uintptr_t)&fd,
    };

    return kvm_ioctl_ptr(vfio_fd, KVM_SET_DEVICE_ATTR, &attribute);
}

int kvm_connect_resampled(const struct kvm *kvm, int trigger_fd, int resample_fd, uint32_t gsi)
{
    struct kvm_irqfd irqfd = {
        .fd = (uint32_t)trigger_fd,
        .gsi = gsi,
        .flags = KVM_IRQFD_FLAG_RESAMPLE,
        .resamplefd = (uint32_t)resample_fd,
    };

    return kvm_ioctl_ptr(kvm->vm_fd, KVM_IRQFD, &irqfd);
}

void kvm_disconnect_irq(const struct kvm *kvm, int event_fd, uint32_t gsi)
{
    struct kvm_irqfd irqfd = {
        .fd = (uint32_t)event_fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN};

    kvm_ioctl_ptr(kvm->vm_fd, KVM_IRQFD, &irqfd);
}

void kvm_set_irq_level(const struct kvm *kvm, uint32_t gsi, bool asserted)
{
    struct kvm_irq_level level = {.irq = gsi, .level = asserted};

    kvm_ioctl_ptr(kvm->vm_fd, KVM_IRQ_LINE, &level);
}

static int set_ioeventfd(const struct kvm *kvm, uint64_t address, unsigned size, uint64_t value,
                         int fd, uint32_t flags)
{
    struct kvm_ioeventfd request = {
        .datamatch = value,
        .addr = address,
        .len = size,
        .fd = fd,
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
    };

    return kvm_ioctl_ptr(kvm->vm_fd, KVM_IOEVENTFD, &request);
}

static int attach_port(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    return set_ioeventfd(arg, address, size, value, fd, KVM_IOEVENTFD_FLAG_PIO);
}

static void detach_port(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    set_ioeventfd(arg, address, size, value, fd,
                  KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static int attach_mmio(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    return set_ioeventfd(arg, address, size, value, fd, 0);
}

static void detach_mmio(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    set_ioeventfd(arg, address, size, value, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

struct bus_accelerator kvm_port_accelerator(struct kvm *kvm)
{
    return (struct bus_accelerator){.attach = attach_port, .detach = detach_port, .arg = kvm};
}

struct bus_accelerator kvm_mmio_accelerator(struct kvm *kvm)
{
    return (struct bus_accelerator){.attach = attach_mmio, .detach = detach_mmio, .arg = kvm};
}
