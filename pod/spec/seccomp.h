// SPDX-License-Identifier: Apache-2.0
/*
 * Filters of system calls: profiles in the format that docker, containerd and podman share, which
 * depend on capabilities, machine and kernel, made into "linux.seccomp" of a config.json.
 */
#ifndef HUSK_POD_SPEC_SECCOMP_H
#define HUSK_POD_SPEC_SECCOMP_H

#include <jansson.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/spec/spec.h"

/* What a profile's conditions are about. */
struct seccomp_context {
    uint64_t capabilities; /* of the bounding set */
    unsigned kernel_major, kernel_minor;
    const char *machine; /* as in profiles: "amd64", "arm64" */
};

/* Of the machine that this is compiled for. */
extern const char seccomp_machine[];

/* The profile that a container has by default, in the format of files; NULL when memory is short.
 * seccomp_default.c says what is in it and why. */
json_t *seccomp_default(void);

/* A profile as "linux.seccomp". Errors name the member of the profile, in the file `where`. */
int seccomp_compile(const json_t *profile, const struct seccomp_context *context, const char *where,
                    json_t **out, struct husk_error *err);

/* A profile's text (at most IMAGE_JSON_BYTES_MAX) likewise; and that of a file, which blocks. */
int seccomp_parse(const void *bytes, size_t len, const struct seccomp_context *context,
                  const char *where, json_t **out, struct husk_error *err);
int seccomp_file(const char *path, const struct seccomp_context *context, json_t **out,
                 struct husk_error *err);

#endif
