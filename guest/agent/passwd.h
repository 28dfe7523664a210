// SPDX-License-Identifier: Apache-2.0
/*
 * Users by name, as an image's /etc/passwd and /etc/group know them (passwd(5), group(5)); with the
 * rules that docker has for `--user NAME|UID[:GROUP|GID]`:
 *
 *   - a number is an id, whatever the names are, and needs no entry; a name needs one;
 *   - the first entry wins; the user's gives group and home;
 *   - GROUP overrides the group, and then there are no additional groups; otherwise the additional
 *     groups are those that list the user's name.
 *
 * Lines that are malformed are passed over. The texts are hostile.
 */
#ifndef HUSK_GUEST_AGENT_PASSWD_H
#define HUSK_GUEST_AGENT_PASSWD_H

#include <sys/types.h>

#include "base/error.h"
#include "guest/agent/oci.h"

#define PASSWD_FILE_MAX (4u << 20)
#define PASSWD_ID_MAX   INT32_MAX
#define PASSWD_USER_MAX 256 /* bytes of NAME:GROUP */

struct passwd_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[OCI_GROUPS_MAX]; /* additional ones; without gid */
    size_t group_count;
    char home[OCI_PATH_MAX + 1]; /* "/" when the files say nothing */
};

/*
 * Look `wanted` up. *out holds the ids that are taken where it does not say: in "" and ":GROUP" the
 * user is that uid. The two texts are files as they are, NUL-terminated, and are cut to pieces;
 * "" where there is none. -ENOENT: no such name; -ERANGE: a number above PASSWD_ID_MAX; -E2BIG: too
 * many groups; `where` in err is "user".
 */
int passwd_find(const char *wanted, char *passwd, char *group, struct passwd_user *out,
                struct husk_error *err);

#endif
