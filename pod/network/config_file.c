// SPDX-License-Identifier: Apache-2.0
/* The host's configuration of networks: see config_file.h. */
#include "pod/network/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

#define CONFIG_BYTES_MAX 65536u

static const char wrong[] = "cannot read the configuration of networks";

const char *config_file_path(void)
{
    const char *path = secure_getenv("HUSK_NETWORK_CONFIG");

    return path ? path : CONFIG_FILE;
}

int config_file_read(char **bytes, size_t *len, struct husk_error *err)
{
    const char *path = config_file_path();
    int ret = read_file_at(AT_FDCWD, path, CONFIG_BYTES_MAX, bytes, len);

    if (ret)
        *bytes = NULL;
    if (ret == -ENOENT && !secure_getenv("HUSK_NETWORK_CONFIG"))
        return 0;
    return ret ? error_set(err, -ret, path, wrong, NULL) : 0;
}

int config_check_names(const json_t *object, const char *const *names, const char *where,
                       struct husk_error *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        const char *const *known = names;

        while (*known && strcmp(*known, name) != 0)
            known++;
        if (!*known)
            return error_set(err, EINVAL, where, wrong, "\"%s\" is unknown", name);
    }
    return 0;
}

json_t *config_file_parse(const void *bytes, size_t len, const char *where, struct husk_error *err)
{
    static const char *const names[] = {"bridge", "vf", NULL};
    json_t *document = image_json_parse(bytes, len, where, err);

    if (document && config_check_names(document, names, where, err)) {
        json_decref(document);
        return NULL;
    }
    return document;
}
