// SPDX-License-Identifier: Apache-2.0
/*
 * A VM's limits as the files of its cgroup, and which disk an open file lies on: see cgroup.h. No
 * state. Spec: Documentation/admin-guide/cgroup-v2.rst (Controllers); the links of
 * /sys/dev/block/MAJOR:MINOR, Documentation/ABI/testing/sysfs-dev.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "jail/cgroup.h"

#define CPU_PERIOD_US 100000u

static int set_number(struct cgroup *cgroup, const char *file, uint64_t number,
                      struct husk_error *err)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    return cgroup_set(cgroup, file, text, err);
}

static int set_cpu_max(struct cgroup *cgroup, uint32_t percent, struct husk_error *err)
{
    char text[64];

    snprintf(text, sizeof(text), "%" PRIu64 " %u", (uint64_t)percent * CPU_PERIOD_US / 100,
             CPU_PERIOD_US);
    return cgroup_set(cgroup, "cpu.max", text, err);
}

int cgroup_limit(struct cgroup *cgroup, const struct cgroup_limits *limits, struct husk_error *err)
{
    int ret = 0;

    if (limits->memory_max_bytes)
        ret = set_number(cgroup, "memory.max", limits->memory_max_bytes, err);
    if (!ret && limits->cpu_max_percent)
        ret = set_cpu_max(cgroup, limits->cpu_max_percent, err);
    if (!ret && limits->cpu_weight)
        ret = set_number(cgroup, "cpu.weight", limits->cpu_weight, err);
    if (!ret && limits->pids_max)
        ret = set_number(cgroup, "pids.max", limits->pids_max, err);
    return ret;
}

/* "MAJOR:MINOR" of a disk, from a file "dev" of sysfs. */
static int read_device(const char *path, dev_t *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t major_number, minor_number;
    char text[32], *colon, *end;
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof(text) - 1);
    close_fd(&fd);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    colon = strchr(text, ':');
    end = strchr(text, '\n');
    if (!colon || !end)
        return -EPROTO;
    *colon = *end = '\0';
    if (parse_u64(text, 0, UINT32_MAX, &major_number) ||
        parse_u64(colon + 1, 0, UINT32_MAX, &minor_number))
        return -EPROTO;
    *out = makedev((unsigned)major_number, (unsigned)minor_number);
    return 0;
}

/* Limits count for whole disks; a partition's directory lies in its disk's. */
static int find_disk(dev_t device, dev_t *disk)
{
    char path[80];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(device), minor(device));
    if (access(path, F_OK) < 0)
        return -ENODEV;
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(device), minor(device));
    if (access(path, F_OK) < 0) {
        *disk = device;
        return 0;
    }
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(device), minor(device));
    return read_device(path, disk);
}

int cgroup_limit_io(struct cgroup *cgroup, int fd, uint64_t bytes_per_s, struct husk_error *err)
{
    char text[128];
    struct stat st;
    dev_t disk = 0;
    int ret;

    if (fstat(fd, &st) < 0)
        return error_set(err, errno, "io.max", "cannot look at a drive's file", NULL);
    ret = find_disk(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev, &disk);
    if (ret)
        return error_set(err, -ret, "io.max", "cannot limit a drive's bandwidth",
                         "its file is not on one disk alone");
    snprintf(text, sizeof(text), "%u:%u rbps=%" PRIu64 " wbps=%" PRIu64, major(disk), minor(disk),
             bytes_per_s, bytes_per_s);
    return cgroup_set(cgroup, "io.max", text, err);
}
