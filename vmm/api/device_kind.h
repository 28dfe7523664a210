// SPDX-License-Identifier: Apache-2.0
/*
 * What the devices have in common of which there may be several, each with an id: drives, network
 * interfaces, devices of the host. Their settings stand in an array of struct api for each kind,
 * in the guest's order. Internal to vmm/api/.
 */
#ifndef HUSK_VMM_API_DEVICE_KIND_H
#define HUSK_VMM_API_DEVICE_KIND_H

#include "vmm/api/state.h"

struct device_kind {
    const char *noun;
    const char *prefix; /* of the ids that husk chooses */
    const struct json_shape *shape;
    size_t size, id;         /* bytes of one's settings; where its id is in them (char *, owned) */
    size_t items, count;     /* where the array and its length (unsigned) are in struct api */
    const char *not_removed; /* goes before libhusk's reason */
    int (*remove)(struct husk_vm *vm, const char *id, struct husk_error *err);
    void (*forget)(struct api_metrics *metrics, unsigned place); /* NULL: it has no metrics */
};

extern const struct device_kind drive_kind, net_kind, vfio_kind;

unsigned device_count(const struct api *api, const struct device_kind *kind);

/* The place of an id: device_count() when there is none. */
unsigned device_find(const struct api *api, const struct device_kind *kind, const char *id);

/* The id that the next device gets: `given` or, when that is NULL, as libhusk chooses it. free();
 * NULL: no memory. */
char *device_next_id(const struct api *api, const struct device_kind *kind, const char *given);

/* Take over settings: instead of those at `place`, or as the last when that is device_count(),
 * which is less than API_DEVICES_MAX. */
void device_set(struct api *api, const struct device_kind *kind, unsigned place,
                const void *settings);

/* The VM has no such device any more. */
void device_gone(struct api *api, const struct device_kind *kind, const char *id);

/* Whether a device of this id can be plugged into the running VM: its id is free. */
int device_check_new(const struct api *api, const struct device_kind *kind, const char *id,
                     struct api_fault *fault);

/* The place of the device that call->id asks to remove from the running VM. 0 or -EINVAL. */
int device_to_remove(const struct api *api, const struct device_kind *kind,
                     const struct api_call *call, unsigned *place, struct api_fault *fault);
/* Asks the guest for it; before it runs, the device is gone at once. */
int device_remove(struct api *api, const struct device_kind *kind, const char *id,
                  struct api_fault *fault);

void device_release_all(struct api *api, const struct device_kind *kind);

#endif
