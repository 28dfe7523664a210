// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent says, as structs: errors, ends of processes, events, simple answers. A guest may
 * have taken the agent over, so each member is checked for type and range; members that are not
 * known are ignored (husk/agent.h, "Hello"). Texts come out printable.
 *
 * Readers return 0, or -EPROTO with err filled. `where` names the message in errors.
 */
#ifndef HUSK_POD_AGENT_ANSWER_H
#define HUSK_POD_AGENT_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/agent.h"
#include "husk/error.h"

struct agent_exit {
    uint8_t status; /* what exit() was given, or 128 + signal */
    uint8_t signal; /* 1..64 that ended it, or 0 */
    bool oom;
};

enum agent_event_kind {
    AGENT_EVENT_UNKNOWN, /* of a newer agent: to be ignored */
    AGENT_EVENT_EXIT,
    AGENT_EVENT_OOM,
};

struct agent_event {
    enum agent_event_kind kind;
    char container[HUSK_AGENT_NAME_MAX + 1];
    char process[HUSK_AGENT_NAME_MAX + 1]; /* of EXIT */
    struct agent_exit exit;                /* of EXIT */
    uint64_t kills;                        /* of OOM: in all */
};

int agent_read_exit(const json_t *exit, const char *where, struct agent_exit *out,
                    struct husk_error *err);
int agent_read_event(const json_t *event, struct agent_event *out, struct husk_error *err);

/* {"pid": N} of "create" and "exec": the id in the guest, which means nothing on the host. */
int agent_read_pid(const json_t *result, const char *where, int *out, struct husk_error *err);

/*
 * An ERROR of the agent's: fills err and returns its code as -errno, -EPROTO when it is none.
 *     "invalid" EINVAL    "unsupported" ENOTSUP    "not-found" ENOENT    "exists" EEXIST
 *     "state" EBUSY       "limit" ENOSPC           "failed" EIO          "version" EPROTONOSUPPORT
 * and EIO for a CODE of a newer agent.
 */
int agent_read_error(const json_t *error, struct husk_error *err);

/* The way back, for who passes an error on: the CODE of a positive errno value. What is none of the
 * above is "failed". */
const char *agent_error_code(int code);

/* Whether it is a name in the sense of husk/agent.h, "Names". */
bool agent_name_valid(const char *name);

#endif
