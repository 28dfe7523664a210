// SPDX-License-Identifier: Apache-2.0
/* /vfio/{vfio_id}: devices of the host, which are on a PCI bus only. They are opened when the VM is
 * built, or at once when they are plugged; whether the host can give them away is found then. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pci_address.h"
#include "vmm/api/start.h"

#define PREFIX "VFIO config error: "

static unsigned place_of(const struct api *api, const char *id)
{
    unsigned i = 0;

    while (i < api->vfio_count && strcmp(api->vfios[i].vfio_id, id) != 0)
        i++;
    return i;
}

/* Into sysfs's spelling, in which addresses are compared and told back. */
static int spell_address(struct vfio_settings *vfio, struct api_fault *fault)
{
    char address[PCI_ADDRESS_SIZE];
    char *copy;

    if (pci_address_parse(vfio->address, address))
        return api_fault_set(fault, PREFIX "address: \"%.40s\" is no PCI address like 0000:01:10.0",
                             vfio->address);
    copy = strdup(address);
    if (!copy)
        return api_fault_set(fault, "out of memory");
    free(vfio->address);
    vfio->address = copy;
    return 0;
}

static int check(const struct api *api, const struct api_call *call, struct vfio_settings *vfio,
                 struct api_fault *fault)
{
    unsigned place = place_of(api, vfio->vfio_id);

    if (call->id && strcmp(call->id, vfio->vfio_id) != 0)
        return api_fault_set(fault,
                             "vfio_id: The id from the path [%.64s] does not match the id from "
                             "the body [%.64s]!",
                             call->id, vfio->vfio_id);
    if (check_device_id(vfio->vfio_id, fault) || spell_address(vfio, fault) || need_pci(api, fault))
        return -EINVAL;
    if (place == API_DEVICES_MAX)
        return api_fault_set(fault, PREFIX "there are %u devices of the host already.",
                             API_DEVICES_MAX);
    for (unsigned i = 0; i < api->vfio_count; i++) {
        if (i != place && !strcmp(api->vfios[i].address, vfio->address))
            return api_fault_set(fault, PREFIX "address: %s is given to %s already", vfio->address,
                                 api->vfios[i].vfio_id);
    }
    return 0;
}

/* Plug the device into the running VM. */
static int plug(struct api *api, const struct vfio_settings *vfio, struct api_fault *fault)
{
    struct husk_vfio_options options;
    struct husk_error err = {0};

    if (place_of(api, vfio->vfio_id) != api->vfio_count)
        return api_fault_set(fault, "Device ID in use: there is a device of the host %s",
                             vfio->vfio_id);
    vfio_options_of(vfio, &options);
    return husk_vm_add_vfio(api->vm, &options, &err)
               ? api_fault_error(fault, PREFIX "Unable to add the device of the host", &err)
               : 0;
}

int vfio_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct vfio_settings vfio = {0};
    unsigned place;
    int ret = read_body(call, &vfio_shape, &vfio, fault);

    if (ret)
        return ret;
    ret = check(api, call, &vfio, fault);
    if (!ret && api->vm)
        ret = plug(api, &vfio, fault);
    if (ret) {
        json_release(&vfio_shape, &vfio);
        return ret;
    }
    place = place_of(api, vfio.vfio_id);
    if (place == api->vfio_count)
        api->vfio_count++;
    else
        json_release(&vfio_shape, &api->vfios[place]);
    api->vfios[place] = vfio;
    return 0;
}

/* The VM has no such device any more. */
void vfio_gone(struct api *api, const char *id)
{
    unsigned place = place_of(api, id);

    if (place == api->vfio_count)
        return;
    json_release(&vfio_shape, &api->vfios[place]);
    api->vfio_count--;
    memmove(&api->vfios[place], &api->vfios[place + 1],
            (api->vfio_count - place) * sizeof(api->vfios[0]));
    memset(&api->vfios[api->vfio_count], 0, sizeof(api->vfios[0]));
}

int vfio_delete(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct husk_error err = {0};
    int ret = need_started(api, fault);

    if (!ret)
        ret = need_pci(api, fault);
    if (ret)
        return ret;
    if (place_of(api, call->id) == api->vfio_count)
        return api_fault_set(fault, "Device not found: there is no device of the host %s",
                             call->id);
    if (husk_vm_remove_vfio(api->vm, call->id, &err))
        return api_fault_error(fault, PREFIX "Unable to remove the device of the host", &err);
    /* A guest that runs is asked for it: the VM tells when it is gone. */
    if (husk_vm_state(api->vm) == HUSK_STATE_CREATED)
        vfio_gone(api, call->id);
    return 0;
}
