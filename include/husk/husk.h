// SPDX-License-Identifier: Apache-2.0
/*
 * libhusk: build, start and control microVMs on Linux KVM.
 *
 *     struct husk_error err;
 *     struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
 *     struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
 *     struct husk_vm *vm;
 *     struct husk_event event;
 *
 *     options.kernel_path = "vmlinux";
 *     drive.path = "disk.img";
 *     if (husk_vm_new(&options, &vm, &err) || husk_vm_add_drive(vm, &drive, &err) ||
 *         husk_vm_build(vm, &err) || husk_vm_start(vm, &err))
 *         ... err says which file or field, and why ...
 *     while (husk_vm_wait_event(vm, -1, &event) == 1 && event.type != HUSK_EVENT_STOPPED)
 *         ;
 *     husk_vm_free(vm);
 *
 * The library never exits, never installs signal handlers or changes dispositions, never touches
 * stdin, the working directory or umask, and has no global state: any number of VMs may live in one
 * process.
 *
 * Where a VM runs, with the same calls for both (husk_vm_options.mode):
 *
 *   HUSK_MODE_JAILED (the default): in a child process of its own, the program husk-vmm. The caller
 *     opens every file with its own rights, when the VM is built; the child gets descriptors only,
 *     and lives in a jail (see struct husk_jail_options) in which it can open nothing. A guest that
 *     breaks out of its VM finds itself there. It ends with the VM, or when the caller's process
 *     dies, and all that this forked and that execute no other program. The library waits for it; a
 *     caller that waits for any child (waitpid(-1)) may take its status, and a SIGCHLD may come:
 *     neither does harm.
 *   HUSK_MODE_IN_PROCESS: on threads of the calling process: one for I/O, one per vCPU, a few for
 *     disks, which block all signals but those of their own faults. vCPU threads are called back
 *     from the guest by SIGRTMAX, directed at the thread; a SIGRTMAX sent to the whole process
 *     while a guest runs may be swallowed by one of them.
 *
 * Option structs carry their own size in the first member (set by the _INIT macros), so that they
 * can grow without breaking callers. Strings are copied. Paths are opened by husk_vm_build().
 *
 * Errors: 0 on success, a negative errno value on failure, with *err (may be NULL) filled. A call
 * that fails changes nothing, except husk_vm_build(), after which only husk_vm_free() is useful.
 *
 * Threads: calls on different VMs never interfere. On one VM, the calls that shape it (new, set,
 * build, start, free, and add and remove before the build) belong to one thread at a time; all
 * others may come from any thread, also at the same time, as long as husk_vm_free() comes after
 * them.
 *
 * Blocking: each call says so when it may wait for longer than it takes to do its work. Talking to
 * a jailed VM counts as work: its process answers at once, and one that does not within 10 seconds
 * (30 for pause, build and drive updates) is ended, the call failing with -ETIMEDOUT. It answers
 * one after the other: a call waits for those of other threads on the same VM. Events and console
 * input do not. To end a VM at any rate, kill its process (husk_vm_info.pid).
 */
#ifndef HUSK_HUSK_H
#define HUSK_HUSK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "husk/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HUSK_API __attribute__((visibility("default")))

struct husk_vm;

enum husk_log_level { HUSK_LOG_ERROR, HUSK_LOG_WARN, HUSK_LOG_INFO, HUSK_LOG_DEBUG };

/* Receives one line without newline. Called from any thread, maybe from several at once; must not
 * call back into husk, nor block: a vCPU or a device waits for it. */
typedef void (*husk_log_fn)(void *arg, enum husk_log_level level, const char *line);

enum husk_console { HUSK_CONSOLE_SERIAL, HUSK_CONSOLE_VIRTIO, HUSK_CONSOLE_NONE };

/* A limit in units per second; 0 is unlimited. burst 0 gives one second's worth. */
struct husk_rate {
    uint64_t per_second;
    uint64_t burst;
};

/* How the guest finds its virtio devices, and how they interrupt it. */
enum husk_transport {
    HUSK_TRANSPORT_AUTO = 0, /* MMIO, or PCI where a device needs the bus: see husk_vfio_options */
    HUSK_TRANSPORT_MMIO = 2, /* fixed windows and pins: the smallest guests; at most 17 devices */
    HUSK_TRANSPORT_PCI = 1,  /* a PCI bus and MSI-X: what distribution kernels expect; at most 31 */
};

enum husk_mode { HUSK_MODE_JAILED, HUSK_MODE_IN_PROCESS };

enum husk_pages {
    HUSK_PAGES_DEFAULT, /* 4 KiB, transparent huge pages where the host has them */
    HUSK_PAGES_2M,      /* from the host's reserved 2 MiB pages (vm.nr_hugepages); memory_bytes must
                           be a multiple of 2 MiB */
};

/* Receives what the guest wrote to its console: `len` bytes, 1..65536. Called from a thread of the
 * library's, one call at a time; the guest's output waits while it runs. It must not call
 * husk_vm_free(). */
typedef void (*husk_console_fn)(void *arg, const void *bytes, size_t len);

/*
 * The walls around a jailed VM. What the host does not permit is left out, with a line of log that
 * names it, unless `strict`.
 *
 *   namespaces  user (unless the caller is root), mount, pid, net, ipc, uts: all new and empty
 *   files       pivot_root into an empty read-only directory; every path is gone
 *   rights      uid and gid below, no supplementary groups, no capabilities, no_new_privs
 *   limits      rlimits: no core, no files beyond the VM's own, no processes
 *   seccomp     a filter for each kind of thread: control, I/O, vCPU
 *   cgroup v2   a cgroup of its own, when `cgroup_parent` is set
 */
struct husk_jail_options {
    size_t size;
    int strict;   /* non-zero: fail the build when a wall cannot be put up */
    uint32_t uid; /* what the VM's process runs as, when the caller is root; 0: 65534 (nobody) */
    uint32_t gid; /* as uid */

    /* A cgroup below /sys/fs/cgroup, e.g. "husk.slice", with the controllers in its
     * cgroup.subtree_control that the limits need. It is created when missing; the VM's own is
     * made in it, named "husk-ID", and removed with the VM. NULL: the caller's cgroup, no limits.
     */
    const char *cgroup_parent;
    uint64_t memory_max_bytes; /* memory.max: guest memory and the monitor's; 0: none */
    uint32_t cpu_max_percent;  /* cpu.max, 100 is one CPU; 0: none */
    uint32_t cpu_weight;       /* 1..10000; 0: the default of 100 */
    uint64_t io_max_bytes;     /* io.max, per second and direction, of each block device under a
                                  drive; 0: none */
    uint32_t pids_max;         /* threads; 0: what the VM needs */
    uint32_t reserved;         /* 0 */
};

#define HUSK_JAIL_OPTIONS_INIT                   \
    {                                            \
        .size = sizeof(struct husk_jail_options) \
    }

/*
 * Changes to what the guest's CPUID says and to its model-specific registers, before it starts.
 * Each is applied to every vCPU, after husk's own settings: value = (value & ~mask) | (bits &
 * mask).
 */
struct husk_cpuid_change {
    uint32_t leaf, subleaf;
    uint32_t flags; /* KVM_CPUID_FLAG_*: 1 when the subleaf matters */
    struct {
        uint32_t mask, bits;
    } eax, ebx, ecx, edx;
};

struct husk_msr_change {
    uint32_t index;
    uint64_t mask, bits;
};

struct husk_vm_options {
    size_t size; /* sizeof(struct husk_vm_options) */

    /* Names the VM in messages and on the host: 1..64 of A-Z a-z 0-9 - _; NULL: made up. Two VMs at
     * a time may have the same, but not in one cgroup_parent: then the second build is -EEXIST. */
    const char *id;

    enum husk_mode mode;
    const struct husk_jail_options *jail; /* NULL: HUSK_JAIL_OPTIONS_INIT; jailed mode only */
    const char *vmm_path;                 /* the husk-vmm program; NULL: where it was installed */
    /* In-process mode: non-zero puts the I/O and vCPU threads under their seccomp filters. The log
     * callback, which they call, may then only write to open files. */
    int confine_threads;

    /* Kernel and initrd are mapped copy-on-write where possible, not read: replace such a file by
     * renaming a new one over it, never write into it or cut it while a VM that booted it exists.
     */
    const char *kernel_path; /* required unless kernel_fd is given */
    int kernel_fd;           /* -1, or an open file; stays the caller's, used during build only */
    const char *initrd_path; /* NULL: none */
    int initrd_fd;           /* -1, or as kernel_fd */
    /* The whole command line; NULL: husk_default_command_line(), with a PCI bus without "pci=off".
     */
    const char *command_line;
    /* Appended to that, after a space; NULL for nothing. */
    const char *command_line_append;

    uint64_t memory_bytes; /* multiple of 4096; 0 gives 256 MiB; at least 1 MiB */
    int memory_shared;     /* non-zero: a memfd mapped shared instead of private memory */
    enum husk_pages pages;
    unsigned vcpus;            /* 0 gives 1; at most what KVM supports here */
    unsigned threads_per_core; /* 0 gives 1; 1 or 2, a divisor of vcpus */

    const struct husk_cpuid_change *cpuid_changes; /* at most 256; copied */
    unsigned cpuid_change_count;
    const struct husk_msr_change *msr_changes; /* at most 256; copied */
    unsigned msr_change_count;

    enum husk_console console;
    int console_in_fd;  /* -1: no input. Stays the caller's until husk_vm_free(). */
    int console_out_fd; /* -1: output is swallowed */
    /* Instead of the two: output comes to console_write, input is given by husk_vm_console_input().
     */
    husk_console_fn console_write;
    void *console_arg;
    uint16_t console_columns, console_rows; /* initial size; 0: unknown */

    int no_rng;                /* non-zero: without the virtio entropy device */
    struct husk_rate rng_rate; /* bytes per second */

    int kvm_fd; /* -1, or an open /dev/kvm, used during build only */

    enum husk_log_level log_level;
    husk_log_fn log; /* NULL: silent */
    void *log_arg;

    enum husk_transport transport;

    /* Non-zero: with a balloon device, by whose free page reporting the guest gives memory back
     * that it has come to use and uses no more. Private memory of ordinary pages only. While
     * devices of the host are attached, nothing is given back. */
    int free_page_reporting;
};

#define HUSK_VM_OPTIONS_INIT                                                                \
    {                                                                                       \
        .size = sizeof(struct husk_vm_options), .kernel_fd = -1, .initrd_fd = -1,           \
        .console_in_fd = -1, .console_out_fd = -1, .kvm_fd = -1, .log_level = HUSK_LOG_WARN \
    }

enum husk_block_engine {
    HUSK_BLOCK_ENGINE_AUTO, /* io_uring where the host permits it, else threads */
    HUSK_BLOCK_ENGINE_URING,
    HUSK_BLOCK_ENGINE_THREADS,
};

struct husk_drive_options {
    size_t size;
    const char *id; /* for the calls below; as husk_vm_options.id. NULL: "drive1", "drive2", … */
    const char *path; /* raw file or block device; locked against use by another VM */
    int fd;           /* -1, or an open descriptor to use instead; becomes the VM's on success */
    int read_only;
    enum husk_block_engine engine;
    unsigned queues;             /* 0 gives 1; 1..16 */
    struct husk_rate operations; /* requests per second */
    struct husk_rate bandwidth;  /* bytes per second */
    /* NULL, or more files, open for reading, whose contents follow that of `path` or `fd`: all of
     * them are one disk, which can be read only. At most 127; each file but the last has whole
     * sectors of 512 bytes. Become the VM's on success. An update of the drive replaces all. */
    const int *more_fds;
    unsigned more_fd_count;
    unsigned reserved; /* 0 */
};

#define HUSK_DRIVE_OPTIONS_INIT                             \
    {                                                       \
        .size = sizeof(struct husk_drive_options), .fd = -1 \
    }

/*
 * The kernel that a disk image brings along, as distributions and their cloud images have it: a
 * unified kernel image or a boot loader entry on an EFI or boot partition, else the default entry
 * of GRUB's configuration, else the newest /boot/vmlinuz* with its initrd. In raw images with GPT,
 * MBR, or no partition table; in file systems ext2, 3 and 4, and FAT.
 *
 * The disk is read by the program husk-image, in a process of its own that is confined as a jailed
 * VM is, limited in time and memory, and gone when the call returns: nothing of a hostile image
 * gets at the caller but the bytes below.
 */
struct husk_image_options {
    size_t size;
    const char *path; /* raw file or block device. Locked meanwhile against a VM that writes it */
    int fd;           /* -1, or instead of path, open for reading alone; stays the caller's */
    const char *reader_path; /* the husk-image program; NULL: where it was installed */
};

#define HUSK_IMAGE_OPTIONS_INIT                             \
    {                                                       \
        .size = sizeof(struct husk_image_options), .fd = -1 \
    }

/* What was found. Texts are printable ASCII. */
struct husk_image_kernel {
    size_t size;
    int kernel_fd;           /* sealed files in memory, for husk_vm_options; the caller's */
    int initrd_fd;           /* -1: none */
    char command_line[2048]; /* as the disk has it, with its root file system but without a word
                                for a console of husk's: append that, "console=ttyS0" say */
    char found[256];         /* where: "partition 1 (ext4): /boot/grub/grub.cfg: /boot/vmlinuz-6" */
    char looked_at[4096];    /* each partition, and what it lacks; filled on -ENOENT too */
};

#define HUSK_IMAGE_KERNEL_INIT                                                     \
    {                                                                              \
        .size = sizeof(struct husk_image_kernel), .kernel_fd = -1, .initrd_fd = -1 \
    }

enum husk_vhost { HUSK_VHOST_AUTO, HUSK_VHOST_ON, HUSK_VHOST_OFF };

struct husk_net_options {
    size_t size;
    const char *id;       /* as husk_drive_options.id. NULL: "net1", "net2", … */
    const char *tap_name; /* an existing tap interface */
    /* NULL, or an open tap with IFF_NO_PI and IFF_VNET_HDR for each queue pair; become the VM's on
     * success. */
    const int *tap_fds;
    /* NULL, or an open /dev/vhost-net for each queue pair; become the VM's on success. */
    const int *vhost_fds;
    uint8_t mac[6]; /* all zero: a stable locally administered address is derived from the VM's
                       and the interface's position */
    uint16_t mtu;   /* 0: not announced; else 68..65535 */
    unsigned queue_pairs;  /* 0 gives 1; 1..16 */
    enum husk_vhost vhost; /* AUTO: the kernel's data path where /dev/vhost-net can be opened */
    struct husk_rate rx_bandwidth, tx_bandwidth;   /* bytes per second; not with vhost */
    struct husk_rate rx_operations, tx_operations; /* packets per second; not with vhost */
};

#define HUSK_NET_OPTIONS_INIT                   \
    {                                           \
        .size = sizeof(struct husk_net_options) \
    }

enum husk_vfio_iommu {
    HUSK_VFIO_IOMMU_AUTO,    /* iommufd where the host has it for every device, else groups */
    HUSK_VFIO_IOMMU_IOMMUFD, /* /dev/iommu and /dev/vfio/devices/vfioN */
    HUSK_VFIO_IOMMU_GROUP,   /* /dev/vfio/vfio and /dev/vfio/N */
};

/*
 * A PCI device of the host, given to the guest as it is. On the host its driver is vfio-pci
 * ("husk vf bind"), and so is that of all other devices of its IOMMU group. The VM has a PCI bus
 * then: -EINVAL with HUSK_TRANSPORT_MMIO.
 *
 * Such a VM's memory cannot be swapped: the build takes all of it from the host and locks it, as
 * RLIMIT_MEMLOCK must allow (docs/vfio.md). All devices of a VM use one interface to the IOMMU.
 */
struct husk_vfio_options {
    size_t size;
    const char *id;      /* as husk_drive_options.id. NULL: "vfio1", "vfio2", … */
    const char *address; /* "0000:01:10.0"; the domain may be left out when it is 0 */
    enum husk_vfio_iommu iommu;
    /* -1, or open descriptors in place of files that the build opens; become the VM's on success.
     * Either the device's /dev/vfio/devices/vfioN, of which `address` (may be NULL) is only a name
     * for messages; or the /dev/vfio/N of the group in which `address` is. */
    int device_fd, group_fd;
    /* -1, or an open /dev/iommu beside device_fd, /dev/vfio/vfio beside group_fd. The first that a
     * VM is given is that of all its devices. */
    int iommu_fd;
};

#define HUSK_VFIO_OPTIONS_INIT                                                                    \
    {                                                                                             \
        .size = sizeof(struct husk_vfio_options), .device_fd = -1, .group_fd = -1, .iommu_fd = -1 \
    }

/*
 * A virtio socket device between guest and host programs. The host side is a unix stream socket:
 * a program that connects to it and writes "CONNECT PORT\n" gets "OK HOSTPORT\n" and is then
 * connected to the guest's listener on PORT, or finds the connection closed. A guest's connection
 * to port N of the host (CID 2) is made to the unix socket "PATH_N", where a host program listens.
 */
struct husk_vsock_options {
    size_t size;
    uint32_t guest_cid; /* 3..4294967294 */
    const char *path;   /* the unix socket, created by build and removed by free; must not exist,
                           but for a socket that nobody listens on any more; at most 96 bytes.
                           Give it a directory of its own: whoever takes a jailed VM over can
                           connect to every socket in there and below that the VM's user may */
};

#define HUSK_VSOCK_OPTIONS_INIT                   \
    {                                             \
        .size = sizeof(struct husk_vsock_options) \
    }

enum husk_state { HUSK_STATE_CREATED, HUSK_STATE_RUNNING, HUSK_STATE_PAUSED, HUSK_STATE_STOPPED };

enum husk_stop_reason {
    HUSK_STOP_NONE,          /* not stopped */
    HUSK_STOP_POWER_OFF,     /* the guest powered itself off */
    HUSK_STOP_RESET,         /* the guest asked for a reset */
    HUSK_STOP_TRIPLE_FAULT,  /* a vCPU shut down */
    HUSK_STOP_PANIC,         /* the guest reported a kernel panic (pvpanic) */
    HUSK_STOP_GUEST_EXIT,    /* the guest wrote a status to the debug-exit port */
    HUSK_STOP_HOST_REQUEST,  /* husk_vm_stop() */
    HUSK_STOP_MONITOR_ERROR, /* KVM or a host resource failed, or a jailed VM's process died; the
                                event says what */
};

/* A stable lower-case name, e.g. "power-off". */
HUSK_API const char *husk_stop_reason_name(enum husk_stop_reason reason);

enum husk_event_type {
    HUSK_EVENT_READY,  /* the guest reported that its init runs (mark 1 on the mark port); once */
    HUSK_EVENT_PAUSED, /* every vCPU stands still */
    HUSK_EVENT_RESUMED,
    HUSK_EVENT_STOPPED,        /* the last event of a VM */
    HUSK_EVENT_DEVICE_REMOVED, /* a device is gone: its files are closed, its id free. Of those that
                                  nobody fetches the newest 64 are kept */
    HUSK_EVENT_DEVICE_WANTED,  /* the host wants a device of its own back, and waits; once for each.
                                  A guest that runs has been asked for it, as by
                                  husk_vm_remove_vfio(). Kept as the former */
};

enum husk_device_kind { HUSK_DEVICE_DRIVE, HUSK_DEVICE_NET, HUSK_DEVICE_VFIO };

struct husk_event_device {
    enum husk_device_kind kind;
    char id[65]; /* NUL-terminated */
};

struct husk_event {
    enum husk_event_type type;
    enum husk_stop_reason reason;        /* STOPPED */
    uint8_t guest_status;                /* STOPPED by GUEST_EXIT: what the guest wrote */
    __extension__ union {                /* C99 has no unnamed unions */
        struct husk_error error;         /* STOPPED by MONITOR_ERROR */
        struct husk_event_device device; /* DEVICE_REMOVED, DEVICE_WANTED */
    };
    uint64_t reserved[4]; /* zero; room to grow, for this struct has no size */
};

/* The version of this header, and "MAJOR.MINOR.PATCH" of the library that is linked. */
#define HUSK_VERSION_MAJOR 0
#define HUSK_VERSION_MINOR 1
#define HUSK_VERSION_PATCH 0
HUSK_API const char *husk_version(void);

/* One line of an error, "where: what: why" without the empty parts, NUL-terminated and cut to size.
 * Returns buf. */
HUSK_API const char *husk_error_format(const struct husk_error *err, char *buf, size_t size);

/* The kernel command line that husk starts from for this kind of console. */
HUSK_API const char *husk_default_command_line(enum husk_console console);

/*
 * Look for a kernel on a disk. Blocks while the disk is read, at most two minutes. -ENOENT: there
 * is none that husk can find; -EBUSY: a VM writes this disk; -EIO: the reader failed. On failure
 * there is nothing to release. The guest finds its disk on a PCI bus if anywhere: set
 * HUSK_TRANSPORT_PCI, for a distribution's initrd may have no driver for the other transport.
 */
HUSK_API int husk_image_find_kernel(const struct husk_image_options *options,
                                    struct husk_image_kernel *out, struct husk_error *err);

/*
 * The kernel for guests when nobody names one: the first that can be read of $HUSK_KERNEL (and no
 * other when that is set), ~/.cache/husk/kernels/guest/vmlinux (with $XDG_CACHE_HOME in place of
 * ~/.cache where that is set), and the one that was installed with husk. `path` is filled, of
 * `size` bytes with the NUL. -ENOENT: there is none, and err says where it was looked for.
 */
HUSK_API int husk_find_kernel(char *path, size_t size, struct husk_error *err);

/* Closes both descriptors, after husk_vm_build() or when they are not wanted. */
HUSK_API void husk_image_kernel_release(struct husk_image_kernel *kernel);

/* Check options and make a VM object without opening anything. */
HUSK_API int husk_vm_new(const struct husk_vm_options *options, struct husk_vm **out,
                         struct husk_error *err);

/*
 * Add a device. Before the build: drives appear as vda, vdb, … in the order of the calls, and paths
 * and names are opened by the build. Once the VM is built, in all states but stopped: it is opened
 * now, plugged, and the guest is told (ACPI hot-plug), or finds it when it starts or is resumed;
 * a driver of the guest takes it up at its leisure. That needs the PCI transport, else it is
 * -EOPNOTSUPP. -EEXIST: the id is taken, also by a device that is to be removed and is not gone
 * yet. -ENOSPC: there is no room for one more.
 *
 * In a jailed VM a drive that is plugged is served by threads: no io_uring can be made in there any
 * more.
 */
HUSK_API int husk_vm_add_drive(struct husk_vm *vm, const struct husk_drive_options *options,
                               struct husk_error *err);
HUSK_API int husk_vm_add_net(struct husk_vm *vm, const struct husk_net_options *options,
                             struct husk_error *err);

/*
 * The same for a device of the host; `iommu` AUTO then means the interface that its others use.
 * With the first one all guest memory is locked: in a VM that runs this takes as long (blocks), and
 * everything else that asks for it waits. With the last one it is let go.
 */
HUSK_API int husk_vm_add_vfio(struct husk_vm *vm, const struct husk_vfio_options *options,
                              struct husk_error *err);

/* Give the VM a virtio socket device, before build. A second call is -EEXIST. */
HUSK_API int husk_vm_set_vsock(struct husk_vm *vm, const struct husk_vsock_options *options,
                               struct husk_error *err);

/*
 * Take a device away by its id: -ENOENT when there is none. While the VM is not started it is gone
 * when the call returns. From a running or paused guest it is asked for: the call returns at once,
 * and HUSK_EVENT_DEVICE_REMOVED comes when the guest has let it go, which may be never; until then
 * everything can be done with it as before. A second call asks once more. A guest may also let go
 * of a device that nobody asked for: the event is the same. -EOPNOTSUPP once the VM is built and
 * has no PCI bus, -EINVAL when it is stopped.
 */
HUSK_API int husk_vm_remove_drive(struct husk_vm *vm, const char *id, struct husk_error *err);
HUSK_API int husk_vm_remove_net(struct husk_vm *vm, const char *id, struct husk_error *err);
HUSK_API int husk_vm_remove_vfio(struct husk_vm *vm, const char *id, struct husk_error *err);

/* What to change of a device; members left as in _INIT stay as they are. */
struct husk_drive_update {
    size_t size;
    const char *path; /* another file in place of the present one, opened as that was: the guest is
                         told its new size. Requests in flight finish on the old one. The present
                         file again: only the size is looked at anew. In a jailed VM the new file
                         is served by threads: no io_uring can be made in there any more. */
    int fd;           /* -1, or an open descriptor instead of path; becomes the VM's on success */
    const struct husk_rate *operations, *bandwidth; /* NULL: unchanged */
};

#define HUSK_DRIVE_UPDATE_INIT                             \
    {                                                      \
        .size = sizeof(struct husk_drive_update), .fd = -1 \
    }

struct husk_net_update {
    size_t size;
    const struct husk_rate *rx_bandwidth, *tx_bandwidth; /* NULL: unchanged; not with vhost */
    const struct husk_rate *rx_operations, *tx_operations;
};

#define HUSK_NET_UPDATE_INIT                   \
    {                                          \
        .size = sizeof(struct husk_net_update) \
    }

/* Change a device of a VM that is built and not stopped. -ENOENT when there is no such id. A drive
 * update waits until the old file's last request has finished: -ETIMEDOUT, with everything as it
 * was, when that takes longer than 20 seconds. */
HUSK_API int husk_vm_update_drive(struct husk_vm *vm, const char *id,
                                  const struct husk_drive_update *update, struct husk_error *err);
HUSK_API int husk_vm_update_net(struct husk_vm *vm, const char *id,
                                const struct husk_net_update *update, struct husk_error *err);

/* Open and create everything, load the kernel. Blocks for as long as reading the kernel takes. */
HUSK_API int husk_vm_build(struct husk_vm *vm, struct husk_error *err);

/* Start the VM's threads and the guest. */
HUSK_API int husk_vm_start(struct husk_vm *vm, struct husk_error *err);

/* Wait until every vCPU stands still and device I/O has settled / go on. -EINVAL in other states.
 */
HUSK_API int husk_vm_pause(struct husk_vm *vm, struct husk_error *err);
HUSK_API int husk_vm_resume(struct husk_vm *vm, struct husk_error *err);

/* Press the ACPI power button / Ctrl-Alt-Del: requests that the guest may ignore. Do not block. */
HUSK_API int husk_vm_power_button(struct husk_vm *vm, struct husk_error *err);
HUSK_API int husk_vm_ctrl_alt_del(struct husk_vm *vm, struct husk_error *err);

/* End the VM at once: it stops with HUSK_STOP_HOST_REQUEST. Does not block; -EINVAL unless started.
 */
HUSK_API int husk_vm_stop(struct husk_vm *vm, struct husk_error *err);

/* Press the power button now, and end the VM as husk_vm_stop() does when it has not stopped by
 * itself within grace_ms; 0 is husk_vm_stop(). Does not block: the event says how it ended. A
 * second call presses again and moves the deadline. A paused guest sees nothing of it but its end.
 */
HUSK_API int husk_vm_shutdown(struct husk_vm *vm, unsigned grace_ms, struct husk_error *err);

HUSK_API enum husk_state husk_vm_state(const struct husk_vm *vm);

/* Give bytes to the guest's console (with console_write only). Returns how many were taken, 0..len:
 * the rest when the guest has read; or -EINVAL, -EPIPE after the VM's end (when it is jailed: after
 * that event was fetched). Does not block. */
HUSK_API ssize_t husk_vm_console_input(struct husk_vm *vm, const void *bytes, size_t len);

/* Tell the guest a new console size (virtio console only; otherwise ignored). */
HUSK_API void husk_vm_console_resize(struct husk_vm *vm, uint16_t columns, uint16_t rows);

/* Readable while events wait; stays the VM's, and the same, until husk_vm_free(). For the caller's
 * poll loop. -1 before the build. */
HUSK_API int husk_vm_event_fd(const struct husk_vm *vm);

/* Fetch the next event: 1 with *event filled, 0 when there is none. Never blocks. */
HUSK_API int husk_vm_next_event(struct husk_vm *vm, struct husk_event *event);

/* As next_event, waiting at most timeout_ms (-1: forever). -EINVAL before the build. */
HUSK_API int husk_vm_wait_event(struct husk_vm *vm, int timeout_ms, struct husk_event *event);

/* One moment of the start-up, in CLOCK_MONOTONIC nanoseconds. */
struct husk_moment {
    const char *name; /* static storage */
    uint64_t at_ns;
};

/* What was reached so far, in order of time, up to `max` entries. Returns the number. */
HUSK_API unsigned husk_vm_timeline(const struct husk_vm *vm, struct husk_moment *out, unsigned max);

/* What the build found out, for people. Strings live as long as the VM. */
struct husk_vm_info {
    size_t size;               /* sizeof(struct husk_vm_info), set by the caller */
    const char *kernel_format; /* "bzImage", "ELF (PVH)", … */
    int kernel_is_linux;
    const char *command_line; /* whole, as given to the guest */
    int pid;                  /* of the VM's process; the caller's own in in-process mode */
    int reserved;             /* 0 */
};
/* 0, or -EINVAL before the build. */
HUSK_API int husk_vm_info(const struct husk_vm *vm, struct husk_vm_info *info);

/* Counters since the start. In a struct of an earlier release the later members are not filled. */
struct husk_drive_stats {
    size_t size; /* of the struct, set by the caller; so in the two below */
    uint64_t read_requests, write_requests, flush_requests, other_requests;
    uint64_t read_bytes, write_bytes;
    uint64_t failed_requests;
    uint64_t throttled; /* how often the rate limits made it wait */
};

struct husk_net_stats {
    size_t size; /* all zero when vhost moves the packets */
    uint64_t rx_packets, rx_bytes, rx_dropped, rx_throttled;
    uint64_t tx_packets, tx_bytes, tx_dropped, tx_throttled;
};

struct husk_vm_stats {
    size_t size;
    uint64_t vcpu_exits; /* returns from the guest to the monitor */
    uint64_t port_reads, port_writes, mmio_reads, mmio_writes; /* of which */
    uint64_t vcpu_cpu_ns, io_cpu_ns; /* CPU time of the vCPU threads, and of the I/O thread */
    uint64_t memory_resident_bytes;  /* guest memory that the host holds in RAM */
    uint64_t console_tx_bytes, console_rx_bytes, console_dropped_bytes;
    uint64_t rng_bytes;
    uint64_t vsock_tx_bytes, vsock_rx_bytes;
    uint64_t vsock_connections;     /* open now */
    uint64_t memory_pinned_bytes;   /* guest memory that is locked for devices of the host */
    uint64_t memory_reported_bytes; /* given back by free page reporting; a page counts each time */
};

/* Any time after build. Blocks shortly. -ENOENT when there is no such id. */
HUSK_API int husk_vm_stats(struct husk_vm *vm, struct husk_vm_stats *stats, struct husk_error *err);
HUSK_API int husk_vm_drive_stats(struct husk_vm *vm, const char *id, struct husk_drive_stats *stats,
                                 struct husk_error *err);
HUSK_API int husk_vm_net_stats(struct husk_vm *vm, const char *id, struct husk_net_stats *stats,
                               struct husk_error *err);

/* Stop if running, join all threads, end the VM's process, release everything. NULL is fine; before
 * the call, take the event descriptor out of any poll loop. Blocks until disk requests in flight
 * have finished, and up to two seconds for a reader of the console that is slow. */
HUSK_API void husk_vm_free(struct husk_vm *vm);

#ifdef __cplusplus
}
#endif
#endif
