// SPDX-License-Identifier: Apache-2.0
/*
 * Opening: every path and name in a configuration becomes a descriptor in it, with the rights of
 * the calling process. What builds the machine from then on needs descriptors only, so it may live
 * in a process that can open nothing.
 *
 * Runs on the configuring thread. What was opened before a failure is in the configuration, whose
 * release closes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "devices/backend/block.h"
#include "devices/backend/tap.h"
#include "devices/backend/vsock_listen.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/vfio_open.h"

/* A file to boot from. O_NONBLOCK: a FIFO must be refused, not waited for. */
static int open_boot_file(const char *path, const char *what, struct husk_error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int code = 0;

    if (fd < 0)
        return error_set(err, errno, path, what, NULL);
    if (fstat(fd, &info) < 0)
        code = errno;
    else if (S_ISDIR(info.st_mode))
        code = EISDIR;
    if (code) {
        close_fd(&fd);
        return error_set(err, code, path, what, NULL);
    }
    if (!S_ISREG(info.st_mode)) {
        close_fd(&fd);
        return error_set(err, EINVAL, path, what, "it is not a regular file");
    }
    return fd;
}

/* The caller's descriptor stays the caller's: ours is a duplicate. */
static int open_boot(struct boot_file *file, const char *name, const char *what,
                     struct husk_error *err)
{
    if (file->callers_fd >= 0) {
        file->fd = fcntl(file->callers_fd, F_DUPFD_CLOEXEC, 0);
        return file->fd < 0 ? error_set(err, errno, name, what, NULL) : 0;
    }
    if (!file->path)
        return 0;
    file->fd = open_boot_file(file->path, what, err);
    return file->fd < 0 ? file->fd : 0;
}

static int open_kvm(struct machine_config *config, struct husk_error *err)
{
    if (config->callers_kvm_fd >= 0)
        config->kvm_fd = fcntl(config->callers_kvm_fd, F_DUPFD_CLOEXEC, 0);
    else
        config->kvm_fd = kvm_open_device(err);
    config->kvm_is_pvm = kvm_host_is_pvm();
    if (config->kvm_fd < 0 && config->callers_kvm_fd >= 0)
        return error_set(err, errno, "kvm", "cannot use the descriptor", NULL);
    return config->kvm_fd < 0 ? config->kvm_fd : 0;
}

/* ---- drives ---- */

#define SECTOR_BYTES 512u

static bool same_file(const char *one, const char *other)
{
    struct stat a, b;

    if (!one || !other || stat(one, &a) || stat(other, &b))
        return false;
    return S_ISBLK(a.st_mode) ? S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev
                              : a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* An image that is in use may be so by another drive of this VM: then say that instead. */
static void explain_busy(struct machine_config *config, const struct drive_config *drive,
                         const char *name, struct husk_error *err)
{
    pthread_mutex_lock(&config->devices_lock);
    for (unsigned i = 0; i < config->drive_count && &config->drives[i] != drive; i++) {
        if (same_file(config->drives[i].path, drive->path)) {
            error_set(err, EBUSY, drive->path, "cannot use the file as a disk",
                      "it is given twice, as drive %u and %s; only read-only disks can be", i + 1,
                      name);
            break;
        }
    }
    pthread_mutex_unlock(&config->devices_lock);
}

/* The files behind the first one, which have been opened: measured and locked, as that was. */
static int open_parts(struct drive_config *drive, const char *name, struct husk_error *err)
{
    char part_name[CONFIG_NAME_MAX + 16];
    uint64_t previous = drive->size_bytes;

    for (unsigned i = 0; i < drive->more_count; i++) {
        struct drive_part *part = &drive->more[i];
        const struct block_open_options options = {
            .path = part_name, .fd = part->fd, .read_only = true};
        int fd;

        snprintf(part_name, sizeof(part_name), "%s: file %u", name, i + 2);
        if (previous % SECTOR_BYTES)
            return error_set(err, EINVAL, part_name, "cannot be joined to the one before",
                             "which has %llu bytes: no whole sectors of %u",
                             (unsigned long long)previous, SECTOR_BYTES);
        fd = block_image_open(&options, &part->size_bytes, err);
        if (fd < 0)
            return fd;
        previous = part->size_bytes;
        if (!checked_add(drive->size_bytes, part->size_bytes, &drive->size_bytes))
            return error_set(err, EFBIG, part_name, "cannot be joined to the one before", NULL);
    }
    return 0;
}

int machine_open_drive(struct machine_config *config, struct drive_config *drive, const char *name,
                       struct husk_error *err)
{
    const struct block_open_options options = {
        .path = drive->path ? drive->path : name, .fd = drive->fd, .read_only = drive->read_only};
    int fd = block_image_open(&options, &drive->size_bytes, err);

    if (fd == -EBUSY)
        explain_busy(config, drive, name, err);
    if (fd < 0)
        return fd;
    drive->fd = fd;
    return open_parts(drive, name, err);
}

/* ---- network devices ---- */

/*
 * A stable address of our own: locally administered, from the interface's name (which is unique on
 * a host) and the position in the VM. FNV-1a, because any spread will do.
 */
static void derive_mac(const char *tap_name, unsigned index, uint8_t mac[6])
{
    uint64_t hash = 0xcbf29ce484222325ull + index;

    for (const char *at = tap_name; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 0x100000001b3ull;
    hash ^= hash >> 40;
    mac[0] = 0x02; /* unicast, locally administered */
    for (unsigned i = 1; i < 6; i++)
        mac[i] = (uint8_t)(hash >> (8 * (i - 1)));
}

/* Also tells the interface's name. */
static int check_tap_fd(int fd, const char *name, char *tap_name, struct husk_error *err)
{
    struct ifreq request;

    memset(&request, 0, sizeof(request));
    if (ioctl(fd, TUNGETIFF, &request) < 0)
        return error_set(err, EINVAL, name, "cannot use the descriptor", "it is not a tap");
    if (!(request.ifr_flags & IFF_TAP) || !(request.ifr_flags & IFF_VNET_HDR) ||
        !(request.ifr_flags & IFF_NO_PI))
        return error_set(err, EINVAL, name, "cannot use the descriptor",
                         "it must be a tap with IFF_NO_PI and IFF_VNET_HDR");
    if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_set(err, errno, name, "cannot use the descriptor", NULL);
    snprintf(tap_name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, request.ifr_name);
    return 0;
}

static int open_taps(struct net_config *net, unsigned index, const char *name,
                     struct husk_error *err)
{
    static const uint8_t no_mac[6];
    char tap_name[IFNAMSIZ] = "";
    int ret = 0;

    if (net->tap_fds[0] < 0) {
        snprintf(tap_name, sizeof(tap_name), "%s", net->tap_name);
        ret = tap_open(net->tap_name, net->queue_pairs, net->tap_fds, err);
    } else {
        for (unsigned i = 0; !ret && i < net->queue_pairs; i++)
            ret = check_tap_fd(net->tap_fds[i], name, tap_name, err);
    }
    if (!ret && !memcmp(net->mac, no_mac, sizeof(no_mac)))
        derive_mac(tap_name, index, net->mac);
    return ret;
}

static int open_vhost(struct net_config *net, const char *name, const struct log *log,
                      struct husk_error *err)
{
    struct husk_error reason;
    char text[256];
    int ret;

    if (net->vhost == HUSK_VHOST_OFF || net->vhost_fds[0] >= 0)
        return 0;
    ret = vhost_net_open(net->queue_pairs, net->vhost_fds, &reason);
    if (!ret)
        return 0;
    for (unsigned i = 0; i < net->queue_pairs; i++)
        net->vhost_fds[i] = -1;
    if (net->vhost == HUSK_VHOST_ON) {
        if (err)
            *err = reason;
        return ret;
    }
    log_info(log, name, "without the kernel's data path: %s",
             error_format(&reason, text, sizeof(text)));
    return 0;
}

int machine_open_net(struct net_config *net, unsigned index, const char *name,
                     const struct log *log, struct husk_error *err)
{
    int ret = open_taps(net, index, name, err);

    return ret ? ret : open_vhost(net, name, log, err);
}

static int open_devices(struct machine_config *config, const struct log *log,
                        struct husk_error *err)
{
    char name[CONFIG_NAME_MAX];
    int ret = 0;

    for (unsigned i = 0; !ret && i < config->drive_count; i++) {
        snprintf(name, sizeof(name), "drive %u", i + 1);
        ret = machine_open_drive(config, &config->drives[i], name, err);
    }
    for (unsigned i = 0; !ret && i < config->net_count; i++) {
        snprintf(name, sizeof(name), "net %u", i + 1);
        ret = machine_open_net(&config->nets[i], i, name, log, err);
    }
    return ret;
}

static int open_vsock(struct vsock_config *vsock, struct husk_error *err)
{
    int fd = vsock_listen(vsock->path, &vsock->socket_device, &vsock->socket_inode, err);

    if (fd < 0)
        return fd;
    vsock->listen_fd = fd;
    vsock->socket_made = true;
    return 0;
}

int machine_open(struct machine_config *config, const struct log *log, struct husk_error *err)
{
    int ret = open_kvm(config, err);

    if (!ret && config->pages == HUSK_PAGES_2M)
        ret = guest_memory_check_2m(config->memory_bytes, err);
    if (!ret)
        ret = open_boot(&config->kernel, "kernel", "cannot open the kernel", err);
    if (!ret)
        ret = open_boot(&config->initrd, "initrd", "cannot open the initrd", err);
    if (!ret)
        ret = open_devices(config, log, err);
    if (!ret)
        ret = vfio_open_devices(&vfio_this_host, config, err);
    if (!ret && config->vsock.present)
        ret = open_vsock(&config->vsock, err);
    return ret;
}

static int open_console_end(int fd, int access, int *out, struct husk_error *err)
{
    if (fd < 0)
        return 0;
    *out = dup_nonblocking(fd, access);
    return *out < 0 ? error_set(err, -*out, "console", "cannot use the descriptor", NULL) : 0;
}

int machine_open_console(const struct machine_config *config, int *in, int *out,
                         struct husk_error *err)
{
    int ret = 0;

    *in = *out = -1;
    if (config->console == HUSK_CONSOLE_NONE)
        return 0;
    ret = open_console_end(config->console_in_fd, O_RDONLY, in, err);
    if (!ret)
        ret = open_console_end(config->console_out_fd, O_WRONLY, out, err);
    if (ret) {
        close_fd(in);
        close_fd(out);
    }
    return ret;
}
