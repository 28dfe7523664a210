// SPDX-License-Identifier: Apache-2.0
/*
 * What a person sees of a pull: bars on a terminal, a line for each change elsewhere. On standard
 * error.
 */
#ifndef HUSK_CLI_IMAGE_PROGRESS_H
#define HUSK_CLI_IMAGE_PROGRESS_H

#include <stdio.h>

#include "pod/image/import.h"

struct progress {
    FILE *out;
    bool terminal;
    unsigned columns;
    unsigned drawn; /* lines of bars that are on the terminal */
    uint64_t drawn_ns;
    struct import_progress layers[IMAGE_LAYERS_MAX];
    unsigned count; /* of layers that were heard of */
};

/* Bars when `out` is a terminal. */
void progress_init(struct progress *progress, FILE *out);

/* For import_options.progress; arg is the struct progress. */
void progress_show(void *arg, const struct import_progress *layer);

/* Takes the bars away; begins anew for the next image. */
void progress_end(struct progress *progress);

/* "12.3 MiB". Returns out. */
const char *format_bytes(uint64_t bytes, char out[24]);

#endif
