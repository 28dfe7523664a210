// SPDX-License-Identifier: Apache-2.0
/*
 * The record of a pod's network, network.json in the pod's directory, and a copy of it for the host
 * in pods/ID.json (state.h):
 *
 *     {"version": 1, "id": TEXT, "mode": TEXT, "directory": PATH,
 *      "cni": {"list": {…}, "args": TEXT, "runtime": {…}, "result": {…}},       of mode cni only
 *      "vf": {…},                                                  of mode vf only: vf_hold.h
 *      "hung": {"at": SECONDS, "times": N}}           taking it back took too long, N times in a
 * row
 *
 * "list" is the conf-list as it was when the pod started, "result" what the last plugin said, from
 * the moment on when all have been added: what DEL wants to know, whatever has changed since. "vf"
 * is there from before the moment on when anything of the function is changed.
 */
#ifndef HUSK_POD_NETWORK_RECORD_H
#define HUSK_POD_NETWORK_RECORD_H

#include <jansson.h>
#include <net/if.h>

#include "husk/error.h"
#include "pod/network/mode.h"
#include "pod/network/network.h"
#include "pod/network/state.h"

#define RECORD_FILE        "network.json"
#define RECORD_NETNS_BYTES 32u
#define RECORD_PATH_BYTES  1024u

struct network_record {
    char id[STATE_ID_BYTES];
    char mode_text[MODE_BYTES];
    struct network_mode mode;
    char directory[RECORD_PATH_BYTES]; /* the pod's; "" when that is not known */
    json_t *cni;                       /* or NULL */
    json_t *vf;                        /* or NULL */
    uint64_t hung_at_s;                /* since 1970 */
    unsigned hung_times;               /* 0: never */
    /* Of the id: */
    char tap[IFNAMSIZ];
    char netns[RECORD_NETNS_BYTES];
};

/* -EINVAL for an id or a mode that is none. */
int network_record_begin(const struct pod_network_request *request, struct network_record *out,
                         struct husk_error *err);
/* Takes a zeroed one. */
void network_record_end(struct network_record *record);

/* A document of a stranger: everything is checked but what "cni" and "vf" have in them, which
 * their users do. */
int network_record_decode(const json_t *document, const char *where, struct network_record *out,
                          struct husk_error *err);
/* -ENOENT without one. `dir` may be pods/ of the state, and `name` a file there. */
int network_record_read(int dir, const char *name, struct network_record *out,
                        struct husk_error *err);

/*
 * The lock on what plugins do for this pod: a descriptor, or -errno. Whatever inherits the shared
 * one has it, too, until it ends, and it alone. The other waits for that, for at most
 * STATE_LOCK_MS; then it is had nevertheless: something was meant to stay.
 */
int network_record_hold(const struct network_record *record, const struct network_state *state);
int network_record_have_alone(const struct network_record *record,
                              const struct network_state *state);

/* Both copies; dir -1: the host's only. */
int network_record_save(const struct network_record *record, const struct network_state *state,
                        int dir, struct husk_error *err);
/* Notes in both copies that taking it back took too long. */
void network_record_note_hung(const struct network_record *record,
                              const struct network_state *state, int dir);
/* Whether it has, so lately that only who has been asked to should try again: within ten minutes,
 * twice as long each time after that, up to a day. */
bool network_record_hangs(const struct network_record *record);
int network_record_remove(const struct network_record *record, const struct network_state *state,
                          int dir, struct husk_error *err);

#endif
