// SPDX-License-Identifier: Apache-2.0
/*
 * One descriptor that becomes readable when something about a pod may have changed: records that
 * are replaced, directories that come and go, and supervisors that die.
 */
#ifndef HUSK_POD_LIB_WATCH_H
#define HUSK_POD_LIB_WATCH_H

#include "pod/store/store.h"

struct pods_watch;

/* Watches what there is; 0 or -errno. */
int pods_watch_open(struct entry_store *store, struct pods_watch **out);
/* Takes NULL. */
void pods_watch_close(struct pods_watch *watch);

/* For poll(). */
int pods_watch_descriptor(const struct pods_watch *watch);

/* Forgets what was seen, and watches what has come meanwhile. A change during the call makes the
 * descriptor readable again. */
void pods_watch_renew(struct pods_watch *watch, struct entry_store *store);

#endif
