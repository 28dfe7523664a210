// SPDX-License-Identifier: Apache-2.0
/* --security-opt. */
#ifndef HUSK_POD_SPEC_SECURITY_H
#define HUSK_POD_SPEC_SECURITY_H

#include "pod/spec/seccomp.h"

struct security {
    bool no_new_privileges, seccomp_unconfined;
    const char *seccomp_file; /* NULL: the default profile */
};

/* The later of two that contradict counts. Texts stay the caller's. */
int security_parse(const struct spec_words *options, struct security *out, struct husk_error *err);

/* "linux.seccomp", NULL for no filter. */
int security_seccomp(const struct security *security, const struct seccomp_context *context,
                     json_t **out, struct husk_error *err);

#endif
