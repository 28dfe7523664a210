// SPDX-License-Identifier: Apache-2.0
/*
 * What a container's record says of its machine. Whatever is taken goes back into an object and out
 * of it again unchanged, names only volumes that the agent would take, and paths that are absolute.
 */
#include <stdlib.h>
#include <string.h>

#include "pod/machine/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct pod_machine_options *options)
{
    demand(options->disk_count <= POD_MACHINE_DISKS_MAX);
    demand(options->network.address_count <= POD_MACHINE_ADDRESSES_MAX);
    demand(options->network.route_count <= POD_MACHINE_ADDRESSES_MAX);
    demand(!options->memory_bytes || options->memory_bytes >= POD_MACHINE_MEMORY_MIN);
    for (unsigned i = 0; i < options->disk_count; i++) {
        demand(options->disks[i].path[0] == '/');
        demand(options->disks[i].volume[0] && !strchr(options->disks[i].volume, '/'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pod_machine_options first, second;
    json_t *object =
        json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    struct husk_error err;

    if (object && !pod_machine_options_decode(object, &first, &err)) {
        json_t *again = pod_machine_options_encode(&first);

        check(&first);
        /* A text that is no UTF-8 cannot have come out of JSON. */
        demand(again && !pod_machine_options_decode(again, &second, &err));
        demand(first.memory_bytes == second.memory_bytes && first.vcpus == second.vcpus &&
               first.scratch_bytes == second.scratch_bytes &&
               first.disk_count == second.disk_count && !strcmp(first.kernel, second.kernel));
        json_decref(again);
    }
    json_decref(object);
    return 0;
}
