// SPDX-License-Identifier: Apache-2.0
/*
 * The root directory of a process in jail: a tmpfs of its own that holds nothing, or one directory
 * of the host for the socket device, and cannot be written. Everything else is out of reach, not
 * hidden: the old tree is unmounted from this mount namespace.
 *
 * References: pivot_root(2), mount_namespaces(7), fsmount (Linux 5.2).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "jail/walls.h"

#define PASSIVE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* A detached tmpfs without room for any content. Returns a descriptor of its root, or -errno. */
static int make_empty_tree(void)
{
    int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    int fd, ret;

    if (context < 0)
        return -errno;
    if (fsconfig(context, FSCONFIG_SET_STRING, "size", "4096", 0) < 0 ||
        fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", "8", 0) < 0 ||
        fsconfig(context, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
        fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
        ret = -errno;
        close_fd(&context);
        return ret;
    }
    fd = fsmount(context, FSMOUNT_CLOEXEC, PASSIVE);
    ret = fd < 0 ? -errno : fd;
    close_fd(&context);
    return ret;
}

/*
 * The directory of a descriptor as this mount namespace has it: the descriptor is of the mount
 * namespace in which it was opened, and mounts of that cannot be copied here. Returns a descriptor
 * or -errno; ESTALE when another directory is at its path by now.
 */
static int find_directory(int fd)
{
    char link[32], path[PATH_MAX];
    struct stat given, found;
    ssize_t len;
    int here;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof(path) - 1);
    if (len < 0)
        return -errno;
    path[len] = '\0';
    here = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (here < 0)
        return -errno;
    if (fstat(fd, &given) == 0 && fstat(here, &found) == 0 && given.st_dev == found.st_dev &&
        given.st_ino == found.st_ino)
        return here;
    close_fd(&here);
    return -ESTALE;
}

/* Read-only does not keep anybody from connecting to a socket. */
static int show_directory(int root, int directory)
{
    struct mount_attr passive = {.attr_set = PASSIVE | MOUNT_ATTR_RDONLY};
    int here = find_directory(directory);
    int tree = -1, ret = 0;

    if (here < 0)
        return here;
    tree = open_tree(here, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &passive, sizeof(passive)) < 0 ||
        mkdirat(root, &JAIL_VSOCK_DIRECTORY[1], S_IRUSR | S_IXUSR) < 0 ||
        move_mount(tree, "", root, &JAIL_VSOCK_DIRECTORY[1], MOVE_MOUNT_F_EMPTY_PATH) < 0)
        ret = -errno;
    close_fd(&tree);
    close_fd(&here);
    return ret;
}

/* Make the tree behind `root`, which lies on top of "/", the root directory. */
static int change_root(int root)
{
    if (fchdir(root) < 0)
        return -errno;
    /* The old root ends up on top of the new one, and is then taken off. */
    if (syscall(SYS_pivot_root, ".", ".") == 0)
        return umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ? -errno : 0;
    if (errno != EINVAL)
        return -errno;
    /* A host that runs from its initial RAM disk: that root cannot be taken off. It is covered
     * already; out of the cover leads only chroot(), for which the right is given up. */
    return chroot(".") < 0 || chdir("/") < 0 ? -errno : 0;
}

int wall_root_directory(struct jail_progress *progress)
{
    const struct jail_plan *plan = progress->plan;
    int root, ret = 0;

    /* It would be the caller's root that changes. */
    if (!(progress->namespaces & CLONE_NEWNS))
        return -EPERM;
    /* Nothing of what follows is to happen to the host's tree as well. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    root = make_empty_tree();
    if (root < 0)
        return root;
    if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        ret = -errno;
    if (ret == 0 && plan->vsock_dir_fd >= 0)
        ret = show_directory(root, plan->vsock_dir_fd);
    if (ret == 0)
        ret = change_root(root);
    if (ret == 0 &&
        mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              NULL) < 0)
        ret = -errno;
    close_fd(&root);
    return ret;
}
