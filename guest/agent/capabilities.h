// SPDX-License-Identifier: Apache-2.0
/* Capabilities of a container's processes (capabilities(7)). */
#ifndef HUSK_GUEST_AGENT_CAPABILITIES_H
#define HUSK_GUEST_AGENT_CAPABILITIES_H

#include "guest/agent/oci.h"

/* An array of names as a set. config.md: a name that the kernel does not know is an error. */
int capabilities_parse(const struct node *up, const char *key, uint64_t *set,
                       struct husk_error *err);

/* Before the user changes: the bounding set, and that the change keeps what is permitted. */
int capabilities_limit(const struct oci_capabilities *capabilities, struct husk_error *err);

/* Afterwards: the other sets. */
int capabilities_apply(const struct oci_capabilities *capabilities, struct husk_error *err);

#endif
