// SPDX-License-Identifier: Apache-2.0
/* `husk-oci image pull` as a child of this process, which dies with it. */
#ifndef HUSK_POD_PODS_PULLER_H
#define HUSK_POD_PODS_PULLER_H

#include "husk/error.h"

/* Starts it for one image, into the store (a path; "": the default), with the text of an auth.json
 * (NULL: the host's), which it is given in memory alone. *pidfd becomes readable at its
 * end; *words, which does not block, is what it says; both are the caller's. -errno with err
 * filled. */
int puller_start(const char *reference, const char *store, const char *auths, int *pid, int *pidfd,
                 int *words, struct husk_error *err);
/* After its end: its exit status, 128 and more for a signal. */
int puller_reap(int pid);
/* Ends it at once, and reaps it. */
void puller_kill(int pid);

#endif
