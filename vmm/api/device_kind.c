// SPDX-License-Identifier: Apache-2.0
#include "vmm/api/device_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND_OF(type, id_member, array, length)                          \
    .size = sizeof(struct type), .id = offsetof(struct type, id_member), \
    .items = offsetof(struct api, array), .count = offsetof(struct api, length)

const struct device_kind drive_kind = {
    KIND_OF(drive_settings, drive_id, drives, drive_count),
    .noun = "drive",
    .prefix = "drive",
    .shape = &drive_shape,
    .not_removed = "Drive config error: Unable to remove the block device",
    .remove = husk_vm_remove_drive,
    .forget = metrics_forget_drive,
};

const struct device_kind net_kind = {
    KIND_OF(net_settings, iface_id, nets, net_count),
    .noun = "network interface",
    .prefix = "net",
    .shape = &net_shape,
    .not_removed = "Network config error: Unable to remove the net device",
    .remove = husk_vm_remove_net,
    .forget = metrics_forget_net,
};

const struct device_kind vfio_kind = {
    KIND_OF(vfio_settings, vfio_id, vfios, vfio_count),
    .noun = "device of the host",
    .prefix = "vfio",
    .shape = &vfio_shape,
    .not_removed = "VFIO config error: Unable to remove the device of the host",
    .remove = husk_vm_remove_vfio,
};

static void *item_at(struct api *api, const struct device_kind *kind, unsigned place)
{
    return (char *)api + kind->items + place * kind->size;
}

static const char *id_at(const struct api *api, const struct device_kind *kind, unsigned place)
{
    const char *item = (const char *)api + kind->items + place * kind->size;

    return *(char *const *)(const void *)(item + kind->id);
}

static unsigned *length(struct api *api, const struct device_kind *kind)
{
    return (unsigned *)(void *)((char *)api + kind->count);
}

unsigned device_count(const struct api *api, const struct device_kind *kind)
{
    return *(const unsigned *)(const void *)((const char *)api + kind->count);
}

unsigned device_find(const struct api *api, const struct device_kind *kind, const char *id)
{
    unsigned count = device_count(api, kind), place = 0;

    while (place < count && strcmp(id_at(api, kind, place), id) != 0)
        place++;
    return place;
}

char *device_next_id(const struct api *api, const struct device_kind *kind, const char *given)
{
    unsigned count = device_count(api, kind), number = count + 1;
    char id[32];

    if (given)
        return strdup(given);
    do
        snprintf(id, sizeof(id), "%s%u", kind->prefix, number++);
    while (device_find(api, kind, id) < count);
    return strdup(id);
}

void device_set(struct api *api, const struct device_kind *kind, unsigned place,
                const void *settings)
{
    unsigned *count = length(api, kind);
    void *item = item_at(api, kind, place);

    if (place == *count)
        ++*count;
    else
        json_release(kind->shape, item);
    memcpy(item, settings, kind->size);
}

void device_gone(struct api *api, const struct device_kind *kind, const char *id)
{
    unsigned *count = length(api, kind);
    unsigned place = device_find(api, kind, id);

    if (place == *count)
        return;
    json_release(kind->shape, item_at(api, kind, place));
    --*count;
    memmove(item_at(api, kind, place), item_at(api, kind, place + 1),
            (*count - place) * kind->size);
    memset(item_at(api, kind, *count), 0, kind->size);
    if (kind->forget)
        kind->forget(&api->metrics, place);
}

int device_check_new(const struct api *api, const struct device_kind *kind, const char *id,
                     struct api_fault *fault)
{
    return device_find(api, kind, id) < device_count(api, kind)
               ? api_fault_set(fault, "Device ID in use: there is a %s %s", kind->noun, id)
               : 0;
}

int device_to_remove(const struct api *api, const struct device_kind *kind,
                     const struct api_call *call, unsigned *place, struct api_fault *fault)
{
    int ret = need_started(api, fault);

    if (!ret)
        ret = need_pci(api, fault);
    if (ret)
        return ret;
    *place = device_find(api, kind, call->id);
    return *place == device_count(api, kind)
               ? api_fault_set(fault, "Device not found: there is no %s %s", kind->noun, call->id)
               : 0;
}

int device_remove(struct api *api, const struct device_kind *kind, const char *id,
                  struct api_fault *fault)
{
    struct husk_error err = {0};

    if (kind->remove(api->vm, id, &err))
        return api_fault_error(fault, kind->not_removed, &err);
    /* A guest that runs is asked for it: the VM tells when it is gone. */
    if (husk_vm_state(api->vm) == HUSK_STATE_CREATED)
        device_gone(api, kind, id);
    return 0;
}

void device_release_all(struct api *api, const struct device_kind *kind)
{
    for (unsigned i = 0; i < device_count(api, kind); i++)
        json_release(kind->shape, item_at(api, kind, i));
}
