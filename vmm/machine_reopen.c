// SPDX-License-Identifier: Apache-2.0
/*
 * Opening the file of a drive update, in the process that has the right to the path; see
 * machine_open.c, whose sibling this is. Whether the machine can use it, it finds out itself.
 *
 * The path may name the file that is the disk already: people grow an image and want the guest to
 * know. That file is locked, by the machine. It is opened once more, for reading and without a
 * lock: enough for the machine to see that it is the same, and how large it is now, and useless for
 * anything else.
 *
 * Runs on the thread that asks for the update; holds no state.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/io.h"
#include "devices/backend/block.h"
#include "vmm/machine.h"

#define CANNOT_UPDATE "cannot change the drive"

static int open_path(const char *path, bool read_only, struct drive_file *out,
                     struct husk_error *err)
{
    const struct block_open_options options = {.path = path, .fd = -1, .read_only = read_only};
    struct husk_error error;
    uint64_t size_bytes;
    int fd = block_image_open(&options, &size_bytes, &error);

    if (fd == -EBUSY) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
            fd = -EBUSY;
        else
            out->in_use = error;
    }
    if (fd < 0) {
        if (err)
            *err = error;
        return fd;
    }
    out->fd = fd;
    out->opened = true;
    return 0;
}

int machine_reopen_drive(struct machine_config *config, const char *id,
                         const struct husk_drive_update *update, struct drive_file *out,
                         struct husk_error *err)
{
    bool read_only;
    int index;

    pthread_mutex_lock(&config->devices_lock);
    index = machine_config_find_drive(config, id, CANNOT_UPDATE, err);
    read_only = index >= 0 && config->drives[index].read_only;
    pthread_mutex_unlock(&config->devices_lock);
    if (index < 0)
        return index;
    *out = (struct drive_file){.fd = update->fd < 0 ? -1 : update->fd};
    if (out->fd >= 0 || !update->path)
        return 0;
    if (!update->path[0])
        return error_set(err, EINVAL, id, CANNOT_UPDATE, "the path is empty");
    return open_path(update->path, read_only, out, err);
}

int machine_reopen_done(struct drive_file *file, int ret, struct husk_error *err)
{
    if (ret == 0 || !file->opened)
        return ret;
    close_fd(&file->fd);
    /* It was opened to be compared only, and is another file: then it is in use. */
    if (ret != -EBADF || !file->in_use.code)
        return ret;
    if (err)
        *err = file->in_use;
    return -file->in_use.code;
}
