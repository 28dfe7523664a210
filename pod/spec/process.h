// SPDX-License-Identifier: Apache-2.0
/* "process" of a config.json. */
#ifndef HUSK_POD_SPEC_PROCESS_H
#define HUSK_POD_SPEC_PROCESS_H

#include "pod/spec/environment.h"
#include "pod/spec/security.h"

/* A process's members that `run` and `exec` share; the environment is read. */
struct process_parts {
    const char *directory;
    bool tty, no_new_privileges;
    unsigned columns, rows;
    json_t *args, *rlimits, *capabilities; /* references that it takes; the last two may be NULL */
    const struct environment *environment;
    const struct spec_member *member; /* NULL: none */
};

/* Takes the references of parts in any case. */
int process_json(const struct process_parts *parts, json_t **out, struct husk_error *err);

/* ENTRYPOINT and CMD with --entrypoint and the words behind IMAGE. */
int process_args(const struct image_config *image, const struct spec_options *options, json_t **out,
                 struct husk_error *err);

/* What engines set, the image's, --env-file's and --env's. */
int process_environment(const struct image_config *image, const struct spec_options *options,
                        const char *hostname, struct environment *environment,
                        struct husk_error *err);

/* --user, of which the names are the guest's to look up. */
int process_user(const char *option, const char *text, char user[SPEC_USER_MAX + 1],
                 struct husk_error *err);

/* --workdir, or the image's. */
int process_check_directory(const char *option, const char *path, struct husk_error *err);

/* A list of words, "--option" for its errors. */
int process_words(const struct spec_words *words, const char *option, json_t **out,
                  struct husk_error *err);

#endif
