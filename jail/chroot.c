// SPDX-License-Identifier: Apache-2.0
/*
 * A process's root directory, built and entered: see chroot.h. Owns descriptors of the directories
 * that it made and of the one above. Runs on its caller's thread, which has no siblings once it
 * enters (mount namespaces belong to threads).
 *
 * Invariant: every directory that is written to is either checked to be root's alone or was made by
 * us in such a one, and is held by descriptor since.
 */
#include "jail/chroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "jail/path.h"

#define LEVELS_MAX        24u /* directories on the way that may be missing */
#define PROGRAM_BYTES_MAX (1ull << 30)

/* A directory on the way that was missing. */
struct level {
    int parent_fd;
    int slot;
    char name[NAME_MAX + 1];
};

struct chroot {
    uid_t uid;
    gid_t gid;
    struct registry *registry; /* not ours */
    char path[PATH_BYTES_MAX]; /* of what was reached so far; of the root in the end */
    int above_fd; /* BASE/PROGRAM; while that is looked for, the last directory found */
    int id_fd;    /* BASE/PROGRAM/ID; -1: not made */
    int root_fd;
    int slot; /* of the ID directory in the registry, -1: none */
    char id[NAME_MAX + 1];
    unsigned level_count;
    struct level levels[LEVELS_MAX];
};

static int fail(const struct chroot *chroot, const char *name, int ret, const char *what,
                const char *why, struct husk_error *err)
{
    char where[PATH_BYTES_MAX + NAME_MAX + 2];

    snprintf(where, sizeof(where), "%s%s%s", chroot->path, name[0] ? "/" : "", name);
    if (!why && ret == -ELOOP)
        why = "it is a symbolic link, which nothing on the way to a jail may be";
    return error_set(err, -ret, where, what, why ? "%s" : NULL, why);
}

static int append_path(struct chroot *chroot, const char *name)
{
    size_t len = strlen(chroot->path);

    if (len + 1 + strlen(name) >= sizeof(chroot->path))
        return -ENAMETOOLONG;
    snprintf(chroot->path + len, sizeof(chroot->path) - len, "/%s", name);
    return 0;
}

/* Whether nobody but root can put something else in place of what is in it. */
static int check_directory(int fd, const char **why)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != 0) {
        *why = "it does not belong to root: whoever owns it could change the jail while it is made";
        return -EPERM;
    }
    if (!(st.st_mode & S_ISVTX) &&
        ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != 0))) {
        *why = "others than root may write it: they could change the jail while it is made";
        return -EPERM;
    }
    return 0;
}

/* A directory that is not there yet, in one that is root's alone. Returns its descriptor. */
static int make_directory(int parent_fd, const char *name, mode_t mode)
{
    struct stat st;
    int fd;

    if (mkdirat(parent_fd, name, 0700) < 0)
        return -errno;
    fd = path_open_below(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != 0 || fchmod(fd, mode) < 0)) {
        close_fd(&fd);
        fd = -EPERM;
    }
    if (fd < 0)
        unlinkat(parent_fd, name, AT_REMOVEDIR);
    return fd;
}

/* A part of the way that is missing: made, registered, and remembered so that it can be undone. */
static int make_level(struct chroot *chroot, const char *name, struct husk_error *err)
{
    struct level *level = &chroot->levels[chroot->level_count];
    char path[PATH_BYTES_MAX + NAME_MAX + 2];
    int fd;

    if (chroot->level_count == LEVELS_MAX)
        return error_set(err, ENAMETOOLONG, chroot->path, "cannot make the jail",
                         "more than %u directories are missing", LEVELS_MAX);
    snprintf(path, sizeof(path), "%s/%s", chroot->path, name);
    level->slot = registry_record(chroot->registry, REGISTRY_DIRECTORY, path, err);
    if (level->slot < 0)
        return level->slot;
    snprintf(level->name, sizeof(level->name), "%s", name);
    fd = make_directory(chroot->above_fd, name, 0755);
    if (fd < 0) {
        registry_forget(chroot->registry, level->slot);
        /* Somebody else may be on the same way. */
        return fd == -EEXIST ? fd : fail(chroot, name, fd, "cannot make the directory", NULL, err);
    }
    level->parent_fd = chroot->above_fd;
    chroot->above_fd = fd;
    chroot->level_count++;
    return registry_made(chroot->registry, level->slot, fd, err);
}

/* One step down the way, which above_fd follows. */
static int descend(struct chroot *chroot, const char *name, struct husk_error *err)
{
    const char *why = NULL;
    int fd = path_open_below(chroot->above_fd, name, O_RDONLY | O_DIRECTORY, 0), ret;

    if (fd == -ENOENT) {
        ret = make_level(chroot, name, err);
        if (ret && ret != -EEXIST)
            return ret;
        if (!ret)
            return append_path(chroot, name);
        fd = path_open_below(chroot->above_fd, name, O_RDONLY | O_DIRECTORY, 0);
    }
    if (fd < 0)
        return fail(chroot, name, fd, "cannot open the directory", NULL, err);
    ret = check_directory(fd, &why);
    if (ret) {
        close_fd(&fd);
        return fail(chroot, name, ret, "not a place for jails", why, err);
    }
    close_fd(&chroot->above_fd);
    chroot->above_fd = fd;
    return append_path(chroot, name);
}

static int descend_to(struct chroot *chroot, const char *path, struct husk_error *err)
{
    char name[NAME_MAX + 1];
    int ret = 0;

    while (!ret && *path) {
        size_t len = strcspn(path, "/");

        if (len >= sizeof(name))
            return fail(chroot, "", -ENAMETOOLONG, "cannot open the directory", NULL, err);
        memcpy(name, path, len);
        name[len] = '\0';
        path += len + (path[len] == '/');
        if (!strcmp(name, ".."))
            return fail(chroot, name, -EINVAL, "not a place for jails", "give it without ..", err);
        if (len && strcmp(name, ".") != 0)
            ret = descend(chroot, name, err);
    }
    return ret;
}

static int make_id_directory(struct chroot *chroot, struct husk_error *err)
{
    char path[PATH_BYTES_MAX + NAME_MAX + 2];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", chroot->path, chroot->id);
    /* What exists is not ours: it must not be registered even for a moment. */
    if (faccessat(chroot->above_fd, chroot->id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return fail(chroot, chroot->id, -EEXIST, "the jail exists already",
                    "the id is in use, or a former user of it was not cleaned up", err);
    chroot->slot = registry_record(chroot->registry, REGISTRY_TREE, path, err);
    if (chroot->slot < 0)
        return chroot->slot;
    fd = make_directory(chroot->above_fd, chroot->id, 0755);
    if (fd < 0) {
        registry_forget(chroot->registry, chroot->slot);
        chroot->slot = -1;
        if (fd == -EEXIST)
            return fail(chroot, chroot->id, fd, "the jail exists already",
                        "somebody else has just made one with this id", err);
        return fail(chroot, chroot->id, fd, "cannot make the jail", NULL, err);
    }
    chroot->id_fd = fd;
    return registry_made(chroot->registry, chroot->slot, fd, err);
}

/* The directory of "dev/NAME" inside, without following a link, and NAME. */
static int open_inside(const struct chroot *chroot, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char directory[NAME_MAX + 1];

    snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    *name = slash ? slash + 1 : path;
    return path_open_below(chroot->root_fd, directory, O_RDONLY | O_DIRECTORY, 0);
}

/* What the program finds inside. */
static int make_inside(struct chroot *chroot, struct husk_error *err)
{
    static const char *const names[] = {"dev", "dev/net", "run"};
    int ret;

    ret = append_path(chroot, chroot->id);
    if (!ret)
        ret = append_path(chroot, "root");
    if (ret)
        return fail(chroot, "", ret, "cannot make the jail", NULL, err);
    chroot->root_fd = make_directory(chroot->id_fd, "root", 0700);
    if (chroot->root_fd < 0)
        return fail(chroot, "", chroot->root_fd, "cannot make the jail", NULL, err);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        const char *name;
        int fd = open_inside(chroot, names[i], &name);

        ret = fd < 0 ? fd : mkdirat(fd, name, 0700) < 0 ? -errno : 0;
        close_fd(&fd);
        if (ret)
            return fail(chroot, names[i], ret, "cannot make the directory", NULL, err);
    }
    return 0;
}

static int build(struct chroot *chroot, const char *base, const char *program,
                 struct husk_error *err)
{
    int ret;

    close_fd(&chroot->above_fd);
    chroot->path[0] = '\0';
    chroot->above_fd = path_open_directory("/");
    if (chroot->above_fd < 0)
        return error_set(err, -chroot->above_fd, "/", "cannot open the directory", NULL);
    ret = descend_to(chroot, base, err);
    if (!ret)
        ret = descend(chroot, program, err);
    if (!ret)
        ret = make_id_directory(chroot, err);
    return ret ? ret : make_inside(chroot, err);
}

int chroot_create(const char *base, const char *program, const char *id, uid_t uid, gid_t gid,
                  struct registry *registry, struct chroot **out, struct husk_error *err)
{
    struct chroot *chroot;
    int ret;

    if (base[0] != '/')
        return error_set(err, EINVAL, base, "not a place for jails", "wants an absolute path");
    if (strlen(program) > NAME_MAX || strlen(id) > NAME_MAX)
        return error_set(err, ENAMETOOLONG, program, "cannot make the jail", NULL);
    chroot = calloc(1, sizeof(*chroot));
    if (!chroot)
        return error_set(err, ENOMEM, base, "cannot make the jail", NULL);
    chroot->uid = uid;
    chroot->gid = gid;
    chroot->registry = registry;
    chroot->above_fd = chroot->id_fd = chroot->root_fd = chroot->slot = -1;
    snprintf(chroot->id, sizeof(chroot->id), "%s", id);
    /* Somebody else's undoing may remove a directory that both were about to use. */
    for (unsigned attempt = 0; attempt < 4; attempt++) {
        ret = build(chroot, base, program, err);
        if (ret)
            chroot_remove(chroot, NULL);
        if (ret != -ENOENT)
            break;
    }
    if (ret) {
        chroot_free(chroot);
        return ret;
    }
    *out = chroot;
    return 0;
}

const char *chroot_path(const struct chroot *chroot)
{
    return chroot->path;
}

static int give_device(const struct chroot *chroot, int dir_fd, const char *name, dev_t device)
{
    int fd = path_open_below(dir_fd, name, O_PATH, 0), ret;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != device)
        ret = -ESTALE;
    else
        ret = fchownat(fd, "", chroot->uid, chroot->gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
    close_fd(&fd);
    return ret;
}

int chroot_add_device(struct chroot *chroot, const char *path, dev_t device, struct husk_error *err)
{
    static const char what[] = "cannot make the device node";
    struct statvfs fs;
    const char *name;
    int dir_fd, ret;

    if (fstatvfs(chroot->root_fd, &fs) == 0 && (fs.f_flag & ST_NODEV))
        return fail(chroot, path, -EACCES, what,
                    "its file system is mounted nodev: it would not work", err);
    dir_fd = open_inside(chroot, path, &name);
    if (dir_fd < 0)
        return fail(chroot, path, dir_fd, what, NULL, err);
    ret = mknodat(dir_fd, name, S_IFCHR | 0600, device) < 0 ? -errno : 0;
    if (!ret)
        ret = give_device(chroot, dir_fd, name, device);
    close_fd(&dir_fd);
    return ret ? fail(chroot, path, ret, what, NULL, err) : 0;
}

static int copy_bytes(int from, int to)
{
    uint64_t copied = 0;
    ssize_t n;

    do {
        n = sendfile(to, from, NULL, 1 << 20);
        if (n > 0)
            copied += (uint64_t)n;
    } while (copied <= PROGRAM_BYTES_MAX && (n > 0 || (n < 0 && errno == EINTR)));
    return n < 0 ? -errno : copied > PROGRAM_BYTES_MAX ? -EFBIG : 0;
}

int chroot_add_program(struct chroot *chroot, const char *name, int source_fd,
                       struct husk_error *err)
{
    static const char what[] = "cannot copy the program into the jail";
    struct statvfs fs;
    int fd, ret;

    if (fstatvfs(chroot->root_fd, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        return fail(chroot, name, -EACCES, what, "its file system is mounted noexec", err);
    fd = path_open_below(chroot->root_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fail(chroot, name, fd, what, NULL, err);
    ret = lseek(source_fd, 0, SEEK_SET) < 0 ? -errno : copy_bytes(source_fd, fd);
    if (!ret && (fchown(fd, chroot->uid, chroot->gid) < 0 || fchmod(fd, 0500) < 0))
        ret = -errno;
    close_fd(&fd);
    return ret ? fail(chroot, name, ret, what, NULL, err) : 0;
}

int chroot_add_number(struct chroot *chroot, const char *name, long number, struct husk_error *err)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%ld", number);
    int fd = path_open_below(chroot->root_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600), ret;

    if (fd < 0)
        return fail(chroot, name, fd, "cannot write the file", NULL, err);
    ret = fchmod(fd, 0644) < 0 ? -errno : write_full(fd, text, (size_t)len);
    close_fd(&fd);
    return ret ? fail(chroot, name, ret, "cannot write the file", NULL, err) : 0;
}

/* The outermost last: until then nobody else gets inside. */
int chroot_hand_over(struct chroot *chroot, struct husk_error *err)
{
    static const char *const names[] = {"dev/net", "dev", "run", "."};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        int fd = path_open_below(chroot->root_fd, names[i], O_RDONLY | O_DIRECTORY, 0), ret;

        ret = fd < 0 ? fd : fchown(fd, chroot->uid, chroot->gid) < 0 ? -errno : 0;
        close_fd(&fd);
        if (ret)
            return fail(chroot, names[i], ret, "cannot give the directory to its user",
                        ret == -EINVAL ? "this user namespace does not have the user" : NULL, err);
    }
    return 0;
}

/* The root directory once more, as this mount namespace has it: the descriptor that we hold belongs
 * to the one we came from. */
static int reopen_root(const struct chroot *chroot)
{
    struct stat ours, found;
    int fd = path_open_directory(chroot->path);

    if (fd < 0)
        return fd;
    if (fstat(fd, &found) < 0 || fstat(chroot->root_fd, &ours) < 0 ||
        !path_same_file(&found, &ours)) {
        close_fd(&fd);
        return -ESTALE;
    }
    return fd;
}

/* pivot_root(".", ".") puts the old root on top of the new one, from where it is unmounted: see
 * pivot_root(2), NOTES. The mount is made from the descriptor, not from a path. */
static int pivot(const struct chroot *chroot, int root_fd)
{
    int mount_fd = open_tree(root_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int ret = 0;

    if (mount_fd < 0)
        return -errno;
    if (move_mount(mount_fd, "", root_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
        0) {
        ret = -errno;
    } else if (fchdir(mount_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) {
        ret = -errno;
        /* Or the directory could not be removed. */
        umount2(chroot->path, MNT_DETACH | UMOUNT_NOFOLLOW);
    } else if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) {
        ret = -errno;
    }
    close_fd(&mount_fd);
    return ret;
}

int chroot_enter(struct chroot *chroot, struct husk_error *err)
{
    int fd, ret;

    if (unshare(CLONE_NEWNS) < 0)
        return fail(chroot, "", -errno, "cannot make a mount namespace", NULL, err);
    /* What is mounted on the host later stays on the host, and the reverse. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail(chroot, "", -errno, "cannot leave the host's mounts", NULL, err);
    fd = reopen_root(chroot);
    ret = fd < 0 ? fd : pivot(chroot, fd);
    close_fd(&fd);
    return ret ? fail(chroot, "", ret, "cannot make the jail the root directory", NULL, err) : 0;
}

/* The ways that were missing, the last first, as long as they are empty. */
static int remove_levels(struct chroot *chroot)
{
    int ret = 0;

    while (chroot->level_count) {
        struct level *level = &chroot->levels[chroot->level_count - 1];

        if (!ret && unlinkat(level->parent_fd, level->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            ret = -errno;
        if (!ret || ret == -ENOTEMPTY) /* others have come to use it */
            registry_forget(chroot->registry, level->slot);
        close_fd(&level->parent_fd);
        chroot->level_count--;
    }
    return ret == -ENOTEMPTY ? 0 : ret;
}

int chroot_remove(struct chroot *chroot, struct husk_error *err)
{
    struct stat st;
    int ret = 0;

    if (chroot->id_fd >= 0) {
        ret = fstat(chroot->id_fd, &st) < 0 ? -errno : 0;
        if (!ret)
            ret = path_remove_tree(chroot->above_fd, chroot->id, &st);
        if (ret)
            return fail(chroot, "", ret, "cannot remove the jail", NULL, err);
        registry_forget(chroot->registry, chroot->slot);
        close_fd(&chroot->id_fd);
        close_fd(&chroot->root_fd);
    }
    ret = remove_levels(chroot);
    return ret ? fail(chroot, "", ret, "cannot remove the jail's directories", NULL, err) : 0;
}

void chroot_free(struct chroot *chroot)
{
    if (!chroot)
        return;
    while (chroot->level_count)
        close_fd(&chroot->levels[--chroot->level_count].parent_fd);
    close_fd(&chroot->above_fd);
    close_fd(&chroot->id_fd);
    close_fd(&chroot->root_fd);
    free(chroot);
}
