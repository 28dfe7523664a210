// SPDX-License-Identifier: Apache-2.0
/* Results of CNI plugins (CNI specification 1.1.0, section 5, "Success"). Pure. */
#ifndef HUSK_POD_NETWORK_CNI_RESULT_H
#define HUSK_POD_NETWORK_CNI_RESULT_H

#include <jansson.h>

#include "husk/error.h"
#include "pod/network/address.h"
#include "pod/network/network.h"

struct cni_result {
    struct address addresses[POD_MACHINE_ADDRESSES_MAX];
    unsigned address_count;
    struct pod_network_dns dns; /* empty when it says nothing of it */
};

/*
 * What a result says of the pod's interface, which is called `interface` and in a sandbox. -EPROTO
 * with err naming the member, when something in it is not as the specification has it, when there
 * is no address, or there are more than fit.
 */
int cni_result_read(const json_t *result, const char *interface, struct cni_result *out,
                    struct husk_error *err);

#endif
