// SPDX-License-Identifier: Apache-2.0
/* What `husk run IMAGE` and `husk create` share: from options to a container of this host. */
#ifndef HUSK_CLI_POD_MAKE_H
#define HUSK_CLI_POD_MAKE_H

#include "cli/pod/image.h"
#include "cli/pod/pod.h"
#include "cli/pod/run_options.h"

/* Big: on the heap. */
struct making {
    struct pod_run_options options;
    struct pod_image image;
    struct container_spec record;
    struct entry_store *store;
    struct entry *container;
};

/*
 * Parses the options of `syntax`, gets the image, which *making holds until it is released, and
 * makes the container, alive for entry_spawn() or not. `check` (may be NULL) looks at the options
 * first. Returns 0, POD_HELP_SHOWN, or an exit status with the reason printed. Release in every
 * case.
 */
int making_make(struct making *making, const struct pod_syntax *syntax, int argc, char **argv,
                int (*check)(const struct pod_run_options *options), bool alive);
void making_release(struct making *making);

#endif
