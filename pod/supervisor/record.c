// SPDX-License-Identifier: Apache-2.0
/* The records' small parts: see record.h. */
#include "pod/supervisor/record.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/checked.h"
#include "pod/supervisor/record_internal.h"

const char *const container_status_names[] = {
    [CONTAINER_CREATED] = "created",
    [CONTAINER_RUNNING] = "running",
    [CONTAINER_PAUSED] = "paused",
    [CONTAINER_EXITED] = "exited",
};

const char *container_status_name(enum container_status status)
{
    return container_status_names[status];
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool container_name_valid(const char *name)
{
    size_t len = strnlen(name, CONTAINER_NAME_BYTES);

    if (len == 0 || len >= CONTAINER_NAME_BYTES || !is_letter_or_digit(name[0]))
        return false;
    for (size_t i = 1; i < len; i++) {
        if (!is_letter_or_digit(name[i]) && !strchr("._-", name[i]))
            return false;
    }
    return true;
}

bool container_id_valid(const char *id)
{
    return strnlen(id, CONTAINER_ID_BYTES) == CONTAINER_ID_BYTES - 1 &&
           strspn(id, "0123456789abcdef") == CONTAINER_ID_BYTES - 1;
}

int container_id_new(char id[CONTAINER_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[(CONTAINER_ID_BYTES - 1) / 2];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return errno ? -errno : -EIO;
    for (size_t i = 0; i < sizeof(random); i++) {
        id[2 * i] = digits[random[i] >> 4];
        id[2 * i + 1] = digits[random[i] & 15];
    }
    id[2 * sizeof(random)] = '\0';
    return 0;
}

int record_version(const json_t *document, const char *where, struct husk_error *err)
{
    uint64_t version;
    int ret = image_json_u64(document, "version", INT64_MAX, &version, where, err);

    if (ret)
        return ret;
    return version == RECORD_VERSION
               ? 0
               : error_set(err, ENOTSUP, where, "is of another version of husk",
                           "version %llu; this one reads %u", (unsigned long long)version,
                           RECORD_VERSION);
}

int record_flag(const json_t *document, const char *name, bool *out, const char *where,
                struct husk_error *err)
{
    const json_t *value = json_object_get(document, name);

    if (!json_is_boolean(value))
        return error_set(err, EINVAL, where, "is not a record of husk", "%s is not a boolean",
                         name);
    *out = json_is_true(value);
    return 0;
}

int record_choice(const json_t *document, const char *name, const char *const *words,
                  unsigned count, unsigned *out, const char *where, struct husk_error *err)
{
    const char *text = json_string_value(json_object_get(document, name));

    for (unsigned i = 0; text && i < count; i++) {
        if (!strcmp(text, words[i])) {
            *out = i;
            return 0;
        }
    }
    return error_set(err, EINVAL, where, "is not a record of husk", "%s is none of its words",
                     name);
}
