// SPDX-License-Identifier: Apache-2.0
/* husk-probe as a child of this process: it speaks on one connection into the pod, and dies with
 * this process at the latest. */
#ifndef HUSK_POD_PODS_SPEAKER_H
#define HUSK_POD_PODS_SPEAKER_H

#include "husk/error.h"
#include "probe/protocol.h"

struct speaker;

/*
 * `request` but for its namespaces; guest_fd, a connected stream socket, is taken in any case.
 * *plain_fd: the caller's end of what it passes on, a stream socket. Blocks while the program is
 * started, but not for the guest. 0 or -errno with err filled.
 */
int speaker_start(const struct probe_request *request, int guest_fd, int *plain_fd,
                  struct speaker **out, struct husk_error *err);

/* Ends it, whatever it does: what it ended with if it had, or -1 when it ended in another way, or
 * only now. Blocks for as long as the kernel takes. */
int speaker_end(struct speaker *speaker);

#endif
