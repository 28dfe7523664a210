// SPDX-License-Identifier: Apache-2.0
/*
 * What husk keeps of networks for the whole host, in /run/husk/network, which a reboot empties
 * together with what it tells of:
 *
 *     bridge.json         husk's bridge: its prefixes, and what of the host was changed for it
 *     leases/N            which pod has the Nth address of the bridge; the text is its id
 *     ports/PROTO-PORT-IP which pod a port of the host belongs to
 *     vfs/ADDRESS         which pod has a virtual function; the text is its id
 *     addresses/ADDRESS   which pod has an address of those for virtual functions
 *     pods/ID.json        each network that is up, or half up, as DIR/network.json
 *     pods/.ID.lock       held while plugins make it (record.h)
 *     gc/NAME.json        the conf-list of a CNI network that is to be asked to collect (gc.h)
 *
 * One lock, the kernel's on the directory itself, is held by whoever changes what is shared.
 * Another is pods/: who adds to or deletes from CNI networks shares it, who has them collect has it
 * alone.
 */
#ifndef HUSK_POD_NETWORK_STATE_H
#define HUSK_POD_NETWORK_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "husk/error.h"

#define STATE_DIRECTORY "/run/husk/network"
#define STATE_LOCK_MS   30000
#define STATE_ID_BYTES  65u /* 64 hexadecimal digits */

struct network_state {
    int dir, leases, ports, vfs, addresses, pods, gc;
};

/* Makes what is missing and opens it. Does not lock. */
int network_state_open(struct network_state *state, struct husk_error *err);
void network_state_close(struct network_state *state);

/* Waits for at most STATE_LOCK_MS: -ETIMEDOUT. The lock ends with network_state_unlock(), or with
 * the process. */
int network_state_lock(const struct network_state *state, struct husk_error *err);
/* The same without waiting: -EBUSY. */
int network_state_try_lock(const struct network_state *state);
void network_state_unlock(const struct network_state *state);

/* The lock on the use of CNI networks. The shared one waits for at most STATE_LOCK_MS (-ETIMEDOUT),
 * the other for nobody (-EBUSY). */
int network_state_share(const struct network_state *state, struct husk_error *err);
int network_state_have_alone(const struct network_state *state);
void network_state_unshare(const struct network_state *state);

/* Replaces a file whole and durably. `text` is written with a newline behind it. */
int network_state_write(int dir, const char *name, const char *text);
/* The file, and what a killed writer of it left. Both may be missing. 0 or -errno. */
int network_state_remove(int dir, const char *name);
/* network_state_write() of a JSON document. */
int network_state_write_json(int dir, const char *name, const json_t *document);

/* A document of ours, or of a stranger who wrote it there: bounded, its names unique. -ENOENT. */
int network_state_read_json(int dir, const char *name, const char *where, json_t **out,
                            struct husk_error *err);

/*
 * A claim: a file with a pod's id in it, for one thing that only one may have. With the lock held.
 * -EEXIST when it is another pod's; what a writer that was killed left empty is nobody's.
 */
int network_claim(int dir, const char *name, const char *id);
/* Whether the claim is somebody else's. */
bool network_claimed(int dir, const char *name, const char *id);
/* Calls `take` for the name of each claim of `id` (NULL: of anybody); not 0 ends it. */
int network_claims(int dir, const char *id, int (*take)(void *opaque, const char *name),
                   void *opaque);
/* Gives back all claims of `id`. */
int network_unclaim(int dir, const char *id);

#endif
