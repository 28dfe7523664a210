// SPDX-License-Identifier: Apache-2.0
/*
 * A container's machine: see machine.h. Here the parts are opened, in the order in which they may
 * be missing, and put together; what is half made goes the way of what is whole.
 *
 * Invariant: a descriptor in the object is the machine's, and -1 once it is the VM's.
 */
#include "pod/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beside.h"
#include "base/error.h"
#include "base/io.h"
#include "base/sysfs.h"
#include "pod/machine/console.h"
#include "pod/machine/initrd.h"
#include "pod/machine/kernel.h"
#include "pod/machine/network.h"
#include "pod/machine/scratch.h"
#include "pod/machine/vmlinux.h"

#define MODALIAS_BYTES 128u

#define GUEST_CID 3u /* the first that a guest may have; each machine has its own socket */

/*
 * quiet: nothing but what is wrong goes to the console, for each byte is an exit of the guest.
 * percpu_alloc=page: else the second chunk of the kernel's per-processor memory, which the first
 * containers ask for, comes with notes of 4 MiB (Linux 6.12).
 */
#define COMMAND_LINE "quiet percpu_alloc=page"

struct pod_machine {
    struct husk_vm_options vm;
    struct guest_kernel kernel;
    char vmm_path[PATH_MAX];
    struct pod_machine_options options; /* without zeroes that stand for defaults */
    char *vsock_path;
    int kernel_fd; /* -1: kernel.path is what to boot */
    int initrd_fd, scratch_fd;
    struct layers layers;
    json_t *requests, *rootfs; /* rootfs: an array, by the image */
    struct console_tail console;
};

static const char no_memory[] = "cannot prepare the machine";

/* ---- opening ---- */

/* What the device of the host is, by which its driver is found; "" without one. */
static int read_device(const char *address, char modalias[MODALIAS_BYTES], struct husk_error *err)
{
    int ret = 0;

    modalias[0] = '\0';
    if (address[0])
        ret = sysfs_read("/sys", modalias, MODALIAS_BYTES, "bus/pci/devices/%s/modalias", address);
    return ret ? error_set(err, -ret, address, "cannot give the device to the machine",
                           ret == -ENOENT ? "there is no such PCI device" : NULL)
               : 0;
}

static int open_parts(struct pod_machine *machine, const struct pod_machine_place *place,
                      struct husk_error *err)
{
    const struct pod_machine_network *network = &machine->options.network;
    char modalias[MODALIAS_BYTES];
    const struct initrd_needs needs = {.network = machine_has_network(network),
                                       .device = network->vfio[0] ? modalias : NULL};
    int ret = guest_kernel_choose(machine->options.kernel, &machine->kernel, err);

    if (!ret)
        ret = read_device(network->vfio, modalias, err);
    if (!ret)
        ret = layers_open(place->store, place->images, place->image_count, &machine->layers, err);
    if (ret)
        return ret;
    machine->kernel_fd = vmlinux_open(machine->kernel.path, err);
    if (machine->kernel_fd < 0 && machine->kernel_fd != -ENOTSUP)
        return machine->kernel_fd;
    machine->initrd_fd = initrd_open(&machine->kernel, &needs, err);
    if (machine->initrd_fd < 0)
        return machine->initrd_fd;
    machine->scratch_fd = scratch_open(place->dir, machine->options.scratch_bytes, err);
    return machine->scratch_fd < 0 ? machine->scratch_fd : 0;
}

/* ---- what the agent is asked ---- */

/* Takes the reference; false when there is no memory. */
static bool ask(struct pod_machine *machine, const char *method, json_t *params)
{
    return json_array_append_new(machine->requests,
                                 json_pack("{ss so}", "method", method, "params", params)) == 0;
}

static bool ask_disks(struct pod_machine *machine)
{
    bool done = true;
    char name[24];

    for (unsigned i = 0; done && i < machine->options.disk_count; i++) {
        const struct pod_machine_disk *disk = &machine->options.disks[i];

        snprintf(name, sizeof(name), "disk%u", i + 1);
        done = ask(machine, "volume.add",
                   json_pack("{ss ss ss sb}", "volume", disk->volume, "disk", name, "fstype",
                             disk->type, "readonly", (int)disk->read_only));
    }
    return done;
}

static bool ask_network(struct pod_machine *machine)
{
    json_t *params;

    if (!machine_has_network(&machine->options.network))
        return true;
    params = machine_network_params(&machine->options.network);
    return params && ask(machine, "network.set", params);
}

static int make_requests(struct pod_machine *machine, const struct pod_machine_place *place,
                         struct husk_error *err)
{
    bool done;

    machine->requests = json_array();
    machine->rootfs = json_array();
    done = machine->requests && machine->rootfs &&
           layers_ask(&machine->layers, machine->requests) &&
           ask(machine, "volume.add",
               json_pack("{ss ss ss s[s]}", "volume", "scratch", "disk", "scratch", "fstype",
                         "ext4", "options", "discard")) &&
           ask_disks(machine) && ask_network(machine);
    for (unsigned i = 0; done && i < place->image_count; i++)
        done = json_array_append_new(machine->rootfs,
                                     layers_rootfs(&machine->layers, &place->images[i])) == 0;
    return done ? 0 : error_set(err, ENOMEM, "machine", no_memory, NULL);
}

/* ---- the machine ---- */

static void set_options(struct pod_machine *machine)
{
    struct husk_vm_options *vm = &machine->vm;

    *vm = (struct husk_vm_options)HUSK_VM_OPTIONS_INIT;
    vm->kernel_path = machine->kernel.path;
    vm->kernel_fd = machine->kernel_fd < 0 ? -1 : machine->kernel_fd;
    vm->initrd_fd = machine->initrd_fd;
    vm->command_line_append = COMMAND_LINE;
    vm->free_page_reporting = 1;
    vm->memory_bytes = machine->options.memory_bytes;
    vm->vcpus = machine->options.vcpus;
    vm->console = HUSK_CONSOLE_SERIAL;
    vm->console_write = console_tail_write;
    vm->console_arg = &machine->console;
    if (machine->options.network.vfio[0])
        vm->transport = HUSK_TRANSPORT_PCI;
    if (!secure_getenv("HUSK_VMM"))
        vm->vmm_path = find_beside("husk-vmm", X_OK, machine->vmm_path, sizeof(machine->vmm_path));
}

int pod_machine_create(const struct pod_machine_place *place,
                       const struct pod_machine_options *options, struct pod_machine **out,
                       struct husk_error *err)
{
    struct pod_machine *machine = calloc(1, sizeof(*machine));
    int ret;

    if (!machine)
        return error_set(err, ENOMEM, "machine", no_memory, NULL);
    machine->kernel_fd = machine->initrd_fd = machine->scratch_fd = -1;
    console_tail_init(&machine->console);
    machine->options = *options;
    if (!options->memory_bytes)
        machine->options.memory_bytes = POD_MACHINE_MEMORY_BYTES;
    if (!options->vcpus)
        machine->options.vcpus = POD_MACHINE_VCPUS;
    if (!options->scratch_bytes)
        machine->options.scratch_bytes = POD_MACHINE_SCRATCH_BYTES;
    machine->vsock_path = strdup(place->vsock_path);
    ret = machine->vsock_path ? pod_machine_options_check(&machine->options, err)
                              : error_set(err, ENOMEM, "machine", no_memory, NULL);
    if (!ret)
        ret = open_parts(machine, place, err);
    if (!ret)
        ret = make_requests(machine, place, err);
    if (ret) {
        pod_machine_destroy(machine);
        return ret;
    }
    set_options(machine);
    *out = machine;
    return 0;
}

struct husk_vm_options *pod_machine_vm_options(struct pod_machine *machine)
{
    return &machine->vm;
}

/* ---- its VM ---- */

/* Descriptors are the VM's on success. */
static int add_layers(struct pod_machine *machine, struct husk_vm *vm, struct husk_error *err)
{
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    int ret;

    drive.id = LAYERS_DISK;
    drive.fd = machine->layers.fds[0];
    drive.more_fds = machine->layers.fds + 1;
    drive.more_fd_count = machine->layers.count - 1;
    drive.read_only = 1;
    ret = husk_vm_add_drive(vm, &drive, err);
    if (!ret)
        layers_give_away(&machine->layers);
    return ret;
}

static int add_scratch(struct pod_machine *machine, struct husk_vm *vm, struct husk_error *err)
{
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    int ret;

    drive.id = "scratch";
    drive.fd = machine->scratch_fd;
    ret = husk_vm_add_drive(vm, &drive, err);
    if (!ret)
        machine->scratch_fd = -1;
    return ret;
}

/* One that is held is the file that was looked at, whatever has become of its path. */
static int add_disk(const struct pod_machine_disk *disk, const char *id, struct husk_vm *vm,
                    struct husk_error *err)
{
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    int ret;

    drive.id = id;
    drive.path = disk->path;
    drive.read_only = disk->read_only;
    if (disk->held) {
        drive.fd = open_again(disk->fd, disk->read_only ? O_RDONLY : O_RDWR);
        if (drive.fd < 0)
            return error_set(err, -drive.fd, disk->path, "cannot use the file as a disk", NULL);
    }
    ret = husk_vm_add_drive(vm, &drive, err);
    if (ret)
        close_fd(&drive.fd);
    return ret;
}

static int add_drives(struct pod_machine *machine, struct husk_vm *vm, struct husk_error *err)
{
    char id[24];
    int ret = add_layers(machine, vm, err);

    if (!ret)
        ret = add_scratch(machine, vm, err);
    for (unsigned i = 0; !ret && i < machine->options.disk_count; i++) {
        snprintf(id, sizeof(id), "disk%u", i + 1);
        ret = add_disk(&machine->options.disks[i], id, vm, err);
    }
    return ret;
}

static int add_devices(struct pod_machine *machine, struct husk_vm *vm, struct husk_error *err)
{
    struct husk_vsock_options vsock = HUSK_VSOCK_OPTIONS_INIT;
    int ret = add_drives(machine, vm, err);

    vsock.guest_cid = GUEST_CID;
    vsock.path = machine->vsock_path;
    if (!ret)
        ret = husk_vm_set_vsock(vm, &vsock, err);
    return ret ? ret : machine_network_add(vm, &machine->options.network, err);
}

int pod_machine_new_vm(struct pod_machine *machine, struct husk_vm **out, struct husk_error *err)
{
    struct husk_vm *vm;
    int ret;

    if (machine->scratch_fd < 0)
        return error_set(err, EINVAL, "machine", no_memory, "it has had its VM");
    ret = husk_vm_new(&machine->vm, &vm, err);
    if (ret)
        return ret;
    ret = add_devices(machine, vm, err);
    if (ret) {
        husk_vm_free(vm);
        return ret;
    }
    *out = vm;
    return 0;
}

const json_t *pod_machine_requests(const struct pod_machine *machine)
{
    return machine->requests;
}

const json_t *pod_machine_rootfs(const struct pod_machine *machine)
{
    return machine->rootfs;
}

size_t pod_machine_last_words(struct pod_machine *machine, char *text, size_t size)
{
    return console_tail_read(&machine->console, text, size);
}

int pod_machine_explain(struct pod_machine *machine, const struct husk_event *event,
                        struct husk_error *err)
{
    return console_explain(&machine->console, event, err);
}

void pod_machine_destroy(struct pod_machine *machine)
{
    if (!machine)
        return;
    layers_close(&machine->layers);
    close_fd(&machine->kernel_fd);
    close_fd(&machine->initrd_fd);
    close_fd(&machine->scratch_fd);
    json_decref(machine->requests);
    json_decref(machine->rootfs);
    console_tail_destroy(&machine->console);
    free(machine->vsock_path);
    free(machine);
}
