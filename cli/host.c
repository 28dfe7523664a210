// SPDX-License-Identifier: Apache-2.0
/*
 * Inspecting the host for `husk doctor`: see host.h. Everything is asked of the interface that husk
 * would use (ioctls, device nodes, sysfs), not guessed from CPU flags.
 */
#include "cli/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/cli.h"
#include "cli/host_jail.h"
#include "cli/host_pods.h"
#include "cli/host_vfio.h"
#include "husk/husk.h"
#include "pod/network/cni_conf.h"
#include "pod/network/cni_exec.h"

struct report {
    struct finding *findings;
    unsigned count;
};

__attribute__((format(printf, 5, 6))) static void add(struct report *report, const char *id,
                                                      enum finding_status status,
                                                      const char *advice, const char *format, ...)
{
    struct finding *finding;
    va_list args;

    if (report->count == HOST_MAX_FINDINGS)
        return;
    finding = &report->findings[report->count++];
    finding->id = id;
    finding->status = status;
    va_start(args, format);
    vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
    snprintf(finding->advice, sizeof(finding->advice), "%s", advice);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The first line of a small file without its newline; false when it cannot be read. */
static bool read_line(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, out, size - 1);
    close_fd(&fd);
    if (n < 0)
        return false;
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static bool module_parameter_on(const char *module, const char *parameter)
{
    char path[128], value[16];

    snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, parameter);
    return read_line(path, value, sizeof(value)) && (value[0] == 'Y' || value[0] == '1');
}

/* Returns an open /dev/kvm or -1. */
static int inspect_kvm_device(struct report *report)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int version;

    if (fd < 0 && errno == EACCES) {
        add(report, "kvm-device", FINDING_FATAL,
            "add yourself to the device's group: adduser $USER kvm, then log in again",
            "/dev/kvm: no permission");
        return -1;
    }
    if (fd < 0) {
        add(report, "kvm-device", FINDING_FATAL,
            errno == ENOENT
                ? "load kvm_intel or kvm_amd; enable VT-x/AMD-V in the firmware, or nested "
                  "virtualisation if this is a virtual machine"
                : "load the KVM module that fits this CPU",
            "/dev/kvm: %s", strerror(errno));
        return -1;
    }
    version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        add(report, "kvm-device", FINDING_FATAL, "husk speaks the stable KVM API only",
            "/dev/kvm: API version %d, not %d", version, KVM_API_VERSION);
        close_fd(&fd);
        return -1;
    }
    add(report, "kvm-device", FINDING_OK, "", "/dev/kvm: can be used, up to %d vCPUs a VM",
        ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS));
    return fd;
}

static void inspect_kvm_kind(struct report *report)
{
    if (exists("/sys/module/kvm_pvm")) {
        add(report, "kvm-kind", FINDING_FATAL,
            "for ordinary kernels use a host with VT-x or AMD-V, or the test lab (tests/lab/run)",
            "PVM: no hardware virtualisation; ring 0 of ordinary kernels is emulated instruction "
            "by "
            "instruction (bare-metal test guests work)");
    } else if (exists("/sys/module/kvm_intel")) {
        bool ept = module_parameter_on("kvm_intel", "ept");

        add(report, "kvm-kind", ept ? FINDING_OK : FINDING_NOTE,
            ept ? "" : "load kvm_intel with ept=1: shadow paging is slow", "Intel VT-x, %s EPT",
            ept ? "with" : "without");
    } else if (exists("/sys/module/kvm_amd")) {
        bool npt = module_parameter_on("kvm_amd", "npt");

        add(report, "kvm-kind", npt ? FINDING_OK : FINDING_NOTE,
            npt ? "" : "load kvm_amd with npt=1: shadow paging is slow", "AMD-V, %s NPT",
            npt ? "with" : "without");
    } else {
        add(report, "kvm-kind", FINDING_NOTE, "",
            "KVM's vendor module cannot be seen in /sys/module");
    }
}

static void inspect_nested(struct report *report)
{
    bool on =
        module_parameter_on("kvm_intel", "nested") || module_parameter_on("kvm_amd", "nested");

    if (exists("/sys/module/kvm_pvm"))
        return;
    add(report, "nested", on ? FINDING_OK : FINDING_NOTE,
        on ? "" : "needed only for VMs inside guests: load the KVM module with nested=1",
        "nested virtualisation: %s", on ? "on" : "off");
}

static void inspect_capabilities(struct report *report, int kvm_fd)
{
    static const struct {
        int cap;
        const char *name;
    } required[] = {
        /* As vmm/kvm.c and vmm/arch/x86_64/irqchip.c ask for them. */
        {KVM_CAP_USER_MEMORY, "USER_MEMORY"},
        {KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "DESTROY_MEMORY_REGION_WORKS"},
        {KVM_CAP_IRQCHIP, "IRQCHIP"},
        {KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING"},
        {KVM_CAP_IRQFD, "IRQFD"},
        {KVM_CAP_IOEVENTFD, "IOEVENTFD"},
        {KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT"},
        {KVM_CAP_MP_STATE, "MP_STATE"},
        {KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR"},
        {KVM_CAP_SET_IDENTITY_MAP_ADDR, "SET_IDENTITY_MAP_ADDR"},
        {KVM_CAP_EXT_CPUID, "EXT_CPUID"},
    };
    char lacking[128] = "";

    for (unsigned i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, required[i].cap) > 0)
            continue;
        snprintf(lacking + strlen(lacking), sizeof(lacking) - strlen(lacking), " %s",
                 required[i].name);
    }
    if (lacking[0])
        add(report, "kvm-capabilities", FINDING_FATAL, "use Linux 4.12 or newer", "KVM lacks:%s",
            lacking);
    else
        add(report, "kvm-capabilities", FINDING_OK, "", "KVM has every capability that husk needs");
}

static void inspect_device_node(struct report *report, const char *id, const char *path,
                                const char *use, const char *advice)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        add(report, id, FINDING_OK, "", "%s: can be used (%s)", path, use);
    else
        add(report, id, errno == EACCES ? FINDING_NOTE : FINDING_MISSING, advice, "%s: %s (%s)",
            path, strerror(errno), use);
    close_fd(&fd);
}

static void inspect_remapping(struct report *report, const struct host_vfio *vfio)
{
    switch (vfio->remapping) {
    case HOST_REMAPPING_ON:
        add(report, "interrupt-remapping", FINDING_OK, "", "interrupt remapping: on");
        break;
    case HOST_REMAPPING_UNSAFE:
        add(report, "interrupt-remapping", FINDING_NOTE,
            "give devices to guests that you trust only",
            "interrupt remapping: off, and VFIO does without (allow_unsafe_interrupts)");
        break;
    case HOST_REMAPPING_OFF:
        add(report, "interrupt-remapping", FINDING_MISSING,
            "enable it in the firmware (x2APIC); for guests that you trust: "
            "allow_unsafe_interrupts=1 of vfio_iommu_type1 and iommufd",
            "interrupt remapping: off, so that no device can be given away");
        break;
    }
}

/* Bytes, or no limit; what VMs in a process of their own get when the caller is not root. */
static void inspect_locked_memory(struct report *report)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return;
    if (geteuid() == 0 || limit.rlim_max == RLIM_INFINITY)
        add(report, "locked-memory", FINDING_OK, "", "locked memory: %s",
            geteuid() == 0 ? "root may give VMs what they need" : "unlimited");
    else
        add(report, "locked-memory", FINDING_NOTE,
            "a VM with devices of the host locks all of its memory: raise it with limits.conf or "
            "LimitMEMLOCK=",
            "locked memory: at most %llu KiB", (unsigned long long)(limit.rlim_max >> 10));
}

/* Passthrough: whether it is possible, and what lacks. */
static void inspect_vfio(struct report *report)
{
    struct host_vfio vfio;

    host_look_at_vfio("/sys", "/dev", "/proc", &vfio);
    if (vfio.groups == 0) {
        add(report, "iommu", FINDING_MISSING,
            "for device passthrough enable VT-d or AMD-Vi in the firmware; boot with "
            "intel_iommu=on on Intel, without amd_iommu=off on AMD",
            "IOMMU: no groups, so that no device can be given away");
        return;
    }
    add(report, "iommu", FINDING_OK, "", "IOMMU: %u groups", vfio.groups);
    inspect_remapping(report, &vfio);
    if (!vfio.has_driver)
        add(report, "vfio", FINDING_MISSING, "modprobe vfio-pci",
            "VFIO: the driver vfio-pci is not there");
    else if (!vfio.has_groups && !(vfio.has_iommufd && vfio.has_cdevs))
        add(report, "vfio", vfio.has_iommufd ? FINDING_NOTE : FINDING_MISSING,
            "modprobe vfio_iommu_type1, or iommufd where the kernel has it; then husk vf bind "
            "ADDRESS",
            "VFIO: the driver vfio-pci, %u devices; neither groups nor iommufd", vfio.bound);
    else
        add(report, "vfio", FINDING_OK, "", "VFIO: the driver vfio-pci, %u devices; by %s",
            vfio.bound,
            !vfio.has_groups                     ? "iommufd"
            : vfio.has_iommufd && vfio.has_cdevs ? "groups and iommufd"
                                                 : "groups");
    inspect_locked_memory(report);
}

static void inspect_memory(struct report *report)
{
    char pages[32] = "0", thp[64] = "";

    read_line("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", pages, sizeof(pages));
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", thp, sizeof(thp));
    if (!thp[0] || strstr(thp, "[never]"))
        add(report, "huge-pages", FINDING_NOTE,
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
            "transparent huge pages: off; 2 MiB pages reserved: %s", pages);
    else
        add(report, "huge-pages", FINDING_OK, "",
            "transparent huge pages: %s; 2 MiB pages reserved: %s", thp, pages);
}

static void inspect_cgroup(struct report *report)
{
    struct statfs fs;
    char controllers[128] = "";

    if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
        read_line("/sys/fs/cgroup/cgroup.controllers", controllers, sizeof(controllers));
        add(report, "cgroup", FINDING_OK, "", "cgroup v2: %s", controllers);
    } else {
        add(report, "cgroup", FINDING_MISSING, "boot with systemd.unified_cgroup_hierarchy=1",
            "cgroup v2 is not mounted at /sys/fs/cgroup");
    }
}

static void inspect_jail(struct report *report)
{
    char gaps[128];
    int ret = host_try_jail(gaps, sizeof(gaps));

    if (ret == 0 && !gaps[0])
        add(report, "jail", FINDING_OK, "", "the jail of a VM: whole");
    else
        add(report, "jail", FINDING_NOTE,
            "docs/jail.md says what each wall needs; as a user: user namespaces",
            "the jail of a VM: %s", ret ? strerrordesc_np(-ret) : gaps);
}

static void inspect_pods(struct report *report)
{
    const char *directory = secure_getenv("NETCONFPATH"), *path = secure_getenv("CNI_PATH");
    struct host_pods pods;

    directory = directory && *directory ? directory : CNI_CONF_DIRECTORY;
    path = path && *path ? path : CNI_PATH;
    host_look_at_pods(directory, path, &pods);
    if (pods.nftables == 0)
        add(report, "pod-bridge", FINDING_OK, "", "nftables: can be used (husk's bridge of pods)");
    else if (pods.nftables == -EPERM)
        add(report, "pod-bridge", FINDING_NOTE, "run it as root, as pods with a network want it",
            "nftables: only root can look");
    else
        add(report, "pod-bridge", FINDING_MISSING,
            "modprobe nf_tables; without it pods have --network none, cni:NAME or vf:PF",
            "nftables: %s (husk's bridge of pods)", strerrordesc_np(-pods.nftables));
    if (pods.networks == 0)
        add(report, "pod-cni", FINDING_OK, "",
            "CNI: no network in %.64s, so that pods get husk's bridge", directory);
    else if (!pods.has_plugins)
        add(report, "pod-cni", FINDING_MISSING, "install containernetworking-plugins",
            "CNI: %s, but no plugins in %.64s", pods.first, path);
    else
        add(report, "pod-cni", FINDING_OK, "", "CNI: pods get the network of %s (%u in all)",
            pods.first, pods.networks);
}

static void inspect_io_uring(struct report *report)
{
    struct io_uring_params params = {0};
    int fd = (int)syscall(__NR_io_uring_setup, 4, &params);

    if (fd >= 0)
        add(report, "io-uring", FINDING_OK, "", "io_uring: can be used");
    else
        add(report, "io-uring", FINDING_NOTE,
            "disks use a pool of threads instead; sysctl kernel.io_uring_disabled=0 permits it",
            "io_uring: %s", strerror(errno));
    close_fd(&fd);
}

static void inspect_guest_kernel(struct report *report)
{
    struct husk_error err;
    char path[4096];

    if (husk_find_kernel(path, sizeof(path), &err) == 0)
        add(report, "guest-kernel", FINDING_OK, "", "guest kernel: %.120s", path);
    else
        add(report, "guest-kernel", FINDING_NOTE, "build it: guest/kernel/build; or give -k",
            "guest kernel: none built");
}

const char *finding_status_name(enum finding_status status)
{
    static const char *const names[] = {"ok", "note", "missing", "fatal"};

    return names[status];
}

unsigned host_inspect(struct finding *findings)
{
    struct report report = {.findings = findings};
    int kvm_fd = inspect_kvm_device(&report);

    if (kvm_fd >= 0) {
        inspect_kvm_kind(&report);
        inspect_capabilities(&report, kvm_fd);
        inspect_nested(&report);
        close_fd(&kvm_fd);
    }
    inspect_device_node(
        &report, "tun", "/dev/net/tun", "tap networking",
        "modprobe tun; as a user: a tap made for you with ip tuntap add NAME mode tap user $USER");
    inspect_device_node(&report, "vhost-net", "/dev/vhost-net", "in-kernel network data path",
                        "modprobe vhost_net; without it husk moves packets itself");
    inspect_io_uring(&report);
    inspect_vfio(&report);
    inspect_memory(&report);
    inspect_cgroup(&report);
    inspect_jail(&report);
    inspect_pods(&report);
    inspect_guest_kernel(&report);
    return report.count;
}
