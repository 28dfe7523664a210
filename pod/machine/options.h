// SPDX-License-Identifier: Apache-2.0
/*
 * What a container asks of its virtual machine, as a struct and as the JSON object in which the
 * container's record keeps it:
 *
 *     {"memory_bytes": N, "vcpus": N, "scratch_bytes": N, "kernel": PATH,
 *      "network": {"tap": NAME, "netns": PATH, "vfio": "0000:01:10.0", "mac": TEXT, "mtu": N,
 *                  "addresses": ["10.1.2.3/24", …],
 *                  "routes": [{"to": "0.0.0.0/0", "via": "10.1.2.1"}, …]},
 *      "disks": [{"volume": NAME, "path": PATH, "type": "ext4"|"erofs", "readonly": bool}, …]}
 *
 * All members may be left out. The reader takes the object for hostile: types, lengths and ranges
 * are checked here, once. Nothing is opened and the host is asked nothing.
 */
#ifndef HUSK_POD_MACHINE_OPTIONS_H
#define HUSK_POD_MACHINE_OPTIONS_H

#include <jansson.h>
#include <linux/limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/pci_address.h"
#include "husk/agent.h"
#include "husk/error.h"

/*
 * The defaults, and why (docs/adr/0022-container-machine.md has the figures).
 * Memory: a page costs the host nothing until the guest uses it, except for what the kernel notes
 * of each page, 16 MiB for 1 GiB. 512 MiB run an ordinary service; more is asked for.
 * Processors: one is the fastest to start and the cheapest to keep.
 * The scratch disk takes no space for what is not in it.
 */
#define POD_MACHINE_MEMORY_BYTES  (UINT64_C(512) << 20)
#define POD_MACHINE_VCPUS         1u
#define POD_MACHINE_SCRATCH_BYTES (UINT64_C(16) << 30)

#define POD_MACHINE_MEMORY_MIN  (UINT64_C(64) << 20)
#define POD_MACHINE_MEMORY_MAX  (UINT64_C(1) << 40)
#define POD_MACHINE_VCPUS_MAX   255u
#define POD_MACHINE_SCRATCH_MIN (UINT64_C(16) << 20)
#define POD_MACHINE_SCRATCH_MAX (UINT64_C(16) << 40)
#define POD_MACHINE_DISKS_MAX   10u /* beside those of the layers and the scratch disk */

/* A disk that becomes a volume of the agent's, at HUSK_AGENT_VOLUMES/volume. */
struct pod_machine_disk {
    char volume[HUSK_AGENT_NAME_MAX + 1]; /* begins with none of "layer", "scratch" */
    char path[PATH_MAX];                  /* absolute: a regular file or a block device */
    bool held; /* whoever looked at it holds it in `fd` (O_PATH), which is opened in place of the */
    int fd;    /* path: that may lead to another file by now. Borrowed; in no record */
    char type[16]; /* "ext4" or "erofs" */
    bool read_only;
};

#define POD_MACHINE_ADDRESSES_MAX 8u
#define POD_MACHINE_ADDRESS_BYTES 64u

struct pod_machine_route {
    char to[POD_MACHINE_ADDRESS_BYTES], via[POD_MACHINE_ADDRESS_BYTES]; /* via "": on the link */
};

#define POD_MACHINE_NETNS_BYTES 128u

/* The one network interface, a tap or a device of the host: eth0 in the guest. Neither: none. */
struct pod_machine_network {
    char tap[IFNAMSIZ];                  /* an existing tap */
    char netns[POD_MACHINE_NETNS_BYTES]; /* file of the network namespace in which the tap is,
                                            absolute; "": the process's own */
    char vfio[PCI_ADDRESS_SIZE];         /* a function bound to vfio-pci, as sysfs spells it */
    uint8_t mac[6]; /* all zero: derived from the tap's name. The guest finds the function by it */
    uint16_t mtu;   /* 0: the tap's own is not announced */
    /* As "network.set" of husk/agent.h has them; the agent checks what they say. */
    char addresses[POD_MACHINE_ADDRESSES_MAX][POD_MACHINE_ADDRESS_BYTES];
    unsigned address_count;
    struct pod_machine_route routes[POD_MACHINE_ADDRESSES_MAX];
    unsigned route_count;
};

struct pod_machine_options {
    uint64_t memory_bytes; /* 0: the default; so in the next two */
    unsigned vcpus;
    uint64_t scratch_bytes;
    char kernel[PATH_MAX]; /* absolute; "": it is searched for */
    struct pod_machine_network network;
    struct pod_machine_disk disks[POD_MACHINE_DISKS_MAX];
    unsigned disk_count;
};

/* -EINVAL or -ERANGE with err naming the member ("machine.disks[1].type"). */
int pod_machine_options_decode(const json_t *object, struct pod_machine_options *out,
                               struct husk_error *err);

/* The same checks for what a command line filled in. */
int pod_machine_options_check(const struct pod_machine_options *options, struct husk_error *err);

/* A new object, or NULL when there is no memory. */
json_t *pod_machine_options_encode(const struct pod_machine_options *options);

/*
 * The memory of a machine in which containers may have `limit_bytes`: that and what they cannot
 * have, which is the guest's kernel, its notes about each page, and the agent's reserve
 * (docs/agent.md). Whole MiB; the limit itself when it is beyond POD_MACHINE_MEMORY_MAX.
 */
uint64_t pod_machine_memory_for(uint64_t limit_bytes);
/* The other way about: what of a machine's memory is left for containers. */
uint64_t pod_machine_memory_left(uint64_t memory_bytes);

/* Its routes alone, [{"to", "via"}, …], as the agent has them, too; NULL without memory. */
json_t *pod_machine_routes_json(const struct pod_machine_network *network);

/*
 * What kind of file system a file or block device holds, of those that a guest of ours can mount:
 * fills `type`. -EINVAL when it is none of them; another error when it cannot be read.
 */
int pod_machine_disk_recognise(const char *path, char type[16], struct husk_error *err);

#endif
