// SPDX-License-Identifier: Apache-2.0
/* Root file systems: see rootfs.h. No state. */
#include "guest/agent/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

int rootfs_open(const char *path, struct husk_error *err)
{
    struct mount_attr private = {.propagation = MS_PRIVATE};
    int target = -1, tree = -1, ret = 0;

    if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)) < 0)
        return error_set(err, errno, "linux.namespaces", "mounts cannot be made private", NULL);
    target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target < 0)
        return error_set(err, errno, "root.path", "cannot be opened", NULL);
    tree =
        open_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 ||
        move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        ret = error_set(err, errno, "root.path", "cannot be mounted", NULL);
    close(target);
    if (ret) {
        close_fd(&tree);
        return ret;
    }
    return tree;
}

/* pivot_root(2), "pivot_root(".", ".")": the old root comes to lie on the new one, and goes. */
int rootfs_enter(int root, const struct oci_config *config, bool writable, struct husk_error *err)
{
    bool readonly = config->root_readonly && !writable;
    struct mount_attr attr = {.attr_set = readonly ? MOUNT_ATTR_RDONLY : 0};

    if (attr.attr_set && mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return error_set(err, errno, "root.readonly", "cannot be set", NULL);
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return error_set(err, errno, "root.path", "cannot become the root", NULL);
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return error_set(err, errno, "root.path", "the old root cannot be left", NULL);
    attr = (struct mount_attr){.propagation = config->root_propagation & ~(uint64_t)MS_REC};
    if (attr.propagation &&
        mount_setattr(AT_FDCWD, "/", config->root_propagation & MS_REC ? AT_RECURSIVE : 0, &attr,
                      sizeof(attr)) < 0)
        return error_set(err, errno, "linux.rootfsPropagation", "cannot be set", NULL);
    return 0;
}
