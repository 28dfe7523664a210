// SPDX-License-Identifier: Apache-2.0
/*
 * Having CNI networks collect what nobody has any more: GC of CNI 1.1 (section 2, "GC").
 *
 * It is run for a network on which something was given up, once, and never else: attachments that
 * it is not told of lose their addresses. It is told of husk's own, of all pods of the host, and of
 * those that other runtimes have recorded in libcni's cache. A list with "disableGC" is left alone.
 */
#ifndef HUSK_POD_NETWORK_GC_H
#define HUSK_POD_NETWORK_GC_H

#include "husk/error.h"
#include "pod/network/record.h"
#include "pod/network/state.h"

#define GC_CACHE_DIRECTORY "/var/lib/cni/results" /* of libcni */

/* Notes that the record's network is to collect, if it can. */
void network_gc_want(const struct network_state *state, const struct network_record *record);

/* Has the networks collect that were noted. None while pods come and go: the next call does. The
 * first error; the note is gone nevertheless. */
int network_gc(const struct network_state *state, struct husk_error *err);

/* The valid attachments of a network, of the records in `pods` and libcni's cache `results` (-1:
 * there is none), for cni_collect(); NULL without memory, or when a record cannot be read: then
 * nobody knows. */
json_t *network_gc_valid(int pods, int results, const char *network);

#endif
