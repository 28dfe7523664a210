// SPDX-License-Identifier: Apache-2.0
/* --volume and the image's volumes. */
#ifndef HUSK_POD_SPEC_VOLUMES_H
#define HUSK_POD_SPEC_VOLUMES_H

#include "pod/spec/spec.h"

#define SPEC_PATH_SIZE 4096u

/* An absolute path without "//", "." and ".." (which does not leave "/"), into SPEC_PATH_SIZE
 * bytes. -EINVAL for another or a longer one. */
int volumes_clean_path(const char *path, char *out);

/* Where a mount of the user's may be: not the root, and nothing of /proc. `destination` is the
 * cleaned path. */
int volumes_check_destination(const char *option, const char *value, const char *path,
                              char *destination, struct husk_error *err);

/* Those of the options, then those of the image at other places; parents first. Fills out->volumes.
 * Opens the sources, and blocks. */
int volumes_parse(const struct image_config *image, const struct spec_options *options,
                  struct spec *out, struct husk_error *err);

const struct spec_volume *volumes_find(const struct spec *spec, const char *destination);
void volumes_free(struct spec *spec);

/* How many names are in a path: what is to be mounted later has more. */
unsigned volumes_depth(const char *path);

/* probe.c: the file system in a file or device, as the guest mounts it, into 32 bytes; "" when
 * there is none that a guest could mount. *readonly becomes true when it cannot be written to. */
int volumes_probe(int fd, char *fstype, bool *readonly);

#endif
