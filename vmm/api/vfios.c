// SPDX-License-Identifier: Apache-2.0
/* /vfio/{vfio_id}: devices of the host, which are on a PCI bus only. They are opened when the VM is
 * built, or at once when they are plugged; whether the host can give them away is found then. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pci_address.h"
#include "vmm/api/device_kind.h"
#include "vmm/api/start.h"

#define PREFIX "VFIO config error: "

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
    unsigned place = device_find(api, &vfio_kind, vfio->vfio_id);

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

    if (device_check_new(api, &vfio_kind, vfio->vfio_id, fault))
        return -EINVAL;
    vfio_options_of(vfio, &options);
    return husk_vm_add_vfio(api->vm, &options, &err)
               ? api_fault_error(fault, PREFIX "Unable to add the device of the host", &err)
               : 0;
}

int vfio_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct vfio_settings vfio = {0};
    int ret = read_body(call, &vfio_shape, &vfio, fault);

    if (ret)
        return ret;
    ret = check(api, call, &vfio, fault);
    if (!ret && api->vm)
        ret = plug(api, &vfio, fault);
    if (ret)
        json_release(&vfio_shape, &vfio);
    else
        device_set(api, &vfio_kind, device_find(api, &vfio_kind, vfio.vfio_id), &vfio);
    return ret;
}

int vfio_delete(struct api *api, struct api_call *call, struct api_fault *fault)
{
    unsigned place;
    int ret = device_to_remove(api, &vfio_kind, call, &place, fault);

    return ret ? ret : device_remove(api, &vfio_kind, call->id, fault);
}
