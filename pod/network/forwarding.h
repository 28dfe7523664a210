// SPDX-License-Identifier: Apache-2.0
/*
 * The host as a router for its pods, with as little change to it as possible.
 *
 * IPv4: a packet is forwarded when the interface by which it came has "forwarding" (Linux,
 * Documentation/networking/ip-sysctl.rst). Where the whole host forwards already (ip_forward) there
 * is nothing to do; else the bridge and the interfaces of default routes get it, no others.
 *
 * IPv6: there is one switch for the host, and only where it has a default route is it thrown. An
 * interface that learns from router advertisements would stop doing so then: its accept_ra becomes
 * 2, which means "also when forwarding".
 *
 * What was changed is in `changed`, {"NAME below /proc/sys/net": "former value"}, before it is; it
 * is put back when nobody has changed it since.
 */
#ifndef HUSK_POD_NETWORK_FORWARDING_H
#define HUSK_POD_NETWORK_FORWARDING_H

#include <jansson.h>
#include <stdbool.h>

#include "husk/error.h"

/* Writes `changed` down before the changes are made that were added to it. */
typedef int (*forwarding_save)(void *opaque, const json_t *changed);

int forwarding_begin(const char *bridge, bool ip6, json_t *changed, forwarding_save save,
                     void *opaque, struct husk_error *err);

/* Puts back what can be. */
void forwarding_end(const json_t *changed);

/* A value below /proc/sys/net, for the bridge alone. */
int forwarding_set(const char *name, const char *value);

#endif
