// SPDX-License-Identifier: Apache-2.0
/*
 * Every system call that a thread of husk may make, with the reason. What is not here kills the
 * process. The columns of seccomp.h's kinds:
 *
 *   V vCPU, I I/O, D disk, C control of a jailed VM, B building it, A the API and everything else,
 *   R reading a disk image, P speaking with a pod for a probe
 *
 * A rule names who needs the call by itself; rules_heirs() adds the kinds that must allow it
 * because threads inherit filters: B allows all but what only A, R and P need, and A everything but
 * what only R and P need, which are no thread's parent or child.
 *
 * Arguments are compared in their low 32 bits where the kernel reads an int, for the C library may
 * extend its sign.
 *
 * Files stay open to what was opened: read, write and the like take any descriptor, for all that a
 * process in jail has are its VM's. Calls that name something outside the process (a path, another
 * process, an address) are bound by their arguments, or are for A alone.
 */
#include "jail/filters/rules.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blkzoned.h>
#include <linux/cdrom.h>
#include <linux/fd.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/iommufd.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/vfio.h>
#include <linux/vhost.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/checked.h"

#define V (1u << SECCOMP_VCPU)
#define I (1u << SECCOMP_IO)
#define D (1u << SECCOMP_DISK)
#define C (1u << SECCOMP_CONTROL)
#define B (1u << SECCOMP_BUILD)
#define A (1u << SECCOMP_API)
#define R (1u << SECCOMP_IMAGE)
#define P (1u << SECCOMP_PROBE)

#define EVERY_THREAD  (V | I | D | C)
#define LONER         (R | P)
#define DEVICE_THREAD (V | I | C) /* whoever may act on a device, holding its lock */

#define INT_BITS      0xffffffffull
#define FUTEX_COMMAND 0x7full /* without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME */

/* What glibc and musl pass to make a thread, exactly: it shares everything, and no clone() with
 * other flags can make a process. */
#define THREAD_FLAGS                                                                    \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

// clang-format off
#define ALLOW(kinds_, name) \
    {.kinds = kinds_, .system_call = SCMP_SYS(name)}
#define ALLOW_IF(kinds_, name, ...) \
    {.kinds = kinds_, .system_call = SCMP_SYS(name), .argument_count = 1, \
     .arguments = {__VA_ARGS__}}
#define ALLOW_IF_BOTH(kinds_, name, ...) \
    {.kinds = kinds_, .system_call = SCMP_SYS(name), .argument_count = 2, \
     .arguments = {__VA_ARGS__}}
/* Fails instead of killing: for what the C library and husk itself try first and do without. */
#define REFUSE(kinds_, name, code) \
    {.kinds = kinds_, .system_call = SCMP_SYS(name), .action = SCMP_ACT_ERRNO(code)}

#define REFUSE_IF(kinds_, name, code, ...) \
    {.kinds = kinds_, .system_call = SCMP_SYS(name), .action = SCMP_ACT_ERRNO(code), \
     .argument_count = 1, .arguments = {__VA_ARGS__}}

#define INT(index, value)   {index, SCMP_CMP_MASKED_EQ, INT_BITS, (uint32_t)(value)}
#define WITHOUT(index, bits) {index, SCMP_CMP_MASKED_EQ, bits, 0}
#define WITH(index, bits)   {index, SCMP_CMP_MASKED_EQ, bits, bits}
#define FUTEX(command)      {1, SCMP_CMP_MASKED_EQ, FUTEX_COMMAND, command}
#define NULL_POINTER(index) {index, SCMP_CMP_EQ, 0, 0}

#define IOCTL(kinds, request) ALLOW_IF(kinds, ioctl, INT(1, request))
#define FCNTL(kinds, command) ALLOW_IF(kinds, fcntl, INT(1, command))
#define SIGNAL_SELF(kinds, number) \
    ALLOW_IF_BOTH(kinds, tgkill, INT(0, RULES_OWN_PROCESS), INT(2, number))
// clang-format on

/* glibc's own; the first thread of a process makes it set the handler for changes of user. */
#define SETXID_SIGNAL 33

#define KICK_SIGNAL 64 /* SIGRTMAX of the kernel, by which vCPUs are called back from the guest */

const struct rule rules[] = {
    /* Locks, condition variables, joining. No other command: priority inheritance and requeueing
     * are what the kernel's futexes were broken by. */
    ALLOW_IF(EVERY_THREAD, futex, FUTEX(FUTEX_WAIT)),
    ALLOW_IF(EVERY_THREAD | P, futex, FUTEX(FUTEX_WAKE)),
    ALLOW_IF(EVERY_THREAD, futex, FUTEX(FUTEX_WAIT_BITSET)),

    /* malloc: never memory that can be executed, never a file. */
    ALLOW_IF_BOTH(EVERY_THREAD | LONER, mmap, WITHOUT(2, PROT_EXEC), WITH(3, MAP_ANONYMOUS)),
    ALLOW_IF(EVERY_THREAD | LONER, mprotect, WITHOUT(2, PROT_EXEC)),
    ALLOW(EVERY_THREAD | LONER, munmap),
    ALLOW(EVERY_THREAD | LONER, mremap),
    ALLOW(EVERY_THREAD | LONER, brk),
    ALLOW(EVERY_THREAD, sched_getaffinity), /* how many arenas are worth while */
    /* Freed memory, and the stack of a thread that ends. */
    ALLOW_IF(EVERY_THREAD | LONER, madvise, INT(2, MADV_DONTNEED)),

    /* The end of a thread; signals are blocked in it meanwhile. */
    ALLOW(EVERY_THREAD, exit),
    ALLOW(EVERY_THREAD | LONER, rt_sigprocmask),

    /* The C library found its state broken, or a program's own check failed: abort(). */
    ALLOW(EVERY_THREAD | LONER, getpid),
    ALLOW(EVERY_THREAD | LONER, gettid),
    SIGNAL_SELF(EVERY_THREAD | LONER, SIGABRT),

    /* Waits with a timeout that SIGSTOP or a freezer interrupted are taken up again by it. */
    ALLOW(EVERY_THREAD | LONER, restart_syscall),

    /* Usually without a system call; not where the host's clock source needs the kernel. */
    ALLOW(EVERY_THREAD | LONER, clock_gettime),
    ALLOW(EVERY_THREAD | LONER, gettimeofday),
    ALLOW(EVERY_THREAD | LONER, time),

    /* Eventfds: kicks, interrupts, wake-ups, finished disk requests. Consoles, taps, timers. Lines
     * of log. */
    ALLOW(EVERY_THREAD | LONER, read),
    ALLOW(EVERY_THREAD | LONER, write),
    ALLOW(EVERY_THREAD, writev),  /* a log stream of the C library; packets to a tap */
    ALLOW(EVERY_THREAD, sendmsg), /* lines of log and events, from a jailed VM */
    IOCTL(EVERY_THREAD, TCGETS),  /* isatty() of who logs to a terminal */
    IOCTL(EVERY_THREAD, TCGETS2), /* the same, since glibc 2.42 */

    /* Guest code. KVMCLOCK_CTRL: after a pause; GET_REGS: where the guest stands, for a message. */
    IOCTL(V, KVM_RUN),
    IOCTL(V, KVM_KVMCLOCK_CTRL),
    IOCTL(V, KVM_GET_REGS),
    /* PCI: the guest says what an interrupt means, and where doorbells are. */
    IOCTL(V | I, KVM_SET_GSI_ROUTING),   /* I: a line that is taken again forgets its old route */
    IOCTL(DEVICE_THREAD, KVM_IRQ_LINE),  /* and its pin is asserted and deasserted */
    IOCTL(DEVICE_THREAD, KVM_IOEVENTFD), /* I: a device is plugged; C: the end of a machine */
    /* A kick, and taking note of it. C: SIGPIPE, when the console's reader is gone. */
    SIGNAL_SELF(DEVICE_THREAD, KICK_SIGNAL),
    ALLOW(V | C, rt_sigtimedwait),
    ALLOW(C, rt_sigpending),

    /* A device starts, stops, or is reset by its driver (on the vCPU's thread, which waits for what
     * is in flight), or by a pause: what is watched and what is timed changes. */
    ALLOW(DEVICE_THREAD, epoll_ctl),
    ALLOW(DEVICE_THREAD, timerfd_settime),
    ALLOW(DEVICE_THREAD | P, poll),
    ALLOW(DEVICE_THREAD, ppoll),
    ALLOW(DEVICE_THREAD, io_uring_enter), /* the ring itself is restricted to disk transfers */
    ALLOW(DEVICE_THREAD | R, close),      /* connections of a socket device */
    ALLOW(DEVICE_THREAD, shutdown),
    /* The tap of a network device, and the kernel's data path. */
    IOCTL(DEVICE_THREAD, TUNSETOFFLOAD),
    IOCTL(DEVICE_THREAD, TUNSETQUEUE),
    IOCTL(DEVICE_THREAD, VHOST_SET_FEATURES),
    IOCTL(DEVICE_THREAD, VHOST_SET_MEM_TABLE),
    IOCTL(DEVICE_THREAD, VHOST_SET_VRING_NUM),
    IOCTL(DEVICE_THREAD, VHOST_SET_VRING_BASE),
    IOCTL(DEVICE_THREAD, VHOST_GET_VRING_BASE),
    IOCTL(DEVICE_THREAD, VHOST_SET_VRING_ADDR),
    IOCTL(DEVICE_THREAD, VHOST_SET_VRING_KICK),
    IOCTL(DEVICE_THREAD, VHOST_SET_VRING_CALL),
    IOCTL(DEVICE_THREAD, VHOST_SET_VRING_ERR),
    IOCTL(DEVICE_THREAD, VHOST_NET_SET_BACKEND),

    /* A device of the host: its registers, where they are not mapped; its interrupts, which the
     * guest sets up and the end takes down; its BARs in the guest, which move. The descriptors are
     * of VFIO, of disks (D), or of what only the building thread reads (B). */
    ALLOW(V | C | R, pread64),
    ALLOW(V | C, pwrite64),
    IOCTL(DEVICE_THREAD, VFIO_DEVICE_SET_IRQS),
    IOCTL(V | C, VFIO_DEVICE_RESET),
    /* I: a device that reported an error is taken out of the guest at once. */
    IOCTL(DEVICE_THREAD, KVM_SET_USER_MEMORY_REGION),
    /* C: also the end of a machine: interrupts are taken off KVM; I: a device is plugged */
    IOCTL(DEVICE_THREAD, KVM_IRQFD),
    ALLOW(DEVICE_THREAD, eventfd2), /* C: also another file for a disk; I: as above */
    /* Another one while the VM runs, and the first ones. Guest memory is mapped for DMA: what else
     * could be mapped is the process's own. */
    IOCTL(C, VFIO_GET_API_VERSION),
    IOCTL(C, VFIO_CHECK_EXTENSION),
    IOCTL(C, VFIO_SET_IOMMU),
    IOCTL(C, VFIO_GROUP_GET_STATUS),
    IOCTL(C, VFIO_GROUP_SET_CONTAINER),
    IOCTL(V | C, VFIO_GROUP_UNSET_CONTAINER), /* V, as the others: the guest ejects it */
    IOCTL(C, VFIO_GROUP_GET_DEVICE_FD),
    IOCTL(C, VFIO_IOMMU_GET_INFO),
    IOCTL(C, VFIO_IOMMU_MAP_DMA),
    IOCTL(V | C, VFIO_IOMMU_UNMAP_DMA),
    IOCTL(C, VFIO_DEVICE_BIND_IOMMUFD),
    IOCTL(C, VFIO_DEVICE_ATTACH_IOMMUFD_PT),
    IOCTL(C, IOMMU_IOAS_ALLOC),
    IOCTL(C, IOMMU_IOAS_IOVA_RANGES),
    IOCTL(C, IOMMU_IOAS_MAP),
    IOCTL(V | C, IOMMU_IOAS_UNMAP),
    IOCTL(C, VFIO_DEVICE_GET_INFO),
    IOCTL(C, VFIO_DEVICE_GET_REGION_INFO),
    IOCTL(C, VFIO_DEVICE_GET_IRQ_INFO),
    IOCTL(C, KVM_CREATE_DEVICE), /* KVM's own knowledge of it */
    IOCTL(V | C, KVM_SET_DEVICE_ATTR),
    ALLOW_IF(C, mmap, WITHOUT(2, PROT_EXEC)), /* its BARs; also what the ring of a disk, a kernel,
                                                 and a vCPU share with the builder */

    /* A device is plugged: it is made here, of descriptors that are open. */
    IOCTL(I, TUNGETIFF),
    IOCTL(I, TUNSETVNETHDRSZ),
    IOCTL(I, VHOST_SET_OWNER),
    IOCTL(I, VHOST_GET_FEATURES),

    /* The event loop. */
    ALLOW(I, epoll_wait),
    ALLOW(I, epoll_pwait),
    ALLOW(I, timerfd_create),
    /* Packets; console and connections on sockets. */
    ALLOW(I | C, readv),
    ALLOW(I | C, recvfrom),
    ALLOW(I | C | R, sendto),
    ALLOW(I | C, recvmsg), /* C: requests of the library, with descriptors */
    /* Entropy for the guest; for TLS. */
    ALLOW(I | P, getrandom),
    /* The socket device: programs of the host connect, and are connected to. Unix sockets only; in
     * jail there is one directory in which one can be found. */
    ALLOW(I, accept4),
    ALLOW_IF(I, socket, INT(0, AF_UNIX)),
    ALLOW(I, connect),
    ALLOW(I, getsockopt), /* how a connection that took its time turned out */
    FCNTL(I | C, F_GETFL),
    FCNTL(I | C, F_SETFL),

    /* Blocking work on the one file of a disk. */
    ALLOW(D, preadv),
    ALLOW(D, pwritev),
    ALLOW(D, pwritev2), /* with RWF_DSYNC */
    ALLOW(D, fdatasync),
    ALLOW(D, fallocate), /* discards and zeroing */
    IOCTL(D, BLKDISCARD),
    ALLOW(D, clock_nanosleep), /* before asking again after EAGAIN */

    /* The end of the process. */
    ALLOW(C | LONER, exit_group),
    ALLOW(C, epoll_wait), /* an event loop without a thread of its own yet, or any more */
    ALLOW(C, epoll_pwait),
    /* Another file for a disk, while the VM runs: checked, locked, put behind a new engine. */
    ALLOW_IF(C | R, newfstatat, WITH(3, AT_EMPTY_PATH)), /* fstat() of glibc */
    ALLOW(C | R, fstat),
    ALLOW(C | R, lseek),
    FCNTL(C, F_GETFD),
    FCNTL(C, F_SETFD),
    FCNTL(C, F_DUPFD_CLOEXEC),
    FCNTL(C, F_OFD_SETLK),
    IOCTL(C | R, BLKGETSIZE64),
    ALLOW(C, timerfd_create),
    /* Not a ring: it would make any system call, and that it gets restricted is the maker's word.
     * Another file for a disk is served by threads. */
    REFUSE(C, io_uring_setup, EPERM),
    /* Threads, which begin with these. clone3() keeps its flags in memory, where a filter cannot
     * see them; the C library then does with clone(). */
    ALLOW_IF(C, clone, INT(0, THREAD_FLAGS)),
    REFUSE(C | B | A, clone3, ENOSYS),
    ALLOW_IF(C, rt_sigaction, INT(0, SETXID_SIGNAL)),
    ALLOW(C, set_robust_list),
    ALLOW(C, rseq),
    ALLOW_IF(C, prctl, INT(0, PR_SET_NAME)),
    ALLOW_IF(C, prctl, INT(0, PR_SET_NO_NEW_PRIVS)),
    ALLOW_IF_BOTH(C, seccomp, INT(0, SECCOMP_SET_MODE_FILTER), INT(1, 0)),
    /* Statistics: which pages of guest memory are there. */
    ALLOW(C, mincore),

    /* Building a machine: KVM. */
    IOCTL(B, KVM_GET_API_VERSION),
    IOCTL(B, KVM_CHECK_EXTENSION),
    IOCTL(B, KVM_CREATE_VM),
    IOCTL(B, KVM_GET_VCPU_MMAP_SIZE),
    IOCTL(B, KVM_GET_SUPPORTED_CPUID),
    IOCTL(B, KVM_GET_MSR_INDEX_LIST),
    IOCTL(B, KVM_SET_TSS_ADDR),
    IOCTL(B, KVM_SET_IDENTITY_MAP_ADDR),
    IOCTL(B, KVM_CREATE_IRQCHIP),
    IOCTL(B, KVM_CREATE_VCPU),
    IOCTL(B, KVM_SET_SIGNAL_MASK),
    IOCTL(B, KVM_SET_CPUID2),
    IOCTL(B, KVM_GET_MSRS),
    IOCTL(B, KVM_SET_MSRS),
    IOCTL(B, KVM_SET_REGS),
    IOCTL(B, KVM_GET_SREGS),
    IOCTL(B, KVM_SET_SREGS),
    /* Guest memory: private, or a memfd that cannot shrink; huge pages, and out of core files. */
    ALLOW(B | R, memfd_create),
    ALLOW(B | R, ftruncate),
    FCNTL(B, F_ADD_SEALS),
    ALLOW(B, madvise),
    ALLOW(B, sysinfo), /* a warning when it is more than the host's */
    /* Devices. The ring of a disk is restricted when it is made, and shared memory with the
     * kernel. */
    ALLOW(B, io_uring_setup),
    ALLOW(B, io_uring_register),
    ALLOW(B, epoll_create1),
    IOCTL(B, TIOCGPTN), /* whether the console is the master of a terminal */
    /* What a console is reopened by: there is no such path in jail. */
    REFUSE(B, open, ENOENT),
    REFUSE(B, openat, ENOENT),
    /* The size of a thread's stack. Only asking: the new limit is no pointer. */
    ALLOW_IF_BOTH(B, prlimit64, INT(0, 0), NULL_POINTER(2)),

    /* The process that opens for itself what its VM uses. */
    ALLOW(A, open),
    ALLOW(A, openat),
    ALLOW(A, access),
    ALLOW(A, faccessat),
    ALLOW(A, faccessat2),
    ALLOW(A, stat),
    ALLOW(A, newfstatat),
    ALLOW(A, readlink),
    ALLOW(A, readlinkat),
    ALLOW(A, getdents64), /* a device of the host: its IOMMU group in sysfs, its number */
    ALLOW(A, unlink),     /* its sockets, at the end */
    ALLOW(A, unlinkat),
    ALLOW(A, fcntl),
    ALLOW(A, pipe2),
    IOCTL(A, TUNSETIFF),
    IOCTL(A, TUNSETVNETLE),
    IOCTL(A, SIOCGIFINDEX), /* whether the tap exists */
    /* Serving HTTP on a unix socket, and listening for those who connect to the guest's sockets. */
    ALLOW(A, bind),
    ALLOW(A, listen),
    ALLOW(A, getsockname),
    ALLOW(A, getpeername),
    ALLOW(A, setsockopt),
    ALLOW(A, select),
    ALLOW(A, pselect6),
    /* A program in the foreground, whose terminal is the guest's: raw, and put right again, also by
     * the handlers of its own faults, which then let these take their course. Signals are read. */
    IOCTL(A, TIOCGPGRP),
    ALLOW(A, getpgrp),
    IOCTL(A, TCSETS),
    IOCTL(A, TCSETS2),
    ALLOW(A, rt_sigreturn),
    SIGNAL_SELF(A, SIGSEGV),
    SIGNAL_SELF(A, SIGBUS),
    SIGNAL_SELF(A, SIGILL),
    SIGNAL_SELF(A, SIGFPE),
    SIGNAL_SELF(A, SIGSYS),
    ALLOW(A, signalfd4),
    ALLOW(A, rt_sigaction),
    /* Reading a disk image: what libblkid does besides. It looks around for what a block device
     * belongs to, and asks drives for their media; there is nothing to find in jail. */
    ALLOW(R, fadvise64),
    REFUSE(R, open, ENOENT),
    REFUSE(R, openat, ENOENT),
    REFUSE(R, access, ENOENT),
    REFUSE(R, readlink, ENOENT),
    REFUSE(R, readlinkat, ENOENT),
    REFUSE(R, stat, ENOENT),
    REFUSE_IF(R, newfstatat, ENOENT, WITHOUT(3, AT_EMPTY_PATH)),
    REFUSE_IF(R, ioctl, ENOTTY, INT(1, BLKSSZGET)),
    REFUSE_IF(R, ioctl, ENOTTY, INT(1, BLKGETZONESZ)),
    REFUSE_IF(R, ioctl, ENOTTY, INT(1, CDROM_GET_CAPABILITY)),
    REFUSE_IF(R, ioctl, ENOTTY, INT(1, FDGETFDCSTAT)),
    /* Asking who and where it is, and what it may: locking memory without a limit, for DMA. */
    ALLOW(A, capget),
    ALLOW(A, uname),
    ALLOW(A, getuid),
    ALLOW(A, geteuid),
    ALLOW(A, getgid),
    ALLOW(A, getegid),
    ALLOW(A, umask),
};

const unsigned rule_count = ARRAY_SIZE(rules);

unsigned rules_heirs(unsigned kinds)
{
    if (kinds & D)
        kinds |= C;
    if (kinds & (V | I | C))
        kinds |= B;
    if (kinds & B)
        kinds |= A;
    return kinds;
}
