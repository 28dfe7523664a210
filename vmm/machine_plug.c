// SPDX-License-Identifier: Apache-2.0
/*
 * Drives and network devices that come and go while the guest runs, by ACPI hot-plug
 * (devices/pci/hotplug.h).
 *
 * A device comes on the caller's thread, which makes its backend and plugs the device that the I/O
 * thread makes in between. It goes when the guest ejects it, on the vCPU's thread that does:
 * taken off the bus, reset (which waits for its requests in flight, as a reset by the driver does),
 * and then destroyed on the I/O thread. Nobody asked for it? Then the guest let it go all the same,
 * and could as well have stopped using it.
 *
 * The configuration follows: what is gone has no entry any more, and its id is free.
 *
 * Threads: as above. devices_lock is held through a device's coming and going, so that no one finds
 * half of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "devices/backend/block.h"
#include "devices/pci/hotplug.h"
#include "devices/virtio/pci.h"
#include "vmm/machine.h"

#define CANNOT_ADD_DRIVE    "cannot add a drive"
#define CANNOT_ADD_NET      "cannot add a network device"
#define CANNOT_REMOVE_DRIVE "cannot remove the drive"
#define CANNOT_REMOVE_NET   "cannot remove the network device"

int machine_check_pluggable(struct machine *machine, const char *what, struct husk_error *err)
{
    if (machine_state(machine) == HUSK_STATE_STOPPED)
        return error_set(err, EINVAL, "", what, "the VM is stopped");
    if (!machine->pci)
        return error_set(err, EOPNOTSUPP, "", what,
                         "the VM is built, and only devices on a PCI bus come and go then: it "
                         "needs the transport pci");
    return 0;
}

struct destroy_call {
    struct machine *machine;
    struct device *device;
};

static void destroy(void *arg)
{
    const struct destroy_call *call = arg;

    machine_destroy_device(call->machine, call->device);
}

/* devices_lock held. */
static void take_away(struct machine *machine, struct device *device)
{
    struct destroy_call call = {.machine = machine, .device = device};
    unsigned number = virtio_pci_number(device);

    virtio_pci_unplug(device);
    pci_hotplug_gone(machine->hotplug, number);
    event_loop_call(machine->loop, destroy, &call);
}

/* ---- coming ---- */

struct attach_call {
    struct machine *machine;
    unsigned index;
    const char *name;
    struct block_backend *backend; /* drives */
    struct husk_error *err;
    int result;
};

static void attach_drive(void *arg)
{
    struct attach_call *call = arg;

    call->result =
        machine_attach_drive(call->machine, call->index, call->name, call->backend, call->err);
}

static void attach_net(void *arg)
{
    struct attach_call *call = arg;

    call->result = machine_attach_net(call->machine, call->index, call->name, call->err);
}

/* Show it to the guest, which is told unless it has not started: then it is there when it looks. */
static int show(struct machine *machine, struct machine_device *device, const char *name,
                struct husk_error *err)
{
    int ret = machine_plug_in(machine, device, name, err);

    if (ret) {
        take_away(machine, device->transport);
        *device = (struct machine_device){0};
    } else if (machine_state(machine) != HUSK_STATE_CREATED) {
        pci_hotplug_added(machine->hotplug, virtio_pci_number(device->transport));
    }
    return ret;
}

/* It is the configuration's last; devices_lock held. */
static int make_drive(struct machine *machine, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    unsigned index = config->drive_count - 1;
    struct drive_config *drive = &config->drives[index];
    char name[CONFIG_NAME_MAX];
    struct attach_call call = {.machine = machine, .index = index, .name = name, .err = err};
    int ret;

    snprintf(name, sizeof(name), "drive %u", index + 1);
    /* Under the last filter of a jailed VM no ring can be made any more. */
    if (config->confine_threads && drive->engine == HUSK_BLOCK_ENGINE_URING)
        drive->engine = HUSK_BLOCK_ENGINE_AUTO;
    ret = machine_create_block(machine, drive, name, &call.backend, err);
    if (ret)
        return ret;
    event_loop_call(machine->loop, attach_drive, &call);
    return call.result ? call.result : show(machine, &machine->drives[index], name, err);
}

static int make_net(struct machine *machine, struct husk_error *err)
{
    unsigned index = machine->config->net_count - 1;
    char name[CONFIG_NAME_MAX];
    struct attach_call call = {.machine = machine, .index = index, .name = name, .err = err};

    snprintf(name, sizeof(name), "net %u", index + 1);
    event_loop_call(machine->loop, attach_net, &call);
    return call.result ? call.result : show(machine, &machine->nets[index], name, err);
}

int machine_plug_drive(struct machine *machine, struct drive_config *drive, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int ret;

    pthread_mutex_lock(&machine->control_lock);
    pthread_mutex_lock(&config->devices_lock);
    ret = machine_check_pluggable(machine, CANNOT_ADD_DRIVE, err);
    if (!ret)
        ret = config_check_drive(config, drive, err);
    if (ret) {
        drive_config_release(drive);
    } else {
        config->drives[config->drive_count++] = *drive;
        ret = make_drive(machine, err);
        if (ret)
            drive_config_release(&config->drives[--config->drive_count]);
    }
    pthread_mutex_unlock(&config->devices_lock);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

int machine_plug_net(struct machine *machine, struct net_config *net, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int ret;

    pthread_mutex_lock(&machine->control_lock);
    pthread_mutex_lock(&config->devices_lock);
    ret = machine_check_pluggable(machine, CANNOT_ADD_NET, err);
    if (!ret)
        ret = config_check_net(config, net, err);
    if (ret) {
        net_config_release(net);
    } else {
        config->nets[config->net_count++] = *net;
        ret = make_net(machine, err);
        if (ret)
            net_config_release(&config->nets[--config->net_count]);
    }
    pthread_mutex_unlock(&config->devices_lock);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

/* ---- going ---- */

void machine_tell_of_device(struct machine *machine, enum husk_event_type type,
                            enum husk_device_kind kind, const char *id)
{
    struct husk_event event = {.type = type, .device.kind = kind};

    snprintf(event.device.id, sizeof(event.device.id), "%s", id);
    event_queue_push(&machine->events, &event);
}

static void forget_at(struct machine_device *devices, unsigned count, unsigned index)
{
    memmove(&devices[index], &devices[index + 1], (count - index - 1) * sizeof(devices[0]));
    devices[count - 1] = (struct machine_device){0};
}

static void remove_drive(struct machine *machine, unsigned index)
{
    struct machine_config *config = machine->config;
    char id[CONFIG_ID_MAX + 1];

    snprintf(id, sizeof(id), "%s", config->drives[index].id);
    take_away(machine, machine->drives[index].transport);
    forget_at(machine->drives, config->drive_count, index);
    machine_config_remove_drive(config, id, NULL);
    machine_tell_of_device(machine, HUSK_EVENT_DEVICE_REMOVED, HUSK_DEVICE_DRIVE, id);
}

static void remove_net(struct machine *machine, unsigned index)
{
    struct machine_config *config = machine->config;
    char id[CONFIG_ID_MAX + 1];

    snprintf(id, sizeof(id), "%s", config->nets[index].id);
    take_away(machine, machine->nets[index].transport);
    forget_at(machine->nets, config->net_count, index);
    machine_config_remove_net(config, id, NULL);
    machine_tell_of_device(machine, HUSK_EVENT_DEVICE_REMOVED, HUSK_DEVICE_NET, id);
}

/* The one behind this device number, or -1. */
static int find_number(const struct machine_device *devices, unsigned count, unsigned number)
{
    for (unsigned i = 0; i < count; i++) {
        if (virtio_pci_number(devices[i].transport) == number)
            return (int)i;
    }
    return -1;
}

/* An empty slot, or one whose device stays (the entropy device, say): nothing happens. */
void machine_eject(void *arg, unsigned number)
{
    struct machine *machine = arg;
    struct machine_config *config = machine->config;
    int index;

    pthread_mutex_lock(&config->devices_lock);
    index = find_number(machine->drives, config->drive_count, number);
    if (index >= 0) {
        remove_drive(machine, (unsigned)index);
    } else {
        index = find_number(machine->nets, config->net_count, number);
        if (index >= 0)
            remove_net(machine, (unsigned)index);
        else
            machine_eject_vfio(machine, number);
    }
    pthread_mutex_unlock(&config->devices_lock);
}

int machine_unplug_drive(struct machine *machine, const char *id, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int ret, index;

    pthread_mutex_lock(&machine->control_lock);
    pthread_mutex_lock(&config->devices_lock);
    ret = machine_check_pluggable(machine, CANNOT_REMOVE_DRIVE, err);
    index = ret ? ret : machine_config_find_drive(config, id, CANNOT_REMOVE_DRIVE, err);
    if (index < 0)
        ret = index;
    else if (machine_state(machine) == HUSK_STATE_CREATED)
        remove_drive(machine, (unsigned)index); /* there is no guest to ask */
    else
        pci_hotplug_want(machine->hotplug, virtio_pci_number(machine->drives[index].transport));
    pthread_mutex_unlock(&config->devices_lock);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

int machine_unplug_net(struct machine *machine, const char *id, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int ret, index;

    pthread_mutex_lock(&machine->control_lock);
    pthread_mutex_lock(&config->devices_lock);
    ret = machine_check_pluggable(machine, CANNOT_REMOVE_NET, err);
    index = ret ? ret : machine_config_find_net(config, id, CANNOT_REMOVE_NET, err);
    if (index < 0)
        ret = index;
    else if (machine_state(machine) == HUSK_STATE_CREATED)
        remove_net(machine, (unsigned)index);
    else
        pci_hotplug_want(machine->hotplug, virtio_pci_number(machine->nets[index].transport));
    pthread_mutex_unlock(&config->devices_lock);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}
