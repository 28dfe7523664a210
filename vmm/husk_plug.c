// SPDX-License-Identifier: Apache-2.0
/*
 * The public interface (husk/husk.h): drives and network devices, which are added and removed in
 * the configuration until the VM is built, and in the VM from then on.
 *
 * Here is where what is plugged is opened, with the caller's rights. The caller's own descriptors
 * are duplicated, so that they stay the caller's when plugging fails.
 *
 * A jailed VM's process knows best which devices it still has. The configuration here follows when
 * the next one is plugged: what the process has no more is forgotten.
 *
 * Threads: plug_lock makes it one device at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/husk_vm.h"
#include "vmm/machine.h"

#define CANNOT_ADD_DRIVE    "cannot add a drive"
#define CANNOT_ADD_NET      "cannot add a network device"
#define CANNOT_REMOVE_DRIVE "cannot remove a drive"
#define CANNOT_REMOVE_NET   "cannot remove a network device"

int husk_vm_check_transport(const struct husk_vm *vm, const char *what, struct husk_error *err)
{
    if (vm->config.transport == HUSK_TRANSPORT_PCI)
        return 0;
    return error_set(err, EOPNOTSUPP, "", what,
                     "the VM is built, and only devices on a PCI bus come and go then: it needs "
                     "the transport pci");
}

/* ---- what a jailed VM's process has no more ---- */

static void forget_drives(struct husk_vm *vm)
{
    struct machine_config *config = &vm->config;
    struct husk_drive_stats stats;

    for (unsigned i = config->drive_count; i-- > 0;) {
        if (vm_process_drive_stats(vm->process, config->drives[i].id, &stats, NULL) != -ENOENT)
            continue;
        pthread_mutex_lock(&config->devices_lock);
        machine_config_remove_drive(config, config->drives[i].id, NULL);
        pthread_mutex_unlock(&config->devices_lock);
    }
}

static void forget_nets(struct husk_vm *vm)
{
    struct machine_config *config = &vm->config;
    struct husk_net_stats stats;

    for (unsigned i = config->net_count; i-- > 0;) {
        if (vm_process_net_stats(vm->process, config->nets[i].id, &stats, NULL) != -ENOENT)
            continue;
        pthread_mutex_lock(&config->devices_lock);
        machine_config_remove_net(config, config->nets[i].id, NULL);
        pthread_mutex_unlock(&config->devices_lock);
    }
}

static void forget_vfios(struct husk_vm *vm)
{
    struct machine_config *config = &vm->config;

    for (unsigned i = config->vfio_count; i-- > 0;) {
        if (vm_process_has_vfio(vm->process, config->vfios[i].id, NULL) != -ENOENT)
            continue;
        pthread_mutex_lock(&config->devices_lock);
        machine_config_remove_vfio(config, config->vfios[i].id, NULL);
        pthread_mutex_unlock(&config->devices_lock);
    }
}

/* Of all kinds: they share the room. */
void husk_vm_forget_gone(struct husk_vm *vm)
{
    if (!vm->process)
        return;
    forget_drives(vm);
    forget_nets(vm);
    forget_vfios(vm);
}

/* ---- descriptors ---- */

int husk_vm_duplicate(int *fds, unsigned count)
{
    int ret = 0;

    for (unsigned i = 0; i < count; i++) {
        int fd = fds[i];

        if (fd < 0)
            continue;
        fds[i] = ret ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (!ret && fds[i] < 0)
            ret = -errno;
    }
    return ret;
}

void husk_vm_close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; fds && i < count; i++) {
        int fd = fds[i];

        close_fd(&fd);
    }
}

/* ---- drives ---- */

/* Make, open, hand over: then it is nobody's here any more. */
static int hand_over_drive(struct husk_vm *vm, struct drive_config *drive, struct husk_error *err)
{
    struct machine_config *config = &vm->config;
    int ret;

    if (!vm->process)
        return machine_plug_drive(vm->machine, drive, err);
    ret = vm_process_plug_drive(vm->process, drive, err);
    if (ret) {
        drive_config_release(drive);
        return ret;
    }
    close_fd(&drive->fd); /* the process has a duplicate */
    pthread_mutex_lock(&config->devices_lock);
    config->drives[config->drive_count++] = *drive;
    pthread_mutex_unlock(&config->devices_lock);
    return 0;
}

static int plug_drive(struct husk_vm *vm, const struct husk_drive_options *options,
                      struct husk_error *err)
{
    struct machine_config *config = &vm->config;
    struct drive_config drive;
    char name[CONFIG_NAME_MAX];
    int ret, callers_fd;

    husk_vm_forget_gone(vm);
    pthread_mutex_lock(&config->devices_lock);
    snprintf(name, sizeof(name), "drive %u", config->drive_count + 1);
    ret = config_make_drive(config, options, &drive, err);
    pthread_mutex_unlock(&config->devices_lock);
    if (ret)
        return ret;
    callers_fd = drive.fd;
    ret = husk_vm_duplicate(&drive.fd, 1);
    if (ret)
        error_set(err, -ret, name, CANNOT_ADD_DRIVE, NULL);
    else
        ret = machine_open_drive(config, &drive, name, err);
    if (ret) {
        drive_config_release(&drive);
        return ret;
    }
    ret = hand_over_drive(vm, &drive, err);
    if (!ret)
        husk_vm_close_all(&callers_fd, 1);
    return ret;
}

static bool has_parts(const struct husk_drive_options *given)
{
    struct husk_drive_options options = HUSK_DRIVE_OPTIONS_INIT;

    return !config_copy_options(&options, sizeof(options), given, "drive", NULL) &&
           options.more_fd_count > 0;
}

int husk_vm_add_drive(struct husk_vm *vm, const struct husk_drive_options *options,
                      struct husk_error *err)
{
    int ret;

    if (!husk_vm_is_built(vm)) {
        ret = husk_vm_check_not_built(vm, CANNOT_ADD_DRIVE, err);
        return ret ? ret : machine_config_add_drive(&vm->config, options, err);
    }
    ret = husk_vm_check_transport(vm, CANNOT_ADD_DRIVE, err);
    if (ret)
        return ret;
    if (has_parts(options))
        return error_set(err, EOPNOTSUPP, "drive", CANNOT_ADD_DRIVE,
                         "one of several files has to be there when the VM is built");
    pthread_mutex_lock(&vm->plug_lock);
    ret = plug_drive(vm, options, err);
    pthread_mutex_unlock(&vm->plug_lock);
    return ret;
}

int husk_vm_remove_drive(struct husk_vm *vm, const char *id, struct husk_error *err)
{
    int ret;

    if (!husk_vm_is_built(vm)) {
        ret = husk_vm_check_not_built(vm, CANNOT_REMOVE_DRIVE, err);
        return ret ? ret : machine_config_remove_drive(&vm->config, id, err);
    }
    ret = husk_vm_check_transport(vm, CANNOT_REMOVE_DRIVE, err);
    if (ret)
        return ret;
    return vm->process ? vm_process_unplug_drive(vm->process, id, err)
                       : machine_unplug_drive(vm->machine, id, err);
}

/* ---- network devices ---- */

static int hand_over_net(struct husk_vm *vm, struct net_config *net, struct husk_error *err)
{
    struct machine_config *config = &vm->config;
    int ret;

    if (!vm->process)
        return machine_plug_net(vm->machine, net, err);
    ret = vm_process_plug_net(vm->process, net, err);
    if (ret) {
        net_config_release(net);
        return ret;
    }
    net_config_close(net);
    pthread_mutex_lock(&config->devices_lock);
    config->nets[config->net_count++] = *net;
    pthread_mutex_unlock(&config->devices_lock);
    return 0;
}

static int open_net(struct husk_vm *vm, struct net_config *net, unsigned index,
                    struct husk_error *err)
{
    char name[CONFIG_NAME_MAX];
    int ret = husk_vm_duplicate(net->tap_fds, CONFIG_QUEUES_MAX);
    int vhost = husk_vm_duplicate(net->vhost_fds, CONFIG_QUEUES_MAX);

    snprintf(name, sizeof(name), "net %u", index + 1);
    if (ret || vhost)
        return error_set(err, ret ? -ret : -vhost, name, CANNOT_ADD_NET, NULL);
    return machine_open_net(net, index, name, &vm->log, err);
}

static int plug_net(struct husk_vm *vm, const struct husk_net_options *options,
                    struct husk_error *err)
{
    struct machine_config *config = &vm->config;
    struct net_config net, callers;
    unsigned index;
    int ret;

    husk_vm_forget_gone(vm);
    pthread_mutex_lock(&config->devices_lock);
    index = config->net_count;
    ret = config_make_net(config, options, &net, err);
    pthread_mutex_unlock(&config->devices_lock);
    if (ret)
        return ret;
    callers = net;
    ret = open_net(vm, &net, index, err);
    if (ret) {
        net_config_release(&net);
        return ret;
    }
    ret = hand_over_net(vm, &net, err);
    if (ret)
        return ret;
    husk_vm_close_all(callers.tap_fds, CONFIG_QUEUES_MAX);
    husk_vm_close_all(callers.vhost_fds, CONFIG_QUEUES_MAX);
    return 0;
}

int husk_vm_add_net(struct husk_vm *vm, const struct husk_net_options *options,
                    struct husk_error *err)
{
    int ret;

    if (!husk_vm_is_built(vm)) {
        ret = husk_vm_check_not_built(vm, CANNOT_ADD_NET, err);
        return ret ? ret : machine_config_add_net(&vm->config, options, err);
    }
    ret = husk_vm_check_transport(vm, CANNOT_ADD_NET, err);
    if (ret)
        return ret;
    pthread_mutex_lock(&vm->plug_lock);
    ret = plug_net(vm, options, err);
    pthread_mutex_unlock(&vm->plug_lock);
    return ret;
}

int husk_vm_remove_net(struct husk_vm *vm, const char *id, struct husk_error *err)
{
    int ret;

    if (!husk_vm_is_built(vm)) {
        ret = husk_vm_check_not_built(vm, CANNOT_REMOVE_NET, err);
        return ret ? ret : machine_config_remove_net(&vm->config, id, err);
    }
    ret = husk_vm_check_transport(vm, CANNOT_REMOVE_NET, err);
    if (ret)
        return ret;
    return vm->process ? vm_process_unplug_net(vm->process, id, err)
                       : machine_unplug_net(vm->machine, id, err);
}
