// SPDX-License-Identifier: Apache-2.0
/*
 * Starting a program that goes to jail by itself (husk-vmm, husk-image) as a child of the calling
 * process, of which nothing gets into it: no descriptors, signal dispositions, environment,
 * directory, terminal or session. Its end is known from a pidfd, so that a caller who waits for any
 * child may take its status without harm.
 */
#ifndef HUSK_JAIL_SPAWN_H
#define HUSK_JAIL_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "husk/error.h"

#define SPAWN_FIRST_FD  3
#define SPAWN_SECOND_FD 4

struct child {
    pid_t pid;
    int pidfd;
    unsigned namespaces; /* CLONE_NEW*: those that it is alone in */
};

struct child_program {
    const char *path;
    const char *name; /* argv[0] */
    const char *what; /* of the error: "cannot start the VM's process" */
};

/*
 * Run a program with `id` as its argument, first_fd and second_fd as descriptors 3 and 4 (what they
 * are says the protocol.h of each) and standard input, output and error on /dev/null, in the
 * most new namespaces that the host permits (jail_clone_flags()). Both descriptors stay the
 * caller's. Blocks until the program has been executed. 0 or -errno with err filled.
 */
int child_spawn(const struct child_program *program, const char *id, int first_fd, int second_fd,
                struct child *out, struct husk_error *err);

/* Wait at most timeout_ms for its end, of which `how` then tells in words (may be NULL); it may
 * have ended before. 0 when it has ended and is reaped, -ETIMEDOUT. After 0, only release. */
int child_wait(const struct child *child, int timeout_ms, char *how, size_t how_size);
void child_release(struct child *child);

void child_kill(const struct child *child);

#endif
