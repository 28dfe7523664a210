// SPDX-License-Identifier: Apache-2.0
/*
 * The socket device's part of a configuration, and the end of its unix socket.
 *
 * Runs on the configuring thread; strings and descriptor belong to the configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/config.h"

#define NAME             "vsock"
#define CANNOT_CONFIGURE "cannot configure the VM"
#define FIRST_CID        3u
#define LAST_CID         4294967294u
/* What a port adds to the path of a guest's connection. */
#define PORT_SUFFIX      "_4294967295"
#define PATH_MAX_BYTES   (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(PORT_SUFFIX))

static int check_vsock(const struct husk_vsock_options *options, struct husk_error *err)
{
    if (options->guest_cid < FIRST_CID || options->guest_cid > LAST_CID)
        return error_set(err, ERANGE, NAME ": cid", CANNOT_CONFIGURE, "%u is not between %u and %u",
                         options->guest_cid, FIRST_CID, LAST_CID);
    if (!options->path || !options->path[0])
        return error_set(err, EINVAL, NAME ": path", CANNOT_CONFIGURE, "no socket was named");
    if (strlen(options->path) > PATH_MAX_BYTES)
        return error_set(err, ENAMETOOLONG, NAME ": path", CANNOT_CONFIGURE,
                         "it is longer than %zu bytes, which leave room for \"" PORT_SUFFIX "\"",
                         PATH_MAX_BYTES);
    return 0;
}

int machine_config_set_vsock(struct machine_config *config, const struct husk_vsock_options *given,
                             struct husk_error *err)
{
    struct husk_vsock_options options = HUSK_VSOCK_OPTIONS_INIT;
    char *path, *prefix;
    int ret = config_copy_options(&options, sizeof(options), given, NAME, err);

    if (ret)
        return ret;
    if (config->vsock.present)
        return error_set(err, EEXIST, NAME, CANNOT_CONFIGURE, "the VM has a vsock device already");
    ret = config_check_room(config, 0, NAME, err);
    if (!ret)
        ret = check_vsock(&options, err);
    if (ret)
        return ret;
    path = strdup(options.path);
    prefix = strdup(options.path);
    if (!path || !prefix) {
        free(path);
        free(prefix);
        return error_set(err, ENOMEM, NAME, CANNOT_CONFIGURE, NULL);
    }
    config->vsock = (struct vsock_config){
        .present = true,
        .guest_cid = options.guest_cid,
        .path = path,
        .listen_fd = -1,
        .connect_prefix = prefix,
    };
    return 0;
}

void vsock_config_release(struct vsock_config *vsock)
{
    struct stat info;

    if (!vsock->present)
        return;
    /* Somebody may have replaced it: only our own file is removed. */
    if (vsock->socket_made && lstat(vsock->path, &info) == 0 &&
        info.st_dev == vsock->socket_device && info.st_ino == vsock->socket_inode)
        unlink(vsock->path);
    close_fd(&vsock->listen_fd);
    free(vsock->path);
    free(vsock->connect_prefix);
    *vsock = (struct vsock_config){.listen_fd = -1};
}
