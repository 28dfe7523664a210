// SPDX-License-Identifier: Apache-2.0
/* What `husk attach` and `husk exec` share: joining a container that runs. */
#ifndef HUSK_CLI_POD_JOIN_H
#define HUSK_CLI_POD_JOIN_H

#include "cli/pod/pod.h"
#include "cli/pod/session_container.h"

/* Options of both, and what it is done with. Big: on the heap. */
struct joining {
    bool interactive, tty, detach, privileged, no_stdin, sig_proxy;
    const char *directory, *user, *detach_keys;
    struct pod_list env, env_files;
    struct entry_store *store;
    struct entry *container;
    struct control_client *client;
    struct container_spec record;
    struct session session;
    struct session_container peer;
};

/* NULL when memory is short, which has been said. */
struct joining *joining_new(void);
void joining_free(struct joining *joining);

/* Connects to the supervisor of the container that `text` means. */
int joining_begin(struct joining *joining, const char *text, struct husk_error *err);

#endif
