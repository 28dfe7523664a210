// SPDX-License-Identifier: Apache-2.0
/*
 * The two records of a pod, spec.json (what is wanted) and state.json (what has become of it), as
 * structs and as bytes. docs/formats/pod-state.md is the format. The readers take the bytes for
 * hostile: sizes, depth, types and ranges are checked here, once; the Pod object and its config
 * maps and secrets by pod/manifest, as if they had come from a manifest.
 */
#ifndef HUSK_POD_PODS_RECORD_H
#define HUSK_POD_PODS_RECORD_H

#include <jansson.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"

#define POD_KEY_BYTES    130u         /* NAME, or NAMESPACE_NAME, of at most 63 bytes each */
#define POD_UID_BYTES    65u          /* 64 digits of 0-9 a-f */
#define POD_RECORD_MAX   (8u << 20)   /* bytes of spec.json */
#define POD_STATE_BYTES  (128u << 10) /* every state.json */
#define POD_STATUS_BYTES (POD_STATE_BYTES - 1024u) /* of it, at most, the status */

struct pod_record {
    char uid[POD_UID_BYTES];
    char key[POD_KEY_BYTES];
    uint64_t created_ns;   /* since 1970 */
    json_t *pod;           /* the canonical Pod object of pod/manifest/manifest.h; ours */
    json_t *objects;       /* {"configMaps": {…}, "secrets": {…}}; ours */
    char network[128];     /* "none", "bridge", "cni:NAME" */
    char kernel[PATH_MAX]; /* absolute; "": it is searched for */
    char store[PATH_MAX];  /* the image store, absolute; "": the default */
    bool remove;           /* the pod removes itself at its end */
};

struct pod_state {
    int supervisor_pid;        /* 0: it has not been started since it ended, or never */
    uint64_t supervisor_start; /* field 22 of /proc/PID/stat: tells a reused pid */
    int machine_pid;           /* of husk-vmm; 0: none */
    json_t *status;            /* a PodStatus of Kubernetes; ours */
};

/* The key of a pod of that name; NULL or "": the namespace "default". -ENAMETOOLONG. */
int pod_key_make(const char *space, const char *name, char key[POD_KEY_BYTES]);
/* Whether `key` is one. */
bool pod_key_valid(const char *key);

/* A new pod's uid: 64 random digits. 0 or -errno. */
int pod_uid_new(char uid[POD_UID_BYTES]);

/*
 * From and to bytes. `where` names the file in errors. Encoding returns an object, the caller's, or
 * NULL when there is no memory. On success *out is to be given to the clear function, which takes a
 * zeroed one. -EINVAL, -EFBIG, -ENOTSUP (another version), -ENOMEM.
 */
int pod_record_decode(const void *bytes, size_t len, const char *where, struct pod_record *out,
                      struct husk_error *err);
json_t *pod_record_encode(const struct pod_record *record);
void pod_record_clear(struct pod_record *record);

/* Takes messages of containers out of a PodStatus that does not fit into a record, those of runs
 * before first: guests write them, and JSON makes up to 6 bytes of one. */
void pod_state_fit(json_t *status);

int pod_state_decode(const void *bytes, size_t len, const char *where, struct pod_state *out,
                     struct husk_error *err);
/* As STATE of protocol.h, with "version". */
json_t *pod_state_encode(const struct pod_state *state);
void pod_state_clear(struct pod_state *state);

/* status.phase, borrowed: "Pending", "Running", "Succeeded", "Failed". */
const char *pod_state_phase(const struct pod_state *state);
/* Whether its phase is one of the last two. */
bool pod_state_ended(const struct pod_state *state);

#endif
