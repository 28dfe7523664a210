// SPDX-License-Identifier: Apache-2.0
/*
 * /drives/{drive_id}. The root drive is kept first, so that it is the guest's /dev/vda whatever the
 * order of the requests; the others keep the order in which their ids came.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/api/device_kind.h"
#include "vmm/api/start.h"

#define PREFIX     "Drive config error: "
#define BAD_DEVICE PREFIX "Unable to create the virtio block device: "
#define BAD_PATCH  PREFIX "Unable to patch the block device"

static int check_path(const struct drive_settings *drive, struct api_fault *fault)
{
    int mode = drive->is_read_only.value ? O_RDONLY : O_RDWR;
    int fd = open(drive->path_on_host, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    bool usable;

    if (fd < 0)
        return api_fault_set(fault,
                             BAD_DEVICE "path_on_host: Error manipulating the backing file: %s %s",
                             strerror(errno), drive->path_on_host);
    usable = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
    close(fd);
    return usable ? 0
                  : api_fault_set(fault,
                                  BAD_DEVICE "path_on_host: it is neither a regular file nor a "
                                             "block device: %s",
                                  drive->path_on_host);
}

static int check(const struct drive_settings *drive, struct api_fault *fault)
{
    if (drive->socket)
        return api_fault_set(fault, BAD_DEVICE "socket: vhost-user drives are not supported.");
    if (!drive->path_on_host)
        return api_fault_set(fault, BAD_DEVICE "missing field `path_on_host`");
    if (drive->is_root_device.value && drive->partuuid && strpbrk(drive->partuuid, " \t\r\n"))
        return api_fault_set(fault, BAD_DEVICE "partuuid: it has a space.");
    return check_path(drive, fault);
}

static int check_place(const struct api *api, const struct drive_settings *drive, unsigned place,
                       struct api_fault *fault)
{
    bool has_root = api->drive_count > 0 && api->drives[0].is_root_device.value;

    if (drive->is_root_device.value && has_root && place != 0)
        return api_fault_set(fault,
                             PREFIX "is_root_device: A root block device already exists! (%s)",
                             api->drives[0].drive_id);
    if (place == API_DEVICES_MAX)
        return api_fault_set(fault, BAD_DEVICE "there are %u drives already.", API_DEVICES_MAX);
    return 0;
}

/* Takes the drive over. */
static void insert(struct api *api, const struct drive_settings *drive, unsigned place)
{
    device_set(api, &drive_kind, place, drive);
    if (!drive->is_root_device.value)
        return;
    memmove(&api->drives[1], &api->drives[0], place * sizeof(api->drives[0]));
    api->drives[0] = *drive;
}

static void fill_defaults(struct drive_settings *drive)
{
    drive->is_read_only.given = true;
    drive->cache_type.given = true;
    /* Clients that leave it out in their language write "". */
    if (drive->partuuid && !*drive->partuuid) {
        free(drive->partuuid);
        drive->partuuid = NULL;
    }
}

static int check_ids(const struct api_call *call, const char *id, struct api_fault *fault)
{
    if (call->id && strcmp(call->id, id) != 0)
        return api_fault_set(fault, "drive_id: The id from the path does not match the id from the "
                                    "body!");
    return check_device_id(id, fault);
}

/* Plug the drive into the running VM. */
static int plug(struct api *api, const struct drive_settings *drive, unsigned place,
                struct api_fault *fault)
{
    struct husk_drive_options options;
    struct husk_error err = {0};
    int ret = need_pci(api, fault);

    if (!ret)
        ret = device_check_new(api, &drive_kind, drive->drive_id, fault);
    if (ret)
        return ret;
    if (drive->is_root_device.value)
        return api_fault_set(fault, PREFIX "is_root_device: a root device cannot be added after "
                                           "the start");
    ret = check(drive, fault);
    if (!ret)
        ret = check_place(api, drive, place, fault);
    if (ret)
        return ret;
    drive_options_of(drive, &options);
    return husk_vm_add_drive(api->vm, &options, &err)
               ? api_fault_error(fault, PREFIX "Unable to create the virtio block device", &err)
               : 0;
}

int drive_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct drive_settings drive = {0};
    unsigned place;
    int ret = read_body(call, &drive_shape, &drive, fault);

    if (ret)
        return ret;
    fill_defaults(&drive);
    place = device_find(api, &drive_kind, drive.drive_id);
    ret = check_ids(call, drive.drive_id, fault);
    if (!ret && api->vm) {
        ret = plug(api, &drive, place, fault);
    } else if (!ret) {
        ret = check(&drive, fault);
        if (!ret)
            ret = check_place(api, &drive, place, fault);
    }
    if (ret)
        json_release(&drive_shape, &drive);
    else
        insert(api, &drive, place);
    return ret;
}

/* The settings follow the VM, for GET /vm/config. */
static void note_patch(struct drive_settings *drive, struct drive_patch *patch)
{
    if (patch->path_on_host) {
        free(drive->path_on_host);
        drive->path_on_host = patch->path_on_host;
        patch->path_on_host = NULL;
    }
    if (patch->rate_limiter.given)
        drive->rate_limiter.given = true;
    if (patch->rate_limiter.bandwidth.given)
        drive->rate_limiter.bandwidth = patch->rate_limiter.bandwidth;
    if (patch->rate_limiter.ops.given)
        drive->rate_limiter.ops = patch->rate_limiter.ops;
}

static int patch_vm(struct api *api, const struct drive_patch *patch, struct api_fault *fault)
{
    struct husk_rate operations = rate_of_bucket(&patch->rate_limiter.ops);
    struct husk_rate bandwidth = rate_of_bucket(&patch->rate_limiter.bandwidth);
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    struct husk_error err = {0};

    update.path = patch->path_on_host;
    if (patch->rate_limiter.ops.given)
        update.operations = &operations;
    if (patch->rate_limiter.bandwidth.given)
        update.bandwidth = &bandwidth;
    return husk_vm_update_drive(api->vm, patch->drive_id, &update, &err)
               ? api_fault_error(fault, BAD_PATCH, &err)
               : 0;
}

int drive_patch(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct drive_patch patch = {0};
    unsigned place;
    int ret = read_body(call, &drive_patch_shape, &patch, fault);

    if (ret)
        return ret;
    ret = check_ids(call, patch.drive_id, fault);
    if (!ret)
        ret = need_started(api, fault);
    if (!ret) {
        place = device_find(api, &drive_kind, patch.drive_id);
        if (place == api->drive_count)
            ret =
                api_fault_set(fault, BAD_PATCH ": drive_id: there is no drive %s", patch.drive_id);
        else
            ret = patch_vm(api, &patch, fault);
        if (!ret)
            note_patch(&api->drives[place], &patch);
    }
    json_release(&drive_patch_shape, &patch);
    return ret;
}

int drive_delete(struct api *api, struct api_call *call, struct api_fault *fault)
{
    unsigned place;
    int ret = device_to_remove(api, &drive_kind, call, &place, fault);

    if (!ret && api->drives[place].is_root_device.value)
        ret = api_fault_set(fault, "Cannot unplug root device: %s", call->id);
    return ret ? ret : device_remove(api, &drive_kind, call->id, fault);
}
