// SPDX-License-Identifier: Apache-2.0
/* Which VF of a PF nobody uses, as far as the host can tell. */
#ifndef HUSK_VF_CHOOSE_H
#define HUSK_VF_CHOOSE_H

#include <stdbool.h>

#include "husk/error.h"
#include "vf/pci.h"

/*
 * Whether a function is used: it is bound to vfio-pci, an interface of it is up, or it has a driver
 * and no interface here, for then that is in another network namespace.
 */
bool vf_is_used(const struct vf_host *host, const struct pci_function *function);

/*
 * The first VF of a PF (an address as pci_find_pf() gives it; `name` is for errors) that is not
 * used and that take(opaque, address) accepts: 0 takes it, -EEXIST goes on, other errors end the
 * search. -ENODEV when the PF has no VFs, -EBUSY when none is left.
 */
int vf_choose(const struct vf_host *host, const char *pf, const char *name,
              int (*take)(void *opaque, const char *address), void *opaque, unsigned *index,
              struct pci_function *out, struct husk_error *err);

#endif
