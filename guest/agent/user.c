// SPDX-License-Identifier: Apache-2.0
/* Users and groups: see user.h. No state. */
#include "guest/agent/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/inroot.h"
#include "guest/agent/passwd.h"

/* A file of the image, which may be anything: one that is not there says nothing; one that would
 * block, or has no end, is not read. The result is the caller's. */
static int read_database(int root, const char *path, char **out, struct husk_error *err)
{
    int fd = inroot_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat info = {.st_size = 0};
    size_t size;
    int ret = 0;

    if (fd >= 0 && (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)))
        close_fd(&fd);
    if (fd < 0)
        info.st_size = 0;
    size = (size_t)info.st_size;
    if (info.st_size > PASSWD_FILE_MAX) {
        close_fd(&fd);
        return error_set(err, E2BIG, path, "is too long", "more than %u bytes", PASSWD_FILE_MAX);
    }
    *out = calloc(1, size + 1);
    if (!*out)
        ret = error_set(err, ENOMEM, path, "cannot be read", NULL);
    else if (fd >= 0 && size)
        ret = pread_full(fd, *out, size, 0);
    if (ret && *out) {
        free(*out);
        *out = NULL;
        ret = error_set(err, -ret, path, "cannot be read", NULL);
    }
    close_fd(&fd);
    return ret;
}

static int find(const char *wanted, struct passwd_user *user, struct husk_error *err)
{
    char *passwd = NULL, *group = NULL;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int ret = root < 0 ? error_set(err, errno, "user", "cannot be looked up", NULL) : 0;

    if (!ret)
        ret = read_database(root, "etc/passwd", &passwd, err);
    if (!ret)
        ret = read_database(root, "etc/group", &group, err);
    if (!ret)
        ret = passwd_find(wanted, passwd, group, user, err);
    free(passwd);
    free(group);
    close_fd(&root);
    return ret;
}

/* The primary group is an additional one as well, so that a set-group-id program does not take it
 * away; then the user's, then the config's. */
static int set_groups(const struct passwd_user *user, struct oci_process *process,
                      struct husk_error *err)
{
    size_t count = 1 + user->group_count + process->group_count;
    gid_t *groups = calloc(count, sizeof(*groups));

    if (!groups)
        return error_set(err, ENOMEM, "user", "cannot be looked up", NULL);
    groups[0] = user->gid;
    memcpy(groups + 1, user->groups, user->group_count * sizeof(*groups));
    if (process->group_count)
        memcpy(groups + 1 + user->group_count, process->groups,
               process->group_count * sizeof(*groups));
    process->groups = groups;
    process->group_count = count;
    return 0;
}

static int set_home(const char *home, struct oci_process *process, struct husk_error *err)
{
    const char **env;
    size_t count = 0;
    char *entry;

    for (; process->env[count]; count++) {
        if (!strncmp(process->env[count], "HOME=", 5))
            return 0;
    }
    env = calloc(count + 2, sizeof(*env));
    if (!env || asprintf(&entry, "HOME=%s", home) < 0) {
        free(env);
        return error_set(err, ENOMEM, "user", "cannot be looked up", NULL);
    }
    memcpy(env, process->env, count * sizeof(*env));
    env[count] = entry;
    process->env = env;
    return 0;
}

int user_resolve(const char *wanted, struct oci_process *process, struct husk_error *err)
{
    struct passwd_user user = {.uid = process->uid, .gid = process->gid};
    int ret = find(wanted, &user, err);

    if (!ret)
        ret = set_groups(&user, process, err);
    if (!ret)
        ret = set_home(user.home, process, err);
    process->uid = user.uid;
    process->gid = user.gid;
    return ret;
}

int user_become(const struct oci_process *process, const char *field, struct husk_error *err)
{
    char where[64];

    snprintf(where, sizeof(where), "%s.user", field);
    if (setgroups(process->group_count, process->groups) < 0)
        return error_set(err, errno, where, "additionalGids cannot be set", NULL);
    if (setresgid(process->gid, process->gid, process->gid) < 0)
        return error_set(err, errno, where, "gid cannot be set", NULL);
    if (setresuid(process->uid, process->uid, process->uid) < 0)
        return error_set(err, errno, where, "uid cannot be set", NULL);
    umask(process->umask_given ? process->umask : 022);
    return 0;
}
