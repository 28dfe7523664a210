// SPDX-License-Identifier: Apache-2.0
/*
 * A pod's hold on a virtual function: chosen, recorded, taken from its driver, and given back with
 * the settings that it had. As a part of the pod's record (record.h):
 *
 *     {"pf": "0000:01:00.0", "name": "enp1s0f0", "function": "0000:01:10.0", "index": 0,
 *      "before": {"mac": "02:00:00:00:00:05", "rate": 0, "trust": false, "spoofchk": true}}
 *
 * "name" is what the user called the PF; of "before", what the PF's driver does not tell is left
 * out. The former driver is in the function's own record (vf/record.h).
 */
#ifndef HUSK_POD_NETWORK_VF_HOLD_H
#define HUSK_POD_NETWORK_VF_HOLD_H

#include <jansson.h>

#include "husk/error.h"
#include "pod/network/mode.h"
#include "pod/network/state.h"
#include "vf/link.h"
#include "vf/pci.h"

struct vf_hold {
    char pf[PCI_ADDRESS_SIZE];
    char name[MODE_NAME_BYTES];
    char function[PCI_ADDRESS_SIZE];
    unsigned index;
    struct vf_settings before;
};

/* Claims a VF that nobody uses, of the PF that hold->pf and ->name say. With the state's lock held.
 * Nothing of the host is changed. */
int vf_hold_choose(const struct vf_host *host, const struct network_state *state, const char *id,
                   struct vf_hold *hold, struct husk_error *err);

/* A new object; NULL when there is no memory. */
json_t *vf_hold_encode(const struct vf_hold *hold);
/* Of a stranger. */
int vf_hold_decode(const json_t *object, const char *where, struct vf_hold *out,
                   struct husk_error *err);

/*
 * Gives the function to vfio-pci. -EALREADY when somebody else has bound it meanwhile: it is not to
 * be given back then. -EBUSY when its IOMMU group has another device that is the host's.
 */
int vf_hold_bind(const struct vf_host *host, const struct vf_hold *hold, struct husk_error *err);

/*
 * Puts the settings back, as far as the PF's driver takes them, and the function to its former
 * driver. A function that is not there any more, or not bound, is no error. While a VM has it:
 * waits some seconds, then -EBUSY.
 */
int vf_hold_return(const struct vf_host *host, const struct vf_hold *hold, struct husk_error *err);

#endif
