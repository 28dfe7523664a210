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
 * process. A VM runs on threads of its own (one for I/O, one per vCPU, a few for disks), which
 * block all signals but those of their own faults. vCPU threads are called back from the guest by
 * SIGRTMAX, directed at the thread; a SIGRTMAX sent to the whole process while a guest runs may be
 * swallowed by one of them.
 *
 * Option structs carry their own size in the first member (set by the _INIT macros), so that they
 * can grow without breaking callers. Strings are copied. Paths are opened by husk_vm_build().
 *
 * Errors: 0 on success, a negative errno value on failure, with *err (may be NULL) filled. A call
 * that fails changes nothing, except husk_vm_build(), after which only husk_vm_free() is useful.
 *
 * Threads: calls on different VMs never interfere. On one VM, configuration (new, add, build,
 * start, free) belongs to one thread at a time; the control calls after start (pause, resume,
 * power_button, ctrl_alt_del, stop, state, console_resize, next_event) may come from any thread.
 */
#ifndef HUSK_HUSK_H
#define HUSK_HUSK_H

#include <stddef.h>
#include <stdint.h>

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

struct husk_vm_options {
    size_t size; /* sizeof(struct husk_vm_options) */

    /* Kernel and initrd are mapped copy-on-write where possible, not read: replace such a file by
     * renaming a new one over it, never write into it or cut it while a VM that booted it exists.
     */
    const char *kernel_path; /* required unless kernel_fd is given */
    int kernel_fd;           /* -1, or an open file; stays the caller's, used during build only */
    const char *initrd_path; /* NULL: none */
    int initrd_fd;           /* -1, or as kernel_fd */
    /* Appended to the default command line (husk_default_command_line()), NULL for nothing. */
    const char *command_line_append;

    uint64_t memory_bytes; /* multiple of 4096; 0 gives 256 MiB; at least 1 MiB */
    int memory_shared;     /* non-zero: a memfd mapped shared instead of private memory */
    unsigned vcpus;        /* 0 gives 1; at most what KVM supports here */

    enum husk_console console;
    int console_in_fd;  /* -1: no input. Stays the caller's until husk_vm_free(). */
    int console_out_fd; /* -1: output is swallowed */
    uint16_t console_columns, console_rows; /* initial size; 0: unknown */

    int no_rng; /* non-zero: without the virtio entropy device */

    enum husk_log_level log_level;
    husk_log_fn log; /* NULL: silent */
    void *log_arg;
};

#define HUSK_VM_OPTIONS_INIT                                                      \
    {                                                                             \
        .size = sizeof(struct husk_vm_options), .kernel_fd = -1, .initrd_fd = -1, \
        .console_in_fd = -1, .console_out_fd = -1, .log_level = HUSK_LOG_WARN     \
    }

/* A limit in units per second; 0 is unlimited. burst 0 gives one second's worth. */
struct husk_rate {
    uint64_t per_second;
    uint64_t burst;
};

enum husk_block_engine {
    HUSK_BLOCK_ENGINE_AUTO, /* io_uring where the host permits it, else threads */
    HUSK_BLOCK_ENGINE_URING,
    HUSK_BLOCK_ENGINE_THREADS,
};

struct husk_drive_options {
    size_t size;
    const char *path; /* raw file or block device; locked against use by another VM */
    int fd;           /* -1, or an open descriptor to use instead; becomes the VM's on success */
    int read_only;
    enum husk_block_engine engine;
    unsigned queues;             /* 0 gives 1; 1..16 */
    struct husk_rate operations; /* requests per second */
    struct husk_rate bandwidth;  /* bytes per second */
};

#define HUSK_DRIVE_OPTIONS_INIT                             \
    {                                                       \
        .size = sizeof(struct husk_drive_options), .fd = -1 \
    }

enum husk_vhost { HUSK_VHOST_AUTO, HUSK_VHOST_ON, HUSK_VHOST_OFF };

struct husk_net_options {
    size_t size;
    const char *tap_name; /* an existing tap interface */
    int tap_fd;           /* -1, or an open single-queue tap with IFF_VNET_HDR; becomes the VM's */
    uint8_t mac[6]; /* all zero: a stable locally administered address is derived from the VM's
                       and the interface's position */
    uint16_t mtu;   /* 0: not announced; else 68..65535 */
    unsigned queue_pairs;  /* 0 gives 1; 1..16 */
    enum husk_vhost vhost; /* AUTO: the kernel's data path where /dev/vhost-net can be opened */
    struct husk_rate rx_bandwidth, tx_bandwidth;   /* bytes per second; not with vhost */
    struct husk_rate rx_operations, tx_operations; /* packets per second; not with vhost */
};

#define HUSK_NET_OPTIONS_INIT                                 \
    {                                                         \
        .size = sizeof(struct husk_net_options), .tap_fd = -1 \
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
    HUSK_STOP_MONITOR_ERROR, /* KVM or a host resource failed; the event says what */
};

/* A stable lower-case name, e.g. "power-off". */
HUSK_API const char *husk_stop_reason_name(enum husk_stop_reason reason);

enum husk_event_type {
    HUSK_EVENT_READY,  /* the guest reported that its init runs (mark 1 on the mark port); once */
    HUSK_EVENT_PAUSED, /* every vCPU stands still */
    HUSK_EVENT_RESUMED,
    HUSK_EVENT_STOPPED, /* the last event of a VM */
};

struct husk_event {
    enum husk_event_type type;
    enum husk_stop_reason reason; /* STOPPED */
    uint8_t guest_status;         /* STOPPED by GUEST_EXIT: what the guest wrote */
    struct husk_error error;      /* STOPPED by MONITOR_ERROR */
};

/* "MAJOR.MINOR.PATCH" of the library. */
HUSK_API const char *husk_version(void);

/* The kernel command line that husk starts from for this kind of console. */
HUSK_API const char *husk_default_command_line(enum husk_console console);

/* Check options and make a VM object without opening anything. */
HUSK_API int husk_vm_new(const struct husk_vm_options *options, struct husk_vm **out,
                         struct husk_error *err);

/* Add a device, before build. Drives appear as vda, vdb, … in the order of the calls. */
HUSK_API int husk_vm_add_drive(struct husk_vm *vm, const struct husk_drive_options *options,
                               struct husk_error *err);
HUSK_API int husk_vm_add_net(struct husk_vm *vm, const struct husk_net_options *options,
                             struct husk_error *err);

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

HUSK_API enum husk_state husk_vm_state(const struct husk_vm *vm);

/* Tell the guest a new console size (virtio console only; otherwise ignored). */
HUSK_API void husk_vm_console_resize(struct husk_vm *vm, uint16_t columns, uint16_t rows);

/* Readable while events wait; stays the VM's. For the caller's poll loop. -1 before the build. */
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
};
/* 0, or -EINVAL before the build. */
HUSK_API int husk_vm_info(const struct husk_vm *vm, struct husk_vm_info *info);

/* Stop if running, join all threads, release everything. NULL is fine. Blocks until in-flight disk
 * requests have finished. */
HUSK_API void husk_vm_free(struct husk_vm *vm);

#ifdef __cplusplus
}
#endif
#endif
