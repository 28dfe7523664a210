// SPDX-License-Identifier: Apache-2.0
/* Leases of addresses: see vf_lease.h. */
#include "pod/network/vf_lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define TRIES_MAX 65536u

/* Where the search begins: another place for each pod, so that an address is seldom that of one
 * that has just gone, whose MAC neighbours may still know. */
static uint64_t start_of(const char *id, uint64_t count)
{
    char digits[9] = "";

    memcpy(digits, id, strnlen(id, 8));
    return strtoull(digits, NULL, 16) % count;
}

static int take_one(const struct network_state *state, const char *id, const struct vf_range *range,
                    struct address *out, struct husk_error *err)
{
    uint64_t count = range->last - range->first + 1; /* not 0: last is below 2^64 - 1 */
    uint64_t start = start_of(id, count);
    char name[ADDRESS_TEXT];

    for (uint64_t i = 0; i < count && i < TRIES_MAX; i++) {
        int ret;

        *out = address_at(&range->prefix, range->first + (start + i) % count);
        out->bits = range->prefix.bits;
        if (range->gateway.family &&
            memcmp(out->bytes, range->gateway.bytes, sizeof(out->bytes)) == 0)
            continue;
        address_text(out, name);
        ret = network_claim(state->addresses, name, id);
        if (ret == 0)
            return 0;
        if (ret != -EEXIST)
            return error_set(err, -ret, STATE_DIRECTORY "/addresses",
                             "cannot lease an address for the pod", NULL);
    }
    address_prefix_text(&range->prefix, name);
    return error_set(err, EADDRNOTAVAIL, name, "cannot lease an address for the pod",
                     "all of its range are in use");
}

int vf_lease_take(const struct network_state *state, const char *id, const struct vf_config *config,
                  struct address *out, struct husk_error *err)
{
    int ret = 0;

    for (unsigned i = 0; !ret && i < config->range_count; i++)
        ret = take_one(state, id, &config->ranges[i], &out[i], err);
    return ret;
}
