// SPDX-License-Identifier: Apache-2.0
/* The command line of husk-oci. */
#ifndef HUSK_CLI_IMAGE_OPTIONS_H
#define HUSK_CLI_IMAGE_OPTIONS_H

#include <stdbool.h>

#include "pod/image/manifest.h"

enum image_action {
    ACTION_PULL = 1 << 0,
    ACTION_LOAD = 1 << 1,
    ACTION_LS = 1 << 2,
    ACTION_RM = 1 << 3,
    ACTION_INSPECT = 1 << 4,
    ACTION_PRUNE = 1 << 5,
};

/* Texts are those of argv. */
struct image_options {
    enum image_action action;
    char **words; /* what the action is about */
    unsigned word_count;
    const char *store; /* NULL: the default */
    bool json, quiet, plain_http, force;
    struct platform platform;                             /* os "": this machine's */
    unsigned threads;                                     /* 0: the default */
    const char *ca_file, *auth_file, *user, *name, *only; /* NULL: not given */
};

/* argv[0] is the program's. Reorders argv: options may stand anywhere. Returns 0, or STATUS_USAGE
 * with the reason printed. */
int image_options_parse(struct image_options *out, int argc, char **argv);

#endif
