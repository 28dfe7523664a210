// SPDX-License-Identifier: Apache-2.0
/* Choosing a VF: see choose.h. */
#include "vf/choose.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

bool vf_is_used(const struct vf_host *host, const struct pci_function *function)
{
    if (!function->driver[0])
        return false;
    if (!strcmp(function->driver, "vfio-pci") || function->interface_count == 0)
        return true;
    for (unsigned i = 0; i < function->interface_count; i++) {
        if (interface_is_up(host, function->interfaces[i]))
            return true;
    }
    return false;
}

int vf_choose(const struct vf_host *host, const char *pf, const char *name,
              int (*take)(void *opaque, const char *address), void *opaque, unsigned *index,
              struct pci_function *out, struct husk_error *err)
{
    static const char what[] = "cannot take a VF";
    char address[PCI_ADDRESS_SIZE];
    unsigned now = 0, total = 0;
    int ret = pci_vf_counts(host, pf, &now, &total);

    if (ret)
        return error_set(err, -ret, name, "cannot read how many VFs it has", NULL);
    if (now == 0)
        return error_set(err, ENODEV, name, what, "it has none: `husk vf create %s N` makes some",
                         name);
    for (unsigned i = 0; i < now && i < PCI_VF_MAX; i++) {
        if (pci_vf_address(host, pf, i, address) || pci_function_read(host, address, out) ||
            vf_is_used(host, out))
            continue;
        ret = take(opaque, address);
        if (ret == -EEXIST)
            continue;
        *index = i;
        return ret ? error_set(err, -ret, address, what, NULL) : 0;
    }
    return error_set(err, EBUSY, name, what, "all of its %u are in use", now);
}
