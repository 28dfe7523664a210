// SPDX-License-Identifier: Apache-2.0
/* System call filters (config-linux.md, "Seccomp"), compiled by libseccomp. */
#ifndef HUSK_GUEST_AGENT_SECCOMP_H
#define HUSK_GUEST_AGENT_SECCOMP_H

#include "guest/agent/oci.h"

/* The member "seccomp" of node as a program, which is the caller's to free; none when it is absent.
 * Names of system calls that libseccomp does not know are passed over; see seccomp_newer.h for what
 * becomes of the calls. */
int seccomp_parse(const struct node *node, struct sock_fprog *program, unsigned *flags,
                  struct husk_error *err);

/* Put the calling process under the program. Needs no_new_privs or CAP_SYS_ADMIN. */
int seccomp_apply(const struct sock_fprog *program, unsigned flags, struct husk_error *err);

#endif
