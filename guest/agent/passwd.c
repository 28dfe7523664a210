// SPDX-License-Identifier: Apache-2.0
/* Users by name: see passwd.h. No state. */
#include "guest/agent/passwd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PASSWD_FIELDS 7
#define GROUP_FIELDS  4

/* NAME or NUMBER. */
struct key {
    const char *text; /* NULL: by number only */
    bool is_number;
    uint32_t number;
};

/* False: no number, or one that is no id. */
static bool read_id(const char *text, uint32_t *out)
{
    uint64_t value = 0;

    if (!*text || strlen(text) > 10 || strspn(text, "0123456789") != strlen(text))
        return false;
    for (; *text; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    *out = (uint32_t)value;
    return value <= PASSWD_ID_MAX;
}

static int read_key(const char *text, struct key *out, struct husk_error *err)
{
    *out = (struct key){.text = text};
    out->is_number = read_id(text, &out->number);
    if (!out->is_number && strspn(text, "0123456789") == strlen(text))
        return error_set(err, ERANGE, "user", "is out of range", "%.40s is not in 0 to %d", text,
                         PASSWD_ID_MAX);
    return 0;
}

/* The next line, cut off; NULL at the end. */
static char *next_line(char **text)
{
    char *line = *text, *end;

    if (!*line)
        return NULL;
    end = strchr(line, '\n');
    *text = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

/* Fields that are missing are "", and there may be more. */
static void split(char *line, const char **fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *end = strchr(line, ':');

        fields[i] = line;
        if (end)
            *end = '\0';
        line = end ? end + 1 : line + strlen(line);
    }
}

static bool matches(const struct key *key, const char *name, uint32_t id)
{
    return key->is_number ? id == key->number : !strcmp(name, key->text);
}

/* passwd(5): name:password:UID:GID:comment:home:shell. Returns the name, NULL when there is none.
 */
static const char *find_user(const struct key *key, char *passwd, struct passwd_user *out)
{
    char *line;

    while ((line = next_line(&passwd))) {
        const char *fields[PASSWD_FIELDS];
        uint32_t uid, gid;

        split(line, fields, PASSWD_FIELDS);
        if (!fields[0][0] || !read_id(fields[2], &uid) || !read_id(fields[3], &gid) ||
            !matches(key, fields[0], uid))
            continue;
        out->uid = uid;
        out->gid = gid;
        if (fields[5][0] == '/' && strlen(fields[5]) < sizeof(out->home))
            snprintf(out->home, sizeof(out->home), "%s", fields[5]);
        return fields[0];
    }
    return NULL;
}

static bool lists(const char *members, const char *name)
{
    size_t len = strlen(name);

    while (*members) {
        size_t end = strcspn(members, ",");

        if (end == len && !strncmp(members, name, len))
            return true;
        members += end + (members[end] == ',');
    }
    return false;
}

static int add_group(struct passwd_user *out, gid_t gid, struct husk_error *err)
{
    bool known = gid == out->gid;

    for (size_t i = 0; i < out->group_count && !known; i++)
        known = out->groups[i] == gid;
    if (known)
        return 0;
    if (out->group_count == OCI_GROUPS_MAX)
        return error_set(err, E2BIG, "user", "is in too many groups", "more than %d",
                         OCI_GROUPS_MAX);
    out->groups[out->group_count++] = gid;
    return 0;
}

/* group(5): name:password:GID:members. The next line that is one; false at the end. */
static bool next_group(char **text, const char **name, uint32_t *gid, const char **members)
{
    char *line;

    while ((line = next_line(text))) {
        const char *fields[GROUP_FIELDS];

        split(line, fields, GROUP_FIELDS);
        if (!fields[0][0] || !read_id(fields[2], gid))
            continue;
        *name = fields[0];
        *members = fields[3];
        return true;
    }
    return false;
}

static int add_groups_of(const char *user, char *group, struct passwd_user *out,
                         struct husk_error *err)
{
    const char *name, *members;
    uint32_t gid;
    int ret = 0;

    while (!ret && next_group(&group, &name, &gid, &members)) {
        if (lists(members, user))
            ret = add_group(out, gid, err);
    }
    return ret;
}

static int set_group(const char *wanted, char *group, struct passwd_user *out,
                     struct husk_error *err)
{
    const char *name, *members;
    struct key key;
    uint32_t gid;
    int ret = read_key(wanted, &key, err);

    if (ret)
        return ret;
    while (next_group(&group, &name, &gid, &members)) {
        if (matches(&key, name, gid)) {
            out->gid = gid;
            return 0;
        }
    }
    if (!key.is_number)
        return error_set(err, ENOENT, "user", "there is no such group", "\"%.100s\" in /etc/group",
                         wanted);
    out->gid = key.number;
    return 0;
}

int passwd_find(const char *wanted, char *passwd, char *group, struct passwd_user *out,
                struct husk_error *err)
{
    struct key key = {.is_number = true, .number = out->uid};
    char text[PASSWD_USER_MAX + 1], *group_text;
    const char *name;
    int ret = 0;

    if (strlen(wanted) >= sizeof(text))
        return error_set(err, ENAMETOOLONG, "user", "is too long", "more than %d bytes",
                         PASSWD_USER_MAX);
    snprintf(text, sizeof(text), "%s", wanted);
    group_text = strchr(text, ':');
    if (group_text)
        *group_text++ = '\0';
    snprintf(out->home, sizeof(out->home), "/");
    out->group_count = 0;
    if (text[0])
        ret = read_key(text, &key, err);
    if (ret)
        return ret;
    name = find_user(&key, passwd, out);
    if (!name && !key.is_number)
        return error_set(err, ENOENT, "user", "there is no such user", "\"%.100s\" in /etc/passwd",
                         text);
    if (!name)
        out->uid = key.number;
    if (group_text && *group_text)
        return set_group(group_text, group, out, err);
    return name ? add_groups_of(name, group, out, err) : 0;
}
