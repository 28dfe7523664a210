// SPDX-License-Identifier: Apache-2.0
/*
 * Ports of the host that are asked for beside a manifest, as what a manifest says of ports. They
 * are noted in the annotation PUBLISH_NOTE, so that they are not lost when the manifest is applied
 * again.
 */
#ifndef HUSK_POD_LIB_PUBLISH_H
#define HUSK_POD_LIB_PUBLISH_H

#include <jansson.h>

#include "husk/error.h"

#define PUBLISH_NOTE "husk.dev/published" /* separated by commas */

/*
 * "[ADDRESS:]HOST:CONTAINER[/tcp|udp|sctp]", an IPv6 address in brackets: changes the Pod object
 * `pod`, which must be the caller's own down to its ports. The container that declares the port
 * gets the hostPort; when none does, the first container declares it. -EINVAL, -ENOMEM.
 */
int publish_port(json_t *pod, const char *text, struct husk_error *err);

/* A Pod object of a manifest with what was published of the pod `before`: a new reference, to a
 * copy where there is something. -EINVAL, -ENOMEM. */
int publish_again(const json_t *before, const json_t *pod, json_t **out, struct husk_error *err);

#endif
