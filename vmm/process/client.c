// SPDX-License-Identifier: Apache-2.0
/* The beginning and the end of the process of a jailed VM: see client.h. */
#include "vmm/process/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/machine.h"
#include "vmm/process/config_wire.h"
#include "vmm/process/internal.h"
#include "vmm/process/limits.h"
#include "vmm/vfio_open.h"

#define CANNOT_BUILD      "cannot build the VM"
#define DESCRIPTORS_BASE  128u
/* Doorbells and vectors of 31 devices with 34 queues at most, and their files and rings. */
#define DESCRIPTORS_PCI   (31u * (34 + 35 + 64))
#define DESCRIPTORS_VSOCK 2048u
#define DESCRIPTORS_VFIO                                                    \
    2056u /* a device's most interrupts (PCI 3.0, 6.8.2), and its own files \
           */

/* ---- building ---- */

/* The directory in which the guest's connections find their sockets. */
static int open_vsock_directory(const struct machine_config *machine, int *fd,
                                struct husk_error *err)
{
    const char *path = machine->vsock.path;
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
    const char *slash;

    *fd = -1;
    if (!machine->vsock.present)
        return 0;
    slash = strrchr(path, '/');
    if (slash)
        snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + (slash == path), path);
    *fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0
               ? error_set(err, errno, directory, "cannot open the directory of the vsock", NULL)
               : 0;
}

/* Of the devices of the configuration. */
static unsigned descriptors_of_devices(const struct machine_config *machine)
{
    unsigned count = 4 * machine->drive_count;

    for (unsigned i = 0; i < machine->drive_count; i++)
        count += machine->drives[i].more_count;
    for (unsigned i = 0; i < machine->net_count; i++)
        count += 8 * machine->nets[i].queue_pairs;
    return count;
}

/* How many descriptors a VM may need: its own, and some for devices that change. On a PCI bus they
 * may become as many as there is room for. */
static unsigned descriptors_needed(const struct machine_config *machine, unsigned vfio_count)
{
    unsigned count = DESCRIPTORS_BASE + machine->vcpus;

    count += machine->transport == HUSK_TRANSPORT_PCI ? DESCRIPTORS_PCI
                                                      : descriptors_of_devices(machine);
    count += DESCRIPTORS_VFIO * vfio_count;
    return count + (machine->vsock.present ? DESCRIPTORS_VSOCK : 0);
}

/*
 * Locked memory. Groups count what this process locks; iommufd counts what its user does, in all of
 * his VMs (Linux, drivers/iommu/iommufd/pages.c), so that no figure would do.
 */
static uint64_t memlock_needed(const struct machine_config *machine, enum husk_vfio_iommu iommu)
{
    return iommu == HUSK_VFIO_IOMMU_IOMMUFD ? UINT64_MAX : vfio_locked_bytes(machine);
}

int process_make_room(struct vm_process *process, const struct machine_config *machine,
                      enum husk_vfio_iommu iommu, struct husk_error *err)
{
    int ret = process_raise(process, RLIMIT_NOFILE,
                            descriptors_needed(machine, machine->vfio_count + 1), err);

    return ret ? ret : process_raise(process, RLIMIT_MEMLOCK, memlock_needed(machine, iommu), err);
}

static int send_hello(struct vm_process *process, const struct process_config *config,
                      const struct machine_config *machine, struct husk_error *err)
{
    struct call call;
    int vsock_directory;
    int ret = open_vsock_directory(machine, &vsock_directory, err);

    if (ret)
        return ret;
    call_begin(&call, process, PROTOCOL_HELLO, CANNOT_BUILD);
    wire_put_string(&call.out, HUSK_VERSION);
    wire_put_u32(&call.out, process->log->level);
    wire_put_u32(&call.out, process->child.namespaces);
    wire_put_u32(&call.out, config->jail.uid);
    wire_put_u32(&call.out, config->jail.gid);
    wire_put_u8(&call.out, config->jail.strict != 0);
    wire_put_u32(&call.out, descriptors_needed(machine, machine->vfio_count));
    wire_put_u64(&call.out, machine->vfio_count ? memlock_needed(machine, machine->vfio_iommu) : 0);
    wire_put_u8(&call.out, machine->transport == HUSK_TRANSPORT_PCI);
    message_put_fd(&process->request, &call.out, vsock_directory);
    ret = call_finish(&call, LONG_ANSWER_MS, err); /* the program is read from disk, too */
    if (!ret)
        ret = call_check(&call, err);
    call_end(&call);
    close_fd(&vsock_directory);
    return ret;
}

static int send_vm(struct vm_process *process, const struct machine_config *machine,
                   struct husk_error *err)
{
    int console_in = -1, console_out = -1;
    struct call call;
    int ret = machine_open_console(machine, &console_in, &console_out, err);

    if (ret)
        return ret;
    call_begin(&call, process, PROTOCOL_VM, CANNOT_BUILD);
    config_put_vm(&process->request, &call.out, machine, console_in, console_out);
    ret = call_finish(&call, ANSWER_MS, err);
    call_end(&call);
    close_fd(&console_in);
    close_fd(&console_out);
    return ret;
}

static int send_devices(struct vm_process *process, const struct machine_config *machine,
                        struct husk_error *err)
{
    struct call call;
    int ret = 0;

    for (unsigned i = 0; !ret && i < machine->drive_count; i++) {
        call_begin(&call, process, PROTOCOL_DRIVE, CANNOT_BUILD);
        config_put_drive(&process->request, &call.out, &machine->drives[i]);
        ret = call_finish(&call, ANSWER_MS, err);
        call_end(&call);
    }
    if (!ret && machine->vsock.present) {
        call_begin(&call, process, PROTOCOL_VSOCK, CANNOT_BUILD);
        config_put_vsock(&process->request, &call.out, &machine->vsock);
        ret = call_finish(&call, ANSWER_MS, err);
        call_end(&call);
    }
    for (unsigned i = 0; !ret && i < machine->vfio_count; i++) {
        call_begin(&call, process, PROTOCOL_VFIO, CANNOT_BUILD);
        config_put_vfio(&process->request, &call.out, &machine->vfios[i]);
        ret = call_finish(&call, ANSWER_MS, err);
        call_end(&call);
    }
    for (unsigned i = 0; !ret && i < machine->net_count; i++) {
        call_begin(&call, process, PROTOCOL_NET, CANNOT_BUILD);
        config_put_net(&process->request, &call.out, &machine->nets[i]);
        ret = call_finish(&call, ANSWER_MS, err);
        call_end(&call);
    }
    return ret;
}

static int send_build(struct vm_process *process, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, PROTOCOL_BUILD, CANNOT_BUILD);
    ret = call_finish(&call, LONG_ANSWER_MS, err);
    if (!ret) {
        wire_get_text(&call.in, process->kernel_format, sizeof(process->kernel_format));
        process->kernel_is_linux = wire_get_u8(&call.in) != 0;
        ret = call_check(&call, err);
    }
    call_end(&call);
    return ret;
}

static int open_sockets(struct vm_process *process, int theirs[2])
{
    struct epoll_event event = {.events = EPOLLIN};
    int control[2], events[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return -errno;
    process->control = control[0];
    theirs[0] = control[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, events) < 0)
        return -errno;
    process->events = events[0];
    theirs[1] = events[1];
    process->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (process->epoll < 0 || epoll_ctl(process->epoll, EPOLL_CTL_ADD, process->events, &event) < 0)
        return -errno;
    return 0;
}

static int start_process(struct vm_process *process, const struct process_config *config,
                         struct husk_error *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    const struct child_program program = {
        .path = config->vmm_path, .name = "husk-vmm", .what = "cannot start the VM's process"};
    int theirs[2] = {-1, -1};
    int ret = open_sockets(process, theirs);

    if (ret)
        error_set(err, -ret, "", CANNOT_BUILD, NULL);
    else
        ret = child_spawn(&program, config->id, theirs[0], theirs[1], &process->child, err);
    close_fd(&theirs[0]);
    close_fd(&theirs[1]);
    if (ret)
        return ret;
    process->pid = process->child.pid;
    process->ended = false;
    if (epoll_ctl(process->epoll, EPOLL_CTL_ADD, process->child.pidfd, &event) < 0)
        return error_set(err, errno, "", CANNOT_BUILD, NULL);
    return 0;
}

int vm_process_build(const struct process_config *config, const struct machine_config *machine,
                     const struct log *log, struct vm_process **out, struct husk_error *err)
{
    struct vm_process *process = calloc(1, sizeof(*process));
    int ret;

    if (!process)
        return error_set(err, ENOMEM, "", CANNOT_BUILD, NULL);
    process->log = log;
    process->control = process->events = process->epoll = -1;
    process->ended = true;
    pthread_mutex_init(&process->request_lock, NULL);
    pthread_mutex_init(&process->events_lock, NULL);
    pthread_mutex_init(&process->end_lock, NULL);
    atomic_init(&process->devices, machine->drive_count + machine->net_count + machine->vfio_count);
    atomic_init(&process->wants, machine->vfio_count);
    ret = process_limits_create(config, machine, log, &process->limits, err);
    if (!ret)
        ret = start_process(process, config, err);
    if (!ret)
        ret = process_limits_attach(process->limits, process->pid, err);
    if (!ret)
        ret = send_hello(process, config, machine, err);
    if (!ret)
        ret = send_vm(process, machine, err);
    if (!ret)
        ret = send_devices(process, machine, err);
    if (!ret)
        ret = send_build(process, err);
    if (ret) {
        vm_process_free(process);
        return ret;
    }
    *out = process;
    return 0;
}

void vm_process_free(struct vm_process *process)
{
    if (!process)
        return;
    if (!process_has_ended(process)) {
        call_simply(process, PROTOCOL_FREE, "cannot end the VM", ANSWER_MS, NULL);
        process_end(process, 1000);
    }
    process_drain_log(process);
    process_limits_destroy(process->limits);
    close_fd(&process->epoll);
    close_fd(&process->events);
    close_fd(&process->control);
    pthread_mutex_destroy(&process->end_lock);
    pthread_mutex_destroy(&process->events_lock);
    pthread_mutex_destroy(&process->request_lock);
    free(process);
}
