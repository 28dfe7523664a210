// SPDX-License-Identifier: Apache-2.0
/* /etc/husk/network.json, or the file that $HUSK_NETWORK_CONFIG names: see bridge.h and
 * vf_config.h. */
#ifndef HUSK_POD_NETWORK_CONFIG_FILE_H
#define HUSK_POD_NETWORK_CONFIG_FILE_H

#include <jansson.h>
#include <stddef.h>

#include "husk/error.h"

#define CONFIG_FILE "/etc/husk/network.json"

/* What the file is called here. */
const char *config_file_path(void);

/* Its bytes, the caller's; NULL when there is no file and none was named. */
int config_file_read(char **bytes, size_t *len, struct husk_error *err);

/* Its document, a new reference, of which only the outermost names have been checked. */
json_t *config_file_parse(const void *bytes, size_t len, const char *where, struct husk_error *err);

/* -EINVAL when an object has a member of another name; `names` ends with NULL. */
int config_check_names(const json_t *object, const char *const *names, const char *where,
                       struct husk_error *err);

#endif
