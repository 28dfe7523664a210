// SPDX-License-Identifier: Apache-2.0
/*
 * A VF's settings, read and made through its PF's interface, with errors that say what is wrong.
 *
 * pf is an address as pci_find_pf() gives it; `name` is what the user called it: it is said in
 * errors, and chooses among several interfaces. All may block as rtnl_talk() does.
 */
#ifndef HUSK_VF_SET_H
#define HUSK_VF_SET_H

#include "husk/error.h"
#include "vf/link.h"
#include "vf/pci.h"

/* The settings of VF `number`; -ERANGE when there is none of this number. */
int vf_get(const struct vf_host *host, const char *pf, const char *name, unsigned number,
           struct vf_settings *out, struct husk_error *err);

/* Makes all that `wanted` knows, or nothing. The minimal rate and the VLAN's priority stay. */
int vf_set(const struct vf_host *host, const char *pf, const char *name, unsigned number,
           const struct vf_settings *wanted, struct husk_error *err);

#endif
