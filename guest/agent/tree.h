// SPDX-License-Identifier: Apache-2.0
/* Removing a directory with everything that a stranger put into it. */
#ifndef HUSK_GUEST_AGENT_TREE_H
#define HUSK_GUEST_AGENT_TREE_H

/* The directory `name` in the directory `base`. Takes as long as it takes; however deep it is, few
 * descriptors and little stack are used: what is deep is moved up first. Returns 0 or -errno. */
int tree_remove(const char *base, const char *name);

/* The same, in the directory `dir` (O_PATH is fine). */
int tree_remove_at(int dir, const char *name);

/* Takes it out of sight at once, as "trash-N", and removes that in a process of its own. */
void tree_discard(const char *base, const char *name, unsigned number);

#endif
