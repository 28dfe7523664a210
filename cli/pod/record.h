// SPDX-License-Identifier: Apache-2.0
/* From the options of `husk run IMAGE` and the image to the record of the container. */
#ifndef HUSK_CLI_POD_RECORD_H
#define HUSK_CLI_POD_RECORD_H

#include "cli/pod/image.h"
#include "cli/pod/run_options.h"
#include "pod/machine/options.h"
#include "pod/supervisor/record.h"

/*
 * What is asked for, for container_create(); `out` is to be given to container_spec_clear() in
 * every case. Reads files that options name; changes nothing. Returns 0, or an exit status with the
 * reason printed. The name is the one given, or made of the image's: another one at each call.
 */
int pod_record_make(const struct pod_run_options *options, const struct pod_image *image,
                    struct container_spec *out);

/* A name for a container of this image: its last word and six digits of `id`. */
void pod_record_name(const char *image, const char *id, char name[CONTAINER_NAME_BYTES]);

/* The machine's memory for a container that may have `limit` bytes; 0 for 0, the default. */
uint64_t pod_record_memory(uint64_t limit);

#endif
