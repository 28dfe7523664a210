// SPDX-License-Identifier: Apache-2.0
/* What the host's resolver is told, for pods whose network says nothing of it: resolv.conf(5). */
#ifndef HUSK_POD_NETWORK_DNS_H
#define HUSK_POD_NETWORK_DNS_H

#include <stddef.h>

#include "pod/network/network.h"

/*
 * Reads a text. Servers on a loopback address are left out: in a pod that address is the pod's own.
 * What does not make sense is left out, too, as a resolver does; so is what is too much.
 */
void dns_parse(const char *text, size_t len, struct pod_network_dns *out);

/* The host's: of /etc/resolv.conf, and when that names only servers on loopback addresses, of the
 * file in which systemd-resolved names its own. Without either *out is empty. */
void dns_of_host(struct pod_network_dns *out);

#endif
