// SPDX-License-Identifier: Apache-2.0
/*
 * Changes of a machine that is built, and perhaps runs: another file or other limits for a drive,
 * other limits for a network device, an end with a deadline.
 *
 * Threads: any caller's; updates one at a time, under control_lock, so that they do not meet a
 * start, a pause or a resume, and under devices_lock, so that the device stays: a guest that ejects
 * it meanwhile waits. Waiting for a disk is done here, not on the I/O thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "devices/backend/block.h"
#include "devices/virtio/devices.h"
#include "vmm/machine.h"

#define CANNOT_UPDATE_DRIVE "cannot change the drive"
#define CANNOT_UPDATE_NET   "cannot change the network device"

/* How long the requests on the old file may take. Less than a library waits for its process. */
#define REPLACE_WAIT_MS 20000u

static int check_not_stopped(struct machine *machine, const char *id, const char *what,
                             struct husk_error *err)
{
    if (machine_state(machine) != HUSK_STATE_STOPPED)
        return 0;
    return error_set(err, EINVAL, id, what, "the VM is stopped");
}

/* NULL stays NULL: unchanged. */
static const struct rate_limit *to_limit(const struct husk_rate *rate, struct rate_limit *limit)
{
    if (!rate)
        return NULL;
    *limit = (struct rate_limit){.per_second = rate->per_second, .burst = rate->burst};
    return limit;
}

static int check_rate(const struct husk_rate *rate, const char *id, const char *name,
                      struct husk_error *err)
{
    return rate ? config_check_rate(rate, id, name, err) : 0;
}

/* ---- drives ---- */

/*
 * A descriptor of the file that is the disk already: it may have grown. The old descriptor goes on,
 * with its lock; the new one has served when it has told the size.
 */
static int measure_again(struct virtio_device *virtio, int fd, const char *name,
                         struct husk_error *err)
{
    uint64_t size_bytes;
    int ret = block_image_measure(fd, name, &size_bytes, err);

    if (ret)
        return ret;
    virtio_blk_resize(virtio, size_bytes); /* cannot fail: a measured image has a sector */
    close_fd(&fd);
    return 0;
}

/* The backend gets a duplicate, so that the caller's descriptor stays the caller's on failure. */
static int replace_file(struct machine *machine, unsigned index, int fd, const char *name,
                        struct husk_error *err)
{
    struct drive_config drive = machine->config->drives[index];
    struct block_open_options options = {.path = name, .fd = fd, .read_only = drive.read_only};
    struct block_backend *backend;
    char device[CONFIG_NAME_MAX];
    int ret = block_image_open(&options, &drive.size_bytes, err);

    if (ret < 0)
        return ret;
    drive.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (drive.fd < 0)
        return error_set(err, errno, name, CANNOT_UPDATE_DRIVE, NULL);
    drive.path = (char *)name; /* for a line of log; only read */
    drive.more = NULL;         /* the one file takes the place of all */
    drive.more_count = 0;
    /* Under the last filter of a jailed VM no ring can be made any more. */
    if (machine->config->confine_threads && drive.engine == HUSK_BLOCK_ENGINE_URING)
        drive.engine = HUSK_BLOCK_ENGINE_AUTO;
    snprintf(device, sizeof(device), "drive %u", index + 1);
    ret = machine_create_block(machine, &drive, device, &backend, err);
    if (ret) {
        close_fd(&drive.fd);
        return ret;
    }
    ret = virtio_blk_replace(machine->drives[index].virtio, backend, drive.size_bytes,
                             REPLACE_WAIT_MS);
    if (ret) {
        block_backend_destroy(backend);
        if (ret == -ETIMEDOUT)
            return error_set(err, ETIMEDOUT, device, CANNOT_UPDATE_DRIVE,
                             "requests on its present file have not finished within %u seconds",
                             REPLACE_WAIT_MS / 1000);
        return error_set(err, -ret, name, CANNOT_UPDATE_DRIVE, NULL);
    }
    close_fd(&fd);
    return 0;
}

static int change_file(struct machine *machine, unsigned index, int fd, const char *name,
                       struct husk_error *err)
{
    struct virtio_device *virtio = machine->drives[index].virtio;

    return virtio_blk_is_file(virtio, fd) ? measure_again(virtio, fd, name, err)
                                          : replace_file(machine, index, fd, name, err);
}

/* control_lock and devices_lock held. */
static int update_drive(struct machine *machine, const char *id,
                        const struct husk_drive_update *update, struct husk_error *err)
{
    struct rate_limit operations, bandwidth;
    int index = machine_config_find_drive(machine->config, id, CANNOT_UPDATE_DRIVE, err);
    int ret = index < 0 ? index : check_rate(update->operations, id, "operations", err);

    if (!ret)
        ret = check_rate(update->bandwidth, id, "bandwidth", err);
    if (!ret)
        ret = check_not_stopped(machine, id, CANNOT_UPDATE_DRIVE, err);
    if (!ret && update->fd >= 0)
        ret = change_file(machine, (unsigned)index, update->fd, update->path ? update->path : id,
                          err);
    if (!ret)
        virtio_blk_set_limits(machine->drives[index].virtio,
                              to_limit(update->operations, &operations),
                              to_limit(update->bandwidth, &bandwidth));
    return ret;
}

int machine_update_drive(struct machine *machine, const char *id,
                         const struct husk_drive_update *update, struct husk_error *err)
{
    int ret;

    pthread_mutex_lock(&machine->control_lock);
    pthread_mutex_lock(&machine->config->devices_lock);
    ret = update_drive(machine, id, update, err);
    pthread_mutex_unlock(&machine->config->devices_lock);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

/* ---- network devices ---- */

static int check_net_rates(const struct husk_net_update *update, const char *id,
                           struct husk_error *err)
{
    int ret = check_rate(update->rx_bandwidth, id, "receive bandwidth", err);

    if (!ret)
        ret = check_rate(update->tx_bandwidth, id, "transmit bandwidth", err);
    if (!ret)
        ret = check_rate(update->rx_operations, id, "receive operations", err);
    if (!ret)
        ret = check_rate(update->tx_operations, id, "transmit operations", err);
    return ret;
}

int machine_update_net(struct machine *machine, const char *id,
                       const struct husk_net_update *update, struct husk_error *err)
{
    struct rate_limit rx_bandwidth, tx_bandwidth, rx_operations, tx_operations;
    const struct virtio_net_limits limits = {
        .rx_bandwidth = to_limit(update->rx_bandwidth, &rx_bandwidth),
        .tx_bandwidth = to_limit(update->tx_bandwidth, &tx_bandwidth),
        .rx_operations = to_limit(update->rx_operations, &rx_operations),
        .tx_operations = to_limit(update->tx_operations, &tx_operations),
    };
    int index, ret;

    pthread_mutex_lock(&machine->config->devices_lock);
    index = machine_config_find_net(machine->config, id, CANNOT_UPDATE_NET, err);
    ret = index < 0 ? index : check_net_rates(update, id, err);
    if (!ret)
        ret = check_not_stopped(machine, id, CANNOT_UPDATE_NET, err);
    if (!ret)
        ret = virtio_net_set_limits(machine->nets[index].virtio, &limits);
    pthread_mutex_unlock(&machine->config->devices_lock);
    if (ret == -EOPNOTSUPP)
        return error_set(err, EOPNOTSUPP, id, CANNOT_UPDATE_NET,
                         "its packets go through the kernel's data path (vhost), which has no rate "
                         "limits");
    return ret;
}

/* ---- an end with a deadline ---- */

void machine_shutdown_due(void *arg)
{
    machine_stop(arg, HUSK_STOP_HOST_REQUEST, 0, NULL);
}

int machine_shutdown(struct machine *machine, unsigned grace_ms, struct husk_error *err)
{
    int ret = machine_check_started(machine, "cannot shut the VM down", err);

    if (ret)
        return ret;
    if (grace_ms == 0) {
        machine_stop(machine, HUSK_STOP_HOST_REQUEST, 0, NULL);
        return 0;
    }
    pthread_mutex_lock(&machine->lock);
    event_timer_arm(machine->shutdown_timer, (uint64_t)grace_ms * 1000000u);
    pthread_mutex_unlock(&machine->lock);
    machine_power_button(machine);
    return 0;
}
