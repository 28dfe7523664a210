// SPDX-License-Identifier: Apache-2.0
/* Opening devices of the host: see vfio_open.h. */
#include "vmm/vfio_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/jail.h"
#include "vmm/vfio_group.h"

#define CANNOT_OPEN  "cannot be given to the VM"
#define MARGIN_BYTES (8ull << 20) /* rings of io_uring count, too, before Linux 5.12 */

const struct vfio_host vfio_this_host = {.sysfs = "/sys", .dev = "/dev"};

/* A device while the interface is being chosen. */
struct candidate {
    int group;  /* -1: it came as a descriptor */
    int number; /* of its own file; negative: it has none */
};

__attribute__((format(printf, 3, 4))) static void
path_of(const struct vfio_host *host, char path[PATH_MAX], const char *format, ...)
{
    int used = snprintf(path, PATH_MAX, "%s/", host->dev);
    va_list args;

    va_start(args, format);
    vsnprintf(path + used, (size_t)(PATH_MAX - used), format, args);
    va_end(args);
}

static int open_file(const struct vfio_host *host, const char *path)
{
    int fd;

    if (host->open)
        return host->open(host->opaque, path);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

static bool can_open(const char *path)
{
    return access(path, R_OK | W_OK) == 0;
}

/* Why `path`, of the device `where`, did not open. */
static int cannot_open(const char *where, const char *path, int error, const char *missing,
                       struct husk_error *err)
{
    switch (error) {
    case -ENOENT:
    case -ENODEV:
    case -ENXIO:
        return error_set(err, ENODEV, where, CANNOT_OPEN, "%s is missing: %s", path, missing);
    case -EACCES:
    case -EPERM:
        return error_set(err, EACCES, where, CANNOT_OPEN,
                         "no permission for %s: give it to your user (chown), or be root", path);
    case -EBUSY:
        return error_set(err, EBUSY, where, CANNOT_OPEN,
                         "%s is in use: another VM or program has it open", path);
    default:
        return error_set(err, -error, where, CANNOT_OPEN, "%s: %s", path, error_text(-error));
    }
}

/* ---- which interface ---- */

static const char *name_of(const struct vfio_config *vfio)
{
    return vfio->address[0] ? vfio->address : vfio->id;
}

static bool has_descriptor(const struct vfio_config *vfio)
{
    return vfio->device_fd >= 0 || vfio->group_fd >= 0;
}

static int inspect(const struct vfio_host *host, const struct vfio_config *vfio,
                   struct candidate *out, struct husk_error *err)
{
    *out = (struct candidate){.group = -1, .number = -1};
    if (has_descriptor(vfio))
        return 0;
    out->group = vfio_group_of(host->sysfs, vfio->address, err);
    if (out->group < 0)
        return out->group;
    out->number = vfio_device_number(host->sysfs, vfio->address);
    return 0;
}

/* Whether iommufd could be used for all: then it is. */
static bool iommufd_is_there(const struct vfio_host *host, const struct machine_config *config,
                             const struct candidate *candidates)
{
    char path[PATH_MAX];

    path_of(host, path, "iommu");
    if (config->vfio_iommu_fd < 0 && !can_open(path))
        return false;
    for (unsigned i = 0; i < config->vfio_count; i++) {
        if (has_descriptor(&config->vfios[i]))
            continue;
        path_of(host, path, "vfio/devices/vfio%d", candidates[i].number);
        if (candidates[i].number < 0 || !can_open(path))
            return false;
    }
    return true;
}

static enum husk_vfio_iommu choose(const struct vfio_host *host,
                                   const struct machine_config *config,
                                   const struct candidate *candidates)
{
    for (unsigned i = 0; i < config->vfio_count; i++) {
        if (config->vfios[i].iommu != HUSK_VFIO_IOMMU_AUTO)
            return config->vfios[i].iommu; /* no other asks for the other one: config_vfio.c */
    }
    return iommufd_is_there(host, config, candidates) ? HUSK_VFIO_IOMMU_IOMMUFD
                                                      : HUSK_VFIO_IOMMU_GROUP;
}

/* ---- opening ---- */

static int open_iommu(const struct vfio_host *host, bool iommufd, int *iommu_fd, const char *where,
                      struct husk_error *err)
{
    char path[PATH_MAX];
    int fd;

    if (*iommu_fd >= 0)
        return 0;
    path_of(host, path, iommufd ? "iommu" : "vfio/vfio");
    fd = open_file(host, path);
    if (fd < 0)
        return cannot_open(where, path, fd,
                           iommufd ? "modprobe iommufd, if this kernel has it (Linux 6.6), or use "
                                     "iommu=group"
                                   : "modprobe vfio-pci",
                           err);
    *iommu_fd = fd;
    return 0;
}

static int open_by_iommufd(const struct vfio_host *host, struct vfio_config *vfio, int number,
                           struct husk_error *err)
{
    char path[PATH_MAX];
    int fd;

    if (number < 0)
        return error_set(err, ENODEV, vfio->address, CANNOT_OPEN,
                         "this kernel has no file for it below /dev/vfio/devices "
                         "(CONFIG_VFIO_DEVICE_CDEV, Linux 6.6): use iommu=group");
    path_of(host, path, "vfio/devices/vfio%d", number);
    fd = open_file(host, path);
    if (fd < 0)
        return cannot_open(vfio->address, path, fd, "use iommu=group", err);
    vfio->device_fd = fd;
    return 0;
}

/* A group opens once: its second device has a duplicate. */
static int open_by_group(const struct vfio_host *host, struct machine_config *config,
                         struct vfio_config *vfio, const struct candidate *candidates,
                         struct husk_error *err)
{
    unsigned index = (unsigned)(vfio - config->vfios);
    int group = candidates[index].group;
    char path[PATH_MAX];
    int fd;

    for (unsigned i = 0; i < config->vfio_count; i++) {
        if (i == index || candidates[i].group != group || config->vfios[i].group_fd < 0)
            continue;
        vfio->group_fd = fcntl(config->vfios[i].group_fd, F_DUPFD_CLOEXEC, 0);
        return vfio->group_fd < 0 ? error_set(err, errno, vfio->address, CANNOT_OPEN, NULL) : 0;
    }
    path_of(host, path, "vfio/%d", group);
    fd = open_file(host, path);
    if (fd < 0)
        return cannot_open(vfio->address, path, fd, "is vfio_iommu_type1 loaded?", err);
    vfio->group_fd = fd;
    return 0;
}

static int open_one(const struct vfio_host *host, struct machine_config *config, unsigned index,
                    const struct candidate *candidates, struct husk_error *err)
{
    struct vfio_config *vfio = &config->vfios[index];
    int ret = open_iommu(host, config->vfio_iommu == HUSK_VFIO_IOMMU_IOMMUFD,
                         &config->vfio_iommu_fd, name_of(vfio), err);

    if (ret)
        return ret;
    vfio->iommu = config->vfio_iommu;
    if (has_descriptor(vfio))
        return 0;
    return config->vfio_iommu == HUSK_VFIO_IOMMU_IOMMUFD
               ? open_by_iommufd(host, vfio, candidates[index].number, err)
               : open_by_group(host, config, vfio, candidates, err);
}

int vfio_open_devices(const struct vfio_host *host, struct machine_config *config,
                      struct husk_error *err)
{
    struct candidate candidates[CONFIG_DEVICES_MAX];
    int ret = 0;

    for (unsigned i = 0; !ret && i < config->vfio_count; i++)
        ret = inspect(host, &config->vfios[i], &candidates[i], err);
    if (ret || config->vfio_count == 0)
        return ret;
    config->vfio_iommu = choose(host, config, candidates);
    for (unsigned i = 0; !ret && i < config->vfio_count; i++)
        ret = open_one(host, config, i, candidates, err);
    return ret;
}

/* ---- one more ---- */

static enum husk_vfio_iommu choose_another(const struct vfio_host *host,
                                           const struct machine_config *config,
                                           const struct vfio_config *vfio,
                                           const struct candidate *candidate, int iommu_fd)
{
    char path[PATH_MAX];

    if (config->vfio_count > 0)
        return config->vfio_iommu;
    if (vfio->iommu != HUSK_VFIO_IOMMU_AUTO)
        return vfio->iommu;
    path_of(host, path, "iommu");
    if (candidate->number < 0 || (iommu_fd < 0 && !can_open(path)))
        return HUSK_VFIO_IOMMU_GROUP;
    path_of(host, path, "vfio/devices/vfio%d", candidate->number);
    return can_open(path) ? HUSK_VFIO_IOMMU_IOMMUFD : HUSK_VFIO_IOMMU_GROUP;
}

/* When it is open already, it may be the VM that has it. */
static int open_another_group(const struct vfio_host *host, const struct machine_config *config,
                              struct vfio_config *vfio, int group, struct husk_error *err)
{
    char path[PATH_MAX];
    struct stat st;
    int fd;

    path_of(host, path, "vfio/%d", group);
    fd = open_file(host, path);
    if (fd == -EBUSY && config->vfio_count > 0 && stat(path, &st) == 0) {
        vfio->group_rdev = st.st_rdev;
        return 0;
    }
    if (fd < 0)
        return cannot_open(vfio->address, path, fd, "is vfio_iommu_type1 loaded?", err);
    vfio->group_fd = fd;
    return 0;
}

int vfio_open_another(const struct vfio_host *host, const struct machine_config *config,
                      struct vfio_config *vfio, int *iommu_fd, struct husk_error *err)
{
    struct candidate candidate;
    int ret = inspect(host, vfio, &candidate, err);
    bool iommufd;

    if (ret)
        return ret;
    vfio->iommu = choose_another(host, config, vfio, &candidate, *iommu_fd);
    iommufd = vfio->iommu == HUSK_VFIO_IOMMU_IOMMUFD;
    if (config->vfio_count == 0)
        ret = open_iommu(host, iommufd, iommu_fd, name_of(vfio), err);
    if (ret || has_descriptor(vfio))
        return ret;
    return iommufd ? open_by_iommufd(host, vfio, candidate.number, err)
                   : open_another_group(host, config, vfio, candidate.group, err);
}

/* ---- locked memory ---- */

uint64_t vfio_locked_bytes(const struct machine_config *config)
{
    return config->memory_bytes + MARGIN_BYTES;
}

int vfio_check_limit(const struct machine_config *config, uint64_t limit_bytes,
                     struct husk_error *err)
{
    uint64_t needed = vfio_locked_bytes(config);

    if (limit_bytes >= needed)
        return 0;
    return error_set(err, ENOMEM, "memory", "cannot lock the guest's memory",
                     "devices of the host take %llu KiB of locked memory, and the limit is %llu "
                     "KiB: raise it (ulimit -l, LimitMEMLOCK=, limits.conf)",
                     (unsigned long long)(needed >> 10), (unsigned long long)(limit_bytes >> 10));
}

int vfio_check_locked(const struct machine_config *config, bool jailed, struct husk_error *err)
{
    return config->vfio_count > 0 ? vfio_check_lockable(config, jailed, err) : 0;
}

int vfio_check_lockable(const struct machine_config *config, bool jailed, struct husk_error *err)
{
    struct rlimit limit;

    /* The jailed process gets what it needs from whoever may give it; else the hard limit is what
     * there is. In this process its soft limit holds, but for those whose memory is not counted. */
    if (jail_has_capability(jailed ? CAP_SYS_RESOURCE : CAP_IPC_LOCK))
        return 0;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return error_set(err, errno, "memory", "cannot lock the guest's memory", NULL);
    return vfio_check_limit(config, jailed ? limit.rlim_max : limit.rlim_cur, err);
}

int vfio_check_cgroup(const struct machine_config *config, uint64_t memory_max_bytes,
                      struct husk_error *err)
{
    return config->vfio_count > 0 ? vfio_check_cgroup_room(config, memory_max_bytes, err) : 0;
}

int vfio_check_cgroup_room(const struct machine_config *config, uint64_t memory_max_bytes,
                           struct husk_error *err)
{
    uint64_t needed = vfio_locked_bytes(config);

    if (memory_max_bytes == 0 || memory_max_bytes >= needed || config->pages == HUSK_PAGES_2M)
        return 0;
    return error_set(err, ENOMEM, "jail: memory max", "cannot lock the guest's memory",
                     "devices of the host take %llu KiB of it, and the cgroup may have %llu KiB",
                     (unsigned long long)(needed >> 10),
                     (unsigned long long)(memory_max_bytes >> 10));
}
