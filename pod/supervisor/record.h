// SPDX-License-Identifier: Apache-2.0
/*
 * The two records of a container, spec.json (what was asked; never changes) and state.json (what
 * has become of it), as structs and as bytes. docs/formats/container-state.md is the format. The
 * readers take the bytes for hostile: sizes, depth, types and ranges are checked here, once.
 */
#ifndef HUSK_POD_SUPERVISOR_RECORD_H
#define HUSK_POD_SUPERVISOR_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/stdio/stdin_mode.h"

#define CONTAINER_NAME_BYTES  65u /* 1 to 64 of A-Z a-z 0-9 . _ - , the first a letter or digit */
#define CONTAINER_ID_BYTES    65u /* 64 digits of 0-9 a-f */
#define CONTAINER_ERROR_BYTES 512u
#define CONTAINER_SPEC_MAX    (2u << 20) /* bytes of spec.json */

struct container_spec {
    char id[CONTAINER_ID_BYTES];
    char name[CONTAINER_NAME_BYTES];
    uint64_t created_ns; /* since 1970 */

    /* Objects, ours; checked to be objects here, and what is in them by who uses them. */
    json_t *image; /* {"name": TEXT, "manifest": DIGEST, "config": DIGEST, "layers": [DIGEST, …]}:
                      the layers' diff ids, the lowest first */
    json_t *spec;  /* what the agent is told: spec_save() of pod/spec/spec.h */
    json_t
        *machine;   /* the virtual machine: pod_machine_options_encode() of pod/machine/options.h */
    json_t *labels; /* {NAME: TEXT, …} */

    bool remove; /* the container removes itself at its end */
    enum container_stdin stdin_mode;
    unsigned stop_signal;    /* 1..64 */
    uint64_t stop_grace_ms;  /* at most CONTAINER_MS_MAX; so below */
    uint64_t timeout_ms;     /* the container is killed after that; 0: never */
    uint64_t log_file_bytes; /* a file of the log is closed beyond that; at least 4096 */
    unsigned log_files;      /* how many are kept, 1..100; 0: nothing is logged */
};

#define CONTAINER_MS_MAX (UINT64_C(1000) * 3600 * 24 * 365)

/* What `husk run` sets when nothing is asked for. */
#define CONTAINER_SPEC_INIT                                                              \
    {                                                                                    \
        .stop_signal = 15, .stop_grace_ms = 10000, .log_file_bytes = UINT64_C(10) << 20, \
        .log_files = 3                                                                   \
    }

enum container_status {
    CONTAINER_CREATED,
    CONTAINER_RUNNING,
    CONTAINER_PAUSED,
    CONTAINER_EXITED,
};

struct container_exit {
    uint8_t status; /* what exit() was given, or 128 + signal; 125..127 see protocol.h */
    uint8_t signal; /* 0: none */
    bool oom;
};

struct container_state {
    enum container_status status;
    int supervisor_pid;               /* 0: none yet */
    uint64_t supervisor_start;        /* field 22 of /proc/PID/stat: tells a reused pid */
    int machine_pid;                  /* of husk-vmm; 0: none */
    uint64_t started_ns, finished_ns; /* since 1970; 0: not yet */
    bool ended;                       /* its process has: "exit" is there, maybe before the
                                         machine is off and the status is "exited" */
    struct container_exit exit;
    uint64_t oom_kills;
    char error[CONTAINER_ERROR_BYTES]; /* printable; why husk ended it, or could not start it */
    uint64_t log_lost_lines;           /* that could not be written */
    char log_error[CONTAINER_ERROR_BYTES];
};

/* "created", "running", "paused", "exited". */
const char *container_status_name(enum container_status status);

/* Whether `name` is one. */
bool container_name_valid(const char *name);

/* A new container's id: 64 random digits. 0 or -errno. */
int container_id_new(char id[CONTAINER_ID_BYTES]);

/*
 * From and to bytes. `where` names the file in errors. Encoding returns an object, the caller's, or
 * NULL when there is no memory. On success *out of the spec is to be given to
 * container_spec_clear(), which takes a zeroed one. -EINVAL, -EFBIG, -ENOTSUP (another version),
 * -ENOMEM.
 */
int container_spec_decode(const void *bytes, size_t len, const char *where,
                          struct container_spec *out, struct husk_error *err);
json_t *container_spec_encode(const struct container_spec *spec);
void container_spec_clear(struct container_spec *spec);

int container_state_decode(const void *bytes, size_t len, const char *where,
                           struct container_state *out, struct husk_error *err);
/* As STATE of protocol.h, with "version"; `created_ns` is the spec's. */
json_t *container_state_encode(const struct container_state *state, uint64_t created_ns);

#endif
