// SPDX-License-Identifier: Apache-2.0
/* Control groups: see cgroup.h. No state. */
#include "guest/agent/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/files.h"

/* What a container may make in its own cgroup. */
#define DEPTH_MAX       "8"
#define DESCENDANTS_MAX "256"
#define PAUSE_NS        5000000
#define TREE_DEPTH      16 /* deeper than DEPTH_MAX allows */

/* Each by itself: one that the kernel cannot pass on does not keep back the others. */
static void pass_controllers_on(int dir)
{
    char text[512], word[80];
    char *rest = text, *name;

    if (file_read(dir, "cgroup.controllers", text, sizeof(text)))
        return;
    while ((name = strsep(&rest, " \n"))) {
        if (!*name)
            continue;
        snprintf(word, sizeof(word), "+%s", name);
        (void)file_write(dir, "cgroup.subtree_control", word);
    }
}

static int step_into(int *dir, const char *name, bool last)
{
    int next;

    pass_controllers_on(*dir);
    if (mkdirat(*dir, name, 0755) < 0 && (last || errno != EEXIST))
        return -errno;
    next = openat(*dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
        return -errno;
    if (!last) {
        close_fd(dir);
        *dir = next;
    } else {
        close(next);
    }
    return 0;
}

int cgroup_create(int top, const char *path, struct cgroup *out, struct husk_error *err)
{
    char copy[CGROUP_PATH_MAX];
    char *rest = copy, *name, *next = NULL;
    int dir, ret = 0;

    *out = (struct cgroup){.parent = -1, .dir = -1};
    if (strlen(path) >= sizeof(copy))
        return error_set(err, ENAMETOOLONG, "linux.cgroupsPath", "is too long", "%s", "");
    snprintf(copy, sizeof(copy), "%s", path);
    dir = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_set(err, errno, "linux.cgroupsPath", "cannot be made", NULL);
    do
        name = strsep(&rest, "/");
    while (name && !*name);
    while (name && !ret) {
        do
            next = strsep(&rest, "/");
        while (next && !*next);
        ret = step_into(&dir, name, !next);
        if (!next)
            break;
        name = next;
    }
    if (!ret && (!name || strlen(name) >= sizeof(out->name)))
        ret = -EINVAL;
    if (ret) {
        close(dir);
        return error_set(err, -ret, "linux.cgroupsPath", "cannot be made", NULL);
    }
    snprintf(out->name, sizeof(out->name), "%s", name);
    out->parent = dir;
    out->dir = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    (void)file_write(out->dir, "cgroup.max.depth", DEPTH_MAX);
    (void)file_write(out->dir, "cgroup.max.descendants", DESCENDANTS_MAX);
    return 0;
}

int cgroup_read(const struct cgroup *cgroup, const char *file, char *buf, size_t size)
{
    return file_read(cgroup->dir, file, buf, size);
}

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

/* One line of cgroup.events: 0, 1, or -errno. */
static int event_state(const struct cgroup *cgroup, const char *word)
{
    char text[256];
    const char *at;
    int ret = cgroup_read(cgroup, "cgroup.events", text, sizeof(text));

    if (ret)
        return ret;
    at = strstr(text, word);
    return at && at[strlen(word)] == ' ' ? at[strlen(word) + 1] == '1' : -EINVAL;
}

static int wait_for(const struct cgroup *cgroup, const char *word, int wanted)
{
    uint64_t end = monotonic_ns() + CGROUP_PATIENCE_MS * 1000000ull;
    int state;

    while ((state = event_state(cgroup, word)) != wanted) {
        if (state < 0)
            return state;
        if (monotonic_ns() > end)
            return -ETIMEDOUT;
        pause_shortly();
    }
    return 0;
}

int cgroup_freeze(const struct cgroup *cgroup, bool frozen)
{
    int ret = file_write(cgroup->dir, "cgroup.freeze", frozen ? "1" : "0");

    if (!ret)
        ret = wait_for(cgroup, "frozen", frozen);
    if (ret && frozen)
        (void)file_write(cgroup->dir, "cgroup.freeze", "0");
    return ret;
}

typedef void (*visit_fn)(int parent, const char *name, int dir, void *arg);

/* Each cgroup of the tree below `dir`, the deepest first. */
static void walk(int dir, unsigned depth, visit_fn visit, void *arg)
{
    int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = own < 0 ? NULL : fdopendir(own);
    struct dirent *entry;

    if (!list) {
        close_fd(&own);
        return;
    }
    while ((entry = readdir(list))) {
        int child;

        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        child = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0)
            continue;
        if (depth < TREE_DEPTH)
            walk(child, depth + 1, visit, arg);
        visit(dir, entry->d_name, child, arg);
        close(child);
    }
    closedir(list);
}

/* Whom to call for each process. */
struct members {
    cgroup_member_fn fn;
    void *arg;
};

static void each_member(int dir, const struct members *members)
{
    FILE *file;
    int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    int pid;

    file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file) {
        close_fd(&fd);
        return;
    }
    while (fscanf(file, "%d", &pid) == 1) { // NOLINT(cert-err34-c): the kernel's own numbers
        if (pid > 1)
            members->fn(pid, members->arg);
    }
    fclose(file);
}

static void visit_members(int parent, const char *name, int dir, void *arg)
{
    each_member(dir, arg);
}

void cgroup_members(const struct cgroup *cgroup, cgroup_member_fn fn, void *arg)
{
    struct members members = {.fn = fn, .arg = arg};

    walk(cgroup->dir, 0, visit_members, &members);
    each_member(cgroup->dir, &members);
}

static void send_signal(pid_t pid, void *arg)
{
    kill(pid, *(const int *)arg);
}

int cgroup_signal(const struct cgroup *cgroup, int signal)
{
    if (signal == SIGKILL)
        return file_write(cgroup->dir, "cgroup.kill", "1");
    cgroup_members(cgroup, send_signal, &signal);
    return 0;
}

static void visit_remove(int parent, const char *name, int dir, void *arg)
{
    unlinkat(parent, name, AT_REMOVEDIR);
}

int cgroup_try_remove(struct cgroup *cgroup)
{
    if (!cgroup || cgroup->dir < 0)
        return 0;
    (void)file_write(cgroup->dir, "cgroup.kill", "1");
    (void)file_write(cgroup->dir, "cgroup.freeze", "0");
    walk(cgroup->dir, 0, visit_remove, NULL);
    if (unlinkat(cgroup->parent, cgroup->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return -errno;
    close_fd(&cgroup->dir);
    close_fd(&cgroup->parent);
    return 0;
}

int cgroup_remove(struct cgroup *cgroup)
{
    uint64_t end = monotonic_ns() + CGROUP_PATIENCE_MS * 1000000ull;
    int ret;

    while ((ret = cgroup_try_remove(cgroup)) == -EBUSY && monotonic_ns() < end)
        pause_shortly();
    return ret;
}

void cgroup_remove_parents(int top, const char *path, cgroup_used_fn is_used, void *arg)
{
    char way[CGROUP_PATH_MAX] = ".";
    struct stat info;
    char *slash;

    if (strlen(path) + 2 >= sizeof(way))
        return;
    snprintf(way, sizeof(way), "./%s", path);
    while ((slash = strrchr(way, '/')) && slash != way + 1) {
        *slash = '\0';
        /* One that was never made is no reason to keep those above it. */
        if (fstatat(top, way, &info, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (is_used(&info, arg) || (unlinkat(top, way, AT_REMOVEDIR) < 0 && errno != ENOENT))
            return;
    }
}

uint64_t cgroup_oom_kills(const struct cgroup *cgroup)
{
    char text[512];
    const char *at;

    if (cgroup->dir < 0 || cgroup_read(cgroup, "memory.events", text, sizeof(text)))
        return 0;
    at = strstr(text, "oom_kill ");
    return at ? strtoull(at + 9, NULL, 10) : 0;
}
