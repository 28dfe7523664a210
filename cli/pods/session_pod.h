// SPDX-License-Identifier: Apache-2.0
/* The other side of a session with a process in a pod: the library of pods. */
#ifndef HUSK_CLI_PODS_SESSION_POD_H
#define HUSK_CLI_PODS_SESSION_POD_H

#include "cli/pod/session.h"
#include "husk/pod.h"

struct session_pod {
    struct husk_pod_process *process; /* ours */
    bool ended;
};

/* Makes the session one with the process, which is `peer`'s then, and takes its streams (all three
 * in any case). With `terminal` fds[1] is one. 0 or -errno. */
int session_pod_begin(struct session *session, struct session_pod *peer,
                      struct husk_pod_process *process, int fds[3]);
/* Takes a zeroed one. */
void session_pod_clear(struct session_pod *peer);

#endif
