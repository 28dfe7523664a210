// SPDX-License-Identifier: Apache-2.0
/* Namespaces: see namespaces.h. No state. */
#include "guest/agent/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/files.h"

#define MAP_LINE_MAX 40

static const struct {
    const char *name; /* in /proc/PID/ns */
    int flag;
} kinds[OCI_NAMESPACES] = {
    [OCI_NS_USER] = {"user", CLONE_NEWUSER},  [OCI_NS_PID] = {"pid", CLONE_NEWPID},
    [OCI_NS_NETWORK] = {"net", CLONE_NEWNET}, [OCI_NS_IPC] = {"ipc", CLONE_NEWIPC},
    [OCI_NS_UTS] = {"uts", CLONE_NEWUTS},     [OCI_NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP},
    [OCI_NS_MOUNT] = {"mnt", CLONE_NEWNS},
};

static int open_home(unsigned type, struct namespaces_way *way)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[type].name);
    way->home[type] = open(path, O_RDONLY | O_CLOEXEC);
    return way->home[type] < 0 ? -errno : 0;
}

void namespaces_stay(struct namespaces_way *way)
{
    for (unsigned type = 0; type < OCI_NAMESPACES; type++)
        way->home[type] = -1;
}

static int enter_path(unsigned type, const char *path, struct namespaces_way *way)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = 0;

    if (fd < 0)
        return -errno;
    /* config-linux.md: a file of another type is an error; so is what is no namespace at all. */
    if (ioctl(fd, NS_GET_NSTYPE) != kinds[type].flag)
        ret = -EINVAL;
    if (!ret)
        ret = open_home(type, way);
    if (!ret && setns(fd, kinds[type].flag) < 0) {
        ret = -errno;
        close_fd(&way->home[type]);
    }
    close(fd);
    return ret;
}

int namespaces_enter(const struct oci_config *config, struct namespaces_way *way,
                     struct husk_error *err)
{
    namespaces_stay(way);
    for (unsigned type = 0; type < OCI_NAMESPACES; type++) {
        const struct oci_namespace *ns = &config->namespaces[type];
        char where[192];
        int ret;

        if (!ns->path)
            continue;
        ret = enter_path(type, ns->path, way);
        if (ret) {
            namespaces_leave(way);
            snprintf(where, sizeof(where), "linux.namespaces: %s %.128s", kinds[type].name,
                     ns->path);
            return error_set(err, -ret, where, "cannot be joined", NULL);
        }
    }
    return 0;
}

int namespaces_enter_pid_of(int pidfd, struct namespaces_way *way, struct husk_error *err)
{
    int ret;

    namespaces_stay(way);
    ret = open_home(OCI_NS_PID, way);
    if (!ret && setns(pidfd, CLONE_NEWPID) < 0)
        ret = -errno;
    if (ret) {
        close_fd(&way->home[OCI_NS_PID]);
        return error_set(err, -ret, "the pid namespace", "cannot be joined", NULL);
    }
    return 0;
}

void namespaces_leave(struct namespaces_way *way)
{
    for (unsigned type = 0; type < OCI_NAMESPACES; type++) {
        if (way->home[type] >= 0)
            (void)setns(way->home[type], kinds[type].flag);
        close_fd(&way->home[type]);
    }
}

uint64_t namespaces_new(const struct oci_config *config)
{
    uint64_t flags = 0;

    for (unsigned type = 0; type < OCI_NAMESPACES; type++) {
        if (config->namespaces[type].given && !config->namespaces[type].path &&
            type != OCI_NS_CGROUP)
            flags |= (uint64_t)(unsigned)kinds[type].flag;
    }
    return flags;
}

int namespaces_all(const struct oci_config *config)
{
    int flags = 0;

    for (unsigned type = 0; type < OCI_NAMESPACES; type++) {
        if (config->namespaces[type].given && type != OCI_NS_PID)
            flags |= kinds[type].flag;
    }
    return flags;
}

static int write_map(pid_t pid, const char *file, const struct oci_id_map *maps, size_t count)
{
    char path[40], *text = malloc(count * MAP_LINE_MAX + 1);
    size_t len = 0;
    int ret;

    if (!text)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, MAP_LINE_MAX, "%u %u %u\n", maps[i].inside,
                                maps[i].outside, maps[i].count);
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    ret = file_write(AT_FDCWD, path, text);
    free(text);
    return ret;
}

int namespaces_map_ids(pid_t pid, const struct oci_config *config, struct husk_error *err)
{
    int ret = write_map(pid, "uid_map", config->uid_maps, config->uid_map_count);

    if (ret)
        return error_set(err, -ret, "linux.uidMappings", "cannot be set", NULL);
    ret = write_map(pid, "gid_map", config->gid_maps, config->gid_map_count);
    return ret ? error_set(err, -ret, "linux.gidMappings", "cannot be set", NULL) : 0;
}

int namespaces_set_names(const struct oci_config *config, struct husk_error *err)
{
    if (config->hostname && sethostname(config->hostname, strlen(config->hostname)) < 0)
        return error_set(err, errno, "hostname", "cannot be set", NULL);
    if (config->domainname && setdomainname(config->domainname, strlen(config->domainname)) < 0)
        return error_set(err, errno, "domainname", "cannot be set", NULL);
    return 0;
}
