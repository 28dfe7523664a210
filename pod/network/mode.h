// SPDX-License-Identifier: Apache-2.0
/*
 * What kind of network was asked for, as a text:
 *
 *     none
 *     bridge
 *     cni:NAME
 *     vf:PF       an interface or a PCI address
 *
 * Pure functions.
 */
#ifndef HUSK_POD_NETWORK_MODE_H
#define HUSK_POD_NETWORK_MODE_H

#include "husk/error.h"

#define MODE_NAME_BYTES 64u
#define MODE_BYTES      128u /* of the whole text, its NUL included */

enum network_kind { NETWORK_NONE, NETWORK_BRIDGE, NETWORK_CNI, NETWORK_VF };

struct network_mode {
    enum network_kind kind;
    char name[MODE_NAME_BYTES]; /* of the conf-list, or the PF */
};

/* -EINVAL with err->where "network". */
int network_mode_parse(const char *text, struct network_mode *out, struct husk_error *err);

#endif
