// SPDX-License-Identifier: Apache-2.0
/*
 * Configurations of CNI networks: conf-lists (CNI specification 1.1.0, section 1), and the files of
 * single plugins of before, which count as lists of one. They are read from $NETCONFPATH, or
 * /etc/cni/net.d.
 */
#ifndef HUSK_POD_NETWORK_CNI_CONF_H
#define HUSK_POD_NETWORK_CNI_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "husk/error.h"

#define CNI_CONF_DIRECTORY "/etc/cni/net.d"
#define CNI_PLUGINS_MAX    16u

/*
 * A conf-list of a text, checked: cniVersion, which becomes the highest of cniVersions that husk
 * knows, is one of 0.3.1, 0.4.0, 1.0.0, 1.1.0; name and types
 * are names; a list of 1 to CNI_PLUGINS_MAX plugins. Returns a new reference, NULL with err filled.
 * What else is in it is the plugins' matter. `single`: it is one plugin's, and becomes a list.
 */
json_t *cni_conf_parse(const void *bytes, size_t len, bool single, const char *where,
                       struct husk_error *err);
/* The same checks for a list that has been kept. */
int cni_conf_check(const json_t *list, const char *where, struct husk_error *err);

/* Whether a file of the directory is one, by its name. */
static inline bool cni_conf_is_file(const char *name)
{
    const char *end = strrchr(name, '.');

    return name[0] != '.' && end && end != name &&
           (!strcmp(end, ".conflist") || !strcmp(end, ".conf") || !strcmp(end, ".json"));
}

/* The network called `name`; NULL: the first by file name. -ENOENT when there is none. */
int cni_conf_find(const char *name, json_t **out, struct husk_error *err);

/* Whether a plugin of the list has this capability (section 2, "capabilities"). */
bool cni_conf_capable(const json_t *list, const char *capability);

#endif
