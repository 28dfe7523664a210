// SPDX-License-Identifier: Apache-2.0
/*
 * Boot: see boot.h. The kernel's first root, where it unpacked the initial RAM disk, can be neither
 * left nor unmounted, so no container could leave it behind (pivot_root(2)): the agent moves to a
 * tmpfs first, where a read-only copy of the view on the first root stays for root file systems
 * that came with the RAM disk.
 */
#include "guest/agent/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/checked.h"
#include "guest/agent/files.h"
#include "guest/agent/network.h"
#include "husk/agent.h"

#define NEW_ROOT      "/.root"
#define CGROUP        "/sys/fs/cgroup"
#define PODS          "husk"
#define RESERVE_BYTES (24ull << 20) /* of memory, for the agent and the kernel's work for it */
#define RESERVE_PIDS  64
#define DESCRIPTORS   65536
#define MARK_PORT     0xf5 /* docs/devices/debug-ports.md */
#define MARK_RUNNING  1

static const struct {
    const char *type, *target;
    unsigned long flags;
    const char *data;
} kernel_mounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"devtmpfs", "/dev", MS_NOSUID, NULL},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
    /* nsdelegate: a container cannot lift the limits on the root of its own cgroup namespace. */
    {"cgroup2", CGROUP, MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate"},
};

static int make_directory(const char *path, struct husk_error *err)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return error_set(err, errno, path, "cannot be made", NULL);
    return 0;
}

int boot_directories(struct husk_error *err)
{
    static const char *const paths[] = {"/run/husk",        HUSK_AGENT_VOLUMES,
                                        HUSK_AGENT_FILES,   HUSK_AGENT_NAMESPACES,
                                        "/run/husk/uppers", "/run/husk/roots"};
    struct mount_attr private = {.propagation = MS_PRIVATE};
    int ret = 0;

    if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)) < 0)
        return error_set(err, errno, "/", "cannot be made private", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(paths) && !ret; i++)
        ret = make_directory(paths[i], err);
    return ret;
}

/* Kernels without modules have no list. */
static int load_modules(struct husk_error *err)
{
    FILE *list = fopen("/modules.list", "re");
    char line[256];
    int ret = 0;

    while (list && !ret && fgets(line, sizeof(line), list)) {
        int fd;

        line[strcspn(line, "\n")] = '\0';
        fd = open(line, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
            ret = error_set(err, errno, line, "cannot be loaded", NULL);
        if (fd >= 0)
            close(fd);
        (void)unlink(line); /* nobody wants its memory any more */
    }
    if (list)
        fclose(list);
    return ret;
}

static int change_root(struct husk_error *err)
{
    int old = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), ret;
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV};

    ret = make_directory(NEW_ROOT, err);
    if (!ret &&
        (mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID, "mode=0755") < 0 || chdir(NEW_ROOT) < 0 ||
         mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0))
        ret = error_set(err, errno, "/", "cannot be replaced", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(kernel_mounts) && !ret; i++) {
        if (strcmp(kernel_mounts[i].target, CGROUP) != 0)
            ret = make_directory(kernel_mounts[i].target, err);
        if (!ret && mount(kernel_mounts[i].type, kernel_mounts[i].target, kernel_mounts[i].type,
                          kernel_mounts[i].flags, kernel_mounts[i].data) < 0)
            ret = error_set(err, errno, kernel_mounts[i].target, "cannot be mounted", NULL);
    }
    if (!ret)
        ret = boot_directories(err);
    if (!ret)
        ret = make_directory(HUSK_AGENT_INITRAMFS, err);
    if (!ret &&
        (old < 0 || mount_setattr(old, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0 ||
         move_mount(old, "", AT_FDCWD, HUSK_AGENT_INITRAMFS, MOVE_MOUNT_F_EMPTY_PATH) < 0))
        ret = error_set(err, errno, HUSK_AGENT_INITRAMFS, "cannot be mounted", NULL);
    if (old >= 0)
        close(old);
    return ret;
}

/* All containers together leave the agent memory and processes, whatever they do. */
static void reserve(int dir)
{
    struct sysinfo info;
    char text[64];
    uint64_t total, pids;

    if (sysinfo(&info) == 0) {
        total = info.totalram * (uint64_t)info.mem_unit;
        if (total > 4 * RESERVE_BYTES) {
            snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)(total - RESERVE_BYTES));
            (void)file_write(dir, "memory.max", text);
        }
    }
    if (file_read(AT_FDCWD, "/proc/sys/kernel/pid_max", text, sizeof(text)) == 0 &&
        sscanf(text, "%" SCNu64, &pids) == 1 && // NOLINT(cert-err34-c): the kernel's own number
        pids > 4 * RESERVE_PIDS) {
        snprintf(text, sizeof(text), "%" PRIu64, pids - RESERVE_PIDS);
        (void)file_write(dir, "pids.max", text);
    }
}

static int make_cgroup(struct husk_error *err)
{
    int top = open(CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;
    char text[512], word[80];
    char *rest = text, *name;

    if (top < 0 || file_read(top, "cgroup.controllers", text, sizeof(text)))
        return error_set(err, errno, CGROUP, "cannot be read", NULL);
    while ((name = strsep(&rest, " \n"))) {
        snprintf(word, sizeof(word), "+%s", name);
        if (*name)
            (void)file_write(top, "cgroup.subtree_control", word);
    }
    if (mkdirat(top, PODS, 0755) < 0 && errno != EEXIST)
        dir = -1;
    else
        dir = openat(top, PODS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    close(top);
    if (dir < 0)
        return error_set(err, errno, CGROUP "/" PODS, "cannot be made", NULL);
    reserve(dir);
    return dir;
}

int boot_machine(struct husk_error *err)
{
    const struct rlimit descriptors = {.rlim_cur = DESCRIPTORS, .rlim_max = DESCRIPTORS};
    int ret = load_modules(err);

    if (!ret)
        ret = change_root(err);
    if (ret)
        return ret;
    /* Containers get their own limits; the agent holds all their streams. */
    (void)setrlimit(RLIMIT_NOFILE, &descriptors);
    (void)file_write(AT_FDCWD, "/proc/self/oom_score_adj", "-1000");
    (void)network_loopback_up();
    return make_cgroup(err);
}

void boot_ready(void)
{
#ifdef __x86_64__
    /* The permission would be inherited (ioperm(2)): it is given back at once. */
    if (ioperm(MARK_PORT, 1, 1) == 0) {
        outb(MARK_RUNNING, MARK_PORT);
        (void)ioperm(MARK_PORT, 1, 0);
    }
#endif
}

void boot_end(bool again)
{
    sync();
    reboot(again ? RB_AUTOBOOT : RB_POWER_OFF);
    for (;;)
        pause();
}
