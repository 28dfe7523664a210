// SPDX-License-Identifier: Apache-2.0
/*
 * Hostile /etc/passwd and /etc/group: the user, the two files, separated by NUL bytes. Whatever
 * they hold, a user that is found has ids within the range, a home that is a path, and no more
 * groups than there is room for; a plain number is always found.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next text of the input, in memory of its own size. */
static char *next_text(const uint8_t **data, size_t *size)
{
    size_t len = strnlen((const char *)*data, *size);
    char *text = calloc(1, len + 1);

    if (!text)
        abort();
    memcpy(text, *data, len);
    len += len < *size;
    *data += len;
    *size -= len;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct passwd_user user = {.uid = 1, .gid = 2};
    struct husk_error err = {.code = 0};
    char *wanted = next_text(&data, &size), *passwd = next_text(&data, &size);
    char *group = next_text(&data, &size);
    int ret = passwd_find(wanted, passwd, group, &user, &err);

    if (ret ? err.code != -ret || strcmp(err.where, "user") != 0
            : user.uid > PASSWD_ID_MAX || user.gid > PASSWD_ID_MAX || user.home[0] != '/' ||
                  user.group_count > OCI_GROUPS_MAX)
        abort();
    if (ret && wanted[0] && strlen(wanted) < 10 && strspn(wanted, "0123456789") == strlen(wanted) &&
        ret != -E2BIG)
        abort();
    free(wanted);
    free(passwd);
    free(group);
    return 0;
}
