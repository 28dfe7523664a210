// SPDX-License-Identifier: Apache-2.0
/* Members of requests: see params.h. */
#include "pod/control/params.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

int params_integer(const json_t *params, const char *name, int64_t min, int64_t max, int64_t *out,
                   struct husk_error *err)
{
    const json_t *value = json_object_get(params, name);

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max)
        return error_set(err, EINVAL, name, "is wrong", "an integer from %lld to %lld",
                         (long long)min, (long long)max);
    *out = json_integer_value(value);
    return 0;
}

int params_flag(const json_t *params, const char *name, bool *out, struct husk_error *err)
{
    const json_t *value = json_object_get(params, name);

    if (!value)
        return 0;
    if (!json_is_boolean(value))
        return error_set(err, EINVAL, name, "is wrong", "true or false");
    *out = json_is_true(value);
    return 0;
}

int params_text(const json_t *params, const char *name, const char **out, struct husk_error *err)
{
    const json_t *value = json_object_get(params, name);

    if (!value)
        return 0;
    if (!json_is_string(value))
        return error_set(err, EINVAL, name, "is wrong", "a text");
    *out = json_string_value(value);
    return 0;
}

int params_only(const json_t *params, const char *method, const char *const *known, unsigned max,
                struct husk_error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)params, key, value)
    {
        bool found = false;

        for (unsigned i = 0; i < max && known[i] && !found; i++)
            found = !strcmp(known[i], key);
        if (!found)
            return error_set(err, EINVAL, key, "is no member of this request", "%s", method);
    }
    return 0;
}
