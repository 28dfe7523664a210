// SPDX-License-Identifier: Apache-2.0
/*
 * Named network namespaces, as `ip netns` has them: files of /run/netns on which a namespace is
 * mounted, and which keep it.
 */
#ifndef HUSK_POD_NETWORK_NETNS_H
#define HUSK_POD_NETWORK_NETNS_H

#include <stdbool.h>

#include "husk/error.h"

#define NETNS_DIRECTORY "/run/netns"

/* A new one with its loopback interface up. -EEXIST when the name is taken. */
int netns_make(const char *name, struct husk_error *err);

/* Takes the name away, and with it what is in the namespace once nobody uses it. One that is not
 * there is no error. */
int netns_remove(const char *name, struct husk_error *err);

/* Whether there is a namespace at a path: a file of the name may be there without one. */
bool netns_is_at(const char *path);

/*
 * Calls run(arg, err) in the namespace that the file `path` is, on a thread of its own, and returns
 * what it returns. The caller's namespace stays as it is.
 */
int netns_run(const char *path, int (*run)(void *arg, struct husk_error *err), void *arg,
              struct husk_error *err);

#endif
