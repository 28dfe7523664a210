// SPDX-License-Identifier: Apache-2.0
/* What is said of a pod that was changed in place. Pure. */
#ifndef HUSK_CLI_NODE_CHANGES_H
#define HUSK_CLI_NODE_CHANGES_H

/*
 * Of the fields that husk_pod_apply() has changed, as its text, those that somebody has described:
 * ": " and their names with ", " between, without the annotations that are the agent's own. "" when
 * these are all. The caller's to free; NULL without memory.
 */
char *changes_described(const char *changed);

#endif
