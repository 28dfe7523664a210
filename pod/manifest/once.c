// SPDX-License-Identifier: Apache-2.0
#include "pod/manifest/once.h"

#include <errno.h>

int once_add(json_t *set, const char *text)
{
    if (json_object_get(set, text))
        return -EEXIST;
    return json_object_set_new(set, text, json_true()) ? -ENOMEM : 0;
}
