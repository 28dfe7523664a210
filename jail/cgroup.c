// SPDX-License-Identifier: Apache-2.0
/*
 * Control groups, version 2: see cgroup.h. Runs on its caller's thread; owns the descriptors of the
 * hierarchy's root and of the cgroup. Every path is walked from the root's descriptor, one
 * component at a time, and follows no link.
 *
 * Spec: Documentation/admin-guide/cgroup-v2.rst. A controller is available in a cgroup when each
 * of its ancestors lists it in cgroup.subtree_control ("top-down constraint"); a cgroup other than
 * the root that lists one cannot hold processes itself ("no internal process constraint").
 */
#include "jail/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "jail/path.h"

#define DEPTH_MAX        16u
#define CONTROLLER_BYTES 32u
#define REMOVE_WAIT_MS   1000u

struct cgroup {
    int root_fd;
    int fd; /* -1 until it is made or opened */
    bool made;
    unsigned parent_count;
    unsigned first_made_parent; /* parents from here on were missing; parent_count: none was */
    char *parents[DEPTH_MAX];   /* path of each from the root, the longest last */
    char *below_root;           /* path of the cgroup from the root */
    char *root;
    char *path;
};

static bool is_component(const char *name)
{
    return name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/') &&
           !strchr(name, '\n') && strlen(name) <= 255;
}

static bool is_cgroup2(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static const char *find_root(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        if (is_cgroup2(places[i]))
            return places[i];
    }
    return NULL;
}

/* Fills parents[] from "a/b/c": "a", "a/b", "a/b/c". */
static int split_parent(struct cgroup *cgroup, const char *parent, struct husk_error *err)
{
    const char *at = parent;

    while (*at) {
        size_t len = strcspn(at, "/");
        char *prefix = strndup(parent, (size_t)(at - parent) + len);

        if (!prefix)
            return error_set(err, ENOMEM, parent, "cannot name the cgroup", NULL);
        if (!is_component(prefix + (at - parent)) || (at[len] == '/' && !at[len + 1]) ||
            cgroup->parent_count == DEPTH_MAX) {
            free(prefix);
            return error_set(err, EINVAL, parent, "not a cgroup's parent",
                             "wants at most %u names with a slash between them, no . or ..",
                             DEPTH_MAX);
        }
        cgroup->parents[cgroup->parent_count++] = prefix;
        at += len + (at[len] == '/');
    }
    cgroup->first_made_parent = cgroup->parent_count;
    return 0;
}

static int name_cgroup(struct cgroup *cgroup, const char *parent, const char *name,
                       struct husk_error *err)
{
    int ret = split_parent(cgroup, parent, err);

    if (ret)
        return ret;
    if (!is_component(name))
        return error_set(err, EINVAL, name, "not a cgroup's name", "wants one name, no path");
    if (asprintf(&cgroup->below_root, "%s%s%s", parent, parent[0] ? "/" : "", name) < 0)
        cgroup->below_root = NULL;
    if (cgroup->below_root &&
        asprintf(&cgroup->path, "%s/%s", cgroup->root, cgroup->below_root) < 0)
        cgroup->path = NULL;
    if (!cgroup->path || strlen(cgroup->path) >= PATH_BYTES_MAX)
        return error_set(err, cgroup->path ? ENAMETOOLONG : ENOMEM, name, "cannot name the cgroup",
                         NULL);
    return 0;
}

int cgroup_new(const char *root, const char *parent, const char *name, struct cgroup **out,
               struct husk_error *err)
{
    struct cgroup *cgroup;
    int ret;

    if (!root)
        root = find_root();
    if (!root)
        return error_set(err, ENOTSUP, "/sys/fs/cgroup", "no cgroup version 2 here",
                         "mount it (systemd.unified_cgroup_hierarchy=1), or set no limits");
    cgroup = calloc(1, sizeof(*cgroup));
    if (!cgroup)
        return error_set(err, ENOMEM, name, "cannot name the cgroup", NULL);
    cgroup->fd = -1;
    cgroup->root_fd = path_open_directory(root);
    cgroup->root = strdup(root);
    ret = cgroup->root_fd;
    if (ret < 0 || !cgroup->root)
        ret =
            error_set(err, ret < 0 ? -ret : ENOMEM, root, "cannot open the cgroup hierarchy", NULL);
    else
        ret = name_cgroup(cgroup, parent, name, err);
    if (ret) {
        cgroup_free(cgroup);
        return ret;
    }
    *out = cgroup;
    return 0;
}

void cgroup_free(struct cgroup *cgroup)
{
    if (!cgroup)
        return;
    for (unsigned i = 0; i < cgroup->parent_count; i++)
        free(cgroup->parents[i]);
    close_fd(&cgroup->root_fd);
    close_fd(&cgroup->fd);
    free(cgroup->below_root);
    free(cgroup->root);
    free(cgroup->path);
    free(cgroup);
}

const char *cgroup_path(const struct cgroup *cgroup)
{
    return cgroup->path;
}

int cgroup_fd(const struct cgroup *cgroup)
{
    return cgroup->fd;
}

/* An error about `file` of the cgroup at `below_root`; "" for the cgroup itself. */
static int fail(const struct cgroup *cgroup, const char *below_root, const char *file, int code,
                const char *what, const char *why, struct husk_error *err)
{
    char where[PATH_BYTES_MAX];

    snprintf(where, sizeof(where), "%s%s%s%s%s", cgroup->root, below_root[0] ? "/" : "", below_root,
             file[0] ? "/" : "", file);
    return error_set(err, code, where, what, why ? "%s" : NULL, why);
}

/* The directory of a parent, or of the root for ""; the caller's. */
static int open_group(const struct cgroup *cgroup, const char *below_root)
{
    return path_open_below(cgroup->root_fd, below_root[0] ? below_root : ".",
                           O_RDONLY | O_DIRECTORY, 0);
}

static void remove_made_parents(struct cgroup *cgroup)
{
    for (unsigned i = cgroup->parent_count; i > cgroup->first_made_parent; i--) {
        if (unlinkat(cgroup->root_fd, cgroup->parents[i - 1], AT_REMOVEDIR) < 0)
            break; /* others have come to use it */
    }
    cgroup->first_made_parent = cgroup->parent_count;
}

/* mkdir at the end of a path of which every part but the last is known to be no link. */
static int make_group(const struct cgroup *cgroup, const char *below_root)
{
    const char *slash = strrchr(below_root, '/');
    char directory[PATH_BYTES_MAX];
    int fd, ret;

    snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - below_root) : 0,
             below_root);
    fd = open_group(cgroup, directory);
    if (fd < 0)
        return fd;
    ret = mkdirat(fd, slash ? slash + 1 : below_root, 0755) < 0 ? -errno : 0;
    close_fd(&fd);
    return ret;
}

static int make_path(struct cgroup *cgroup, const char **failed)
{
    int ret;

    for (unsigned i = 0; i < cgroup->parent_count; i++) {
        *failed = cgroup->parents[i];
        ret = make_group(cgroup, cgroup->parents[i]);
        if (ret && ret != -EEXIST)
            return ret;
        if (!ret && cgroup->first_made_parent > i)
            cgroup->first_made_parent = i;
    }
    *failed = cgroup->below_root;
    ret = make_group(cgroup, cgroup->below_root);
    cgroup->made = !ret;
    return ret;
}

int cgroup_make(struct cgroup *cgroup, struct husk_error *err)
{
    const char *failed = "";
    int ret;

    /* Somebody else may be removing a parent that was empty: then it is made once more. */
    for (unsigned attempt = 0; attempt < 8; attempt++) {
        ret = make_path(cgroup, &failed);
        if (ret != -ENOENT && ret != -ENODEV)
            break;
    }
    if (!ret) {
        cgroup->fd = open_group(cgroup, cgroup->below_root);
        ret = cgroup->fd < 0 ? cgroup->fd : 0;
    }
    if (!ret)
        return 0;
    if (cgroup->made)
        unlinkat(cgroup->root_fd, cgroup->below_root, AT_REMOVEDIR);
    cgroup->made = false;
    remove_made_parents(cgroup);
    return fail(cgroup, failed, "", -ret, "cannot make the cgroup",
                ret == -EEXIST ? "there is one of this name already" : NULL, err);
}

int cgroup_open(struct cgroup *cgroup, struct husk_error *err)
{
    cgroup->fd = open_group(cgroup, cgroup->below_root);
    if (cgroup->fd < 0)
        return fail(cgroup, cgroup->below_root, "", -cgroup->fd, "cannot open the cgroup", NULL,
                    err);
    return 0;
}

/* A whole small file into text, NUL-terminated. */
static int read_file(int dir_fd, const char *file, char *text, size_t size)
{
    int fd = path_open_below(dir_fd, file, O_RDONLY, 0);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = read(fd, text, size - 1);
    close_fd(&fd);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return 0;
}

/* One write: the kernel takes a value whole or not at all. */
static int write_file(int dir_fd, const char *file, const char *text)
{
    size_t len = strlen(text);
    int fd = path_open_below(dir_fd, file, O_WRONLY, 0);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = write(fd, text, len);
    close_fd(&fd);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EIO;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    while (*text) {
        size_t span = strcspn(text, " \n");

        if (span == len && !memcmp(text, word, len))
            return true;
        text += span + (text[span] != '\0');
    }
    return false;
}

/* Have `controller` in the subtree_control of one ancestor. */
static int enable_in(const struct cgroup *cgroup, const char *below_root, const char *controller,
                     struct husk_error *err)
{
    static const char file[] = "cgroup.subtree_control";
    char text[512], what[CONTROLLER_BYTES + 40];
    const char *why = NULL;
    int fd = open_group(cgroup, below_root), ret;

    snprintf(what, sizeof(what), "cannot enable the controller %s", controller);
    if (fd < 0)
        return fail(cgroup, below_root, "", -fd, what, NULL, err);
    ret = read_file(fd, file, text, sizeof(text));
    if (!ret && !has_word(text, controller)) {
        ret = read_file(fd, "cgroup.controllers", text, sizeof(text));
        if (!ret && !has_word(text, controller)) {
            ret = -ENODEV;
            why = "it is not among its cgroup.controllers: the kernel lacks it, or cgroup version "
                  "1 has it";
        } else if (!ret) {
            snprintf(text, sizeof(text), "+%s", controller);
            ret = write_file(fd, file, text);
        }
    }
    close_fd(&fd);
    if (ret == -EBUSY)
        why = "it has processes of its own, and then no controller for those below it";
    return ret ? fail(cgroup, below_root, file, -ret, what, why, err) : 0;
}

static int enable_controller(const struct cgroup *cgroup, const char *controller,
                             struct husk_error *err)
{
    int ret = enable_in(cgroup, "", controller, err);

    for (unsigned i = 0; !ret && i < cgroup->parent_count; i++)
        ret = enable_in(cgroup, cgroup->parents[i], controller, err);
    return ret;
}

/* "memory.max" → "memory". */
static int controller_of(const char *file, char controller[CONTROLLER_BYTES])
{
    size_t len = strcspn(file, ".");

    if (!len || len >= CONTROLLER_BYTES || !file[len] || !file[len + 1] ||
        file[strspn(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
        return -EINVAL;
    memcpy(controller, file, len);
    controller[len] = '\0';
    return 0;
}

int cgroup_set(struct cgroup *cgroup, const char *file, const char *value, struct husk_error *err)
{
    char controller[CONTROLLER_BYTES];
    int ret = controller_of(file, controller);

    if (ret)
        return error_set(err, EINVAL, file, "not a cgroup's file", "wants CONTROLLER.NAME");
    if (strcmp(controller, "cgroup") != 0) {
        ret = enable_controller(cgroup, controller, err);
        if (ret)
            return ret;
    }
    ret = write_file(cgroup->fd, file, value);
    return ret ? fail(cgroup, cgroup->below_root, file, -ret, "cannot set the limit",
                      ret == -EINVAL ? "the kernel does not take this value" : NULL, err)
               : 0;
}

int cgroup_attach(struct cgroup *cgroup, pid_t pid, struct husk_error *err)
{
    char text[32];
    int ret;

    snprintf(text, sizeof(text), "%d", (int)pid);
    ret = write_file(cgroup->fd, "cgroup.procs", text);
    return ret ? fail(cgroup, cgroup->below_root, "cgroup.procs", -ret,
                      "cannot move the process into the cgroup",
                      ret == -EBUSY ? "its controllers are for cgroups below it" : NULL, err)
               : 0;
}

int cgroup_leave(struct cgroup *cgroup, struct husk_error *err)
{
    int ret = write_file(cgroup->root_fd, "cgroup.procs", "0");

    return ret ? fail(cgroup, "", "cgroup.procs", -ret, "cannot leave the cgroup", NULL, err) : 0;
}

int cgroup_kill(struct cgroup *cgroup, struct husk_error *err)
{
    int ret = write_file(cgroup->fd, "cgroup.kill", "1");

    if (ret == -ENOENT)
        ret = -EOPNOTSUPP;
    return ret ? fail(cgroup, cgroup->below_root, "cgroup.kill", -ret,
                      "cannot end the cgroup's processes", NULL, err)
               : 0;
}

/* What was killed is gone a moment later. */
static int remove_when_empty(const struct cgroup *cgroup)
{
    for (unsigned waited_ms = 0, step_ms = 1;; waited_ms += step_ms, step_ms *= 2) {
        struct timespec pause = {.tv_nsec = (long)step_ms * 1000000};

        if (unlinkat(cgroup->root_fd, cgroup->below_root, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY || waited_ms >= REMOVE_WAIT_MS)
            return -errno;
        nanosleep(&pause, NULL);
    }
}

int cgroup_remove(struct cgroup *cgroup, struct husk_error *err)
{
    int ret;

    if (!cgroup->made)
        return 0;
    cgroup_kill(cgroup, NULL);
    ret = remove_when_empty(cgroup);
    if (ret)
        return fail(cgroup, cgroup->below_root, "", -ret, "cannot remove the cgroup", NULL, err);
    cgroup->made = false;
    close_fd(&cgroup->fd);
    remove_made_parents(cgroup);
    return 0;
}
