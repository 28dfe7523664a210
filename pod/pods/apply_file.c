// SPDX-License-Identifier: Apache-2.0
/* The file of the request "apply": see pods.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "pod/pods/pods.h"
#include "pod/store/files.h"

#define PREFIX "apply-"
#define DIGITS 16u

bool pod_apply_name_valid(const char *name)
{
    return !strncmp(name, PREFIX, strlen(PREFIX)) && strlen(name) == strlen(PREFIX) + DIGITS &&
           strspn(name + strlen(PREFIX), "0123456789abcdef") == DIGITS;
}

int pod_apply_prepare(const struct entry *pod, const struct pod_record *record,
                      char name[POD_APPLY_BYTES], struct husk_error *err)
{
    json_t *json = pod_record_encode(record);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    uint64_t random;
    int ret = text ? 0 : -ENOMEM;

    json_decref(json);
    if (ret == 0 && strlen(text) > POD_RECORD_MAX)
        ret = -EFBIG;
    if (ret == 0 && getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        ret = -errno;
    if (ret == 0) {
        snprintf(name, POD_APPLY_BYTES, PREFIX "%016llx", (unsigned long long)random);
        ret = files_write(pod->dir, name, text, strlen(text));
    }
    free(text);
    return ret ? entry_error(pod, -ret, NULL, "has no room for what is to be applied", err) : 0;
}

void pod_apply_drop(const struct entry *pod, const char *name)
{
    (void)unlinkat(pod->dir, name, 0);
}
