// SPDX-License-Identifier: Apache-2.0
/* Volumes: see volume.h. All are in the agent's list. */
#include "guest/agent/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/container.h"
#include "guest/agent/files.h"
#include "guest/agent/mounts.h"
#include "guest/agent/tree.h"

#define SERIAL_MAX  20 /* virtio 1.2, 5.2.6: VIRTIO_BLK_T_GET_ID */
#define OPTIONS_MAX 32
#define PATH_SIZE   (sizeof(HUSK_AGENT_VOLUMES) + HUSK_AGENT_NAME_MAX + 2)

struct wish {
    const char *name, *disk, *tag, *type, *parent;
    uint64_t tmpfs_bytes, offset_bytes, size_bytes; /* size_bytes 0: the whole disk */
    bool is_tmpfs, readonly;
    const char **options;
    uint64_t mode, uid, gid; /* of the root */
    bool mode_given, uid_given, gid_given;
};

struct volume *volume_find(const struct agent *agent, const char *name)
{
    struct volume *volume = agent->volumes;

    while (volume && strcmp(volume->name, name))
        volume = volume->next;
    return volume;
}

static bool has_serial(const char *disk, const char *serial)
{
    char path[300], text[SERIAL_MAX + 2];

    snprintf(path, sizeof(path), "/sys/block/%.255s/serial", disk);
    if (file_read(AT_FDCWD, path, text, sizeof(text)))
        return false;
    text[strcspn(text, "\n")] = '\0';
    return !strcmp(text, serial);
}

/* The name of the disk with this serial number. */
static int find_disk(const char *serial, char *name, size_t size, struct husk_error *err)
{
    DIR *list = opendir("/sys/block");
    const struct dirent *entry;
    int ret = -ENOENT;

    while (list && ret && (entry = readdir(list))) {
        if (entry->d_name[0] != '.' && has_serial(entry->d_name, serial)) {
            snprintf(name, size, "%.200s", entry->d_name);
            ret = 0;
        }
    }
    if (list)
        closedir(list);
    return ret ? error_set(err, ENOENT, serial, "the guest has no such disk", "%s", "") : 0;
}

static int read_wish(const struct node *params, struct wish *wish, struct husk_error *err)
{
    bool has_offset = false, has_size = false;
    int sources, ret = node_text(params, "disk", 1, SERIAL_MAX, &wish->disk, err);

    if (!ret)
        ret = node_text(params, "virtiofs", 1, 36, &wish->tag, err);
    if (!ret)
        ret = node_unsigned(params, "tmpfs_bytes", INT64_MAX, &wish->tmpfs_bytes, &wish->is_tmpfs,
                            err);
    if (!ret)
        ret = node_text(params, "directory", 1, HUSK_AGENT_NAME_MAX, &wish->parent, err);
    if (!ret)
        ret =
            node_unsigned(params, "offset_bytes", INT64_MAX, &wish->offset_bytes, &has_offset, err);
    if (!ret)
        ret = node_unsigned(params, "size_bytes", INT64_MAX, &wish->size_bytes, &has_size, err);
    if (!ret)
        ret = node_text(params, "fstype", 1, 32, &wish->type, err);
    if (!ret)
        ret = node_flag(params, "readonly", &wish->readonly, err);
    if (!ret)
        ret = node_texts(params, "options", OPTIONS_MAX, 255, &wish->options, err);
    if (!ret)
        ret = node_unsigned(params, "mode", 07777, &wish->mode, &wish->mode_given, err);
    if (!ret)
        ret = node_unsigned(params, "uid", UINT32_MAX - 1, &wish->uid, &wish->uid_given, err);
    if (!ret)
        ret = node_unsigned(params, "gid", UINT32_MAX - 1, &wish->gid, &wish->gid_given, err);
    if (ret)
        return ret;
    if (wish->readonly && (wish->mode_given || wish->uid_given || wish->gid_given))
        return node_error(params, EINVAL, err, "a read-only volume's root stays as it is");
    sources = (wish->disk != NULL) + (wish->tag != NULL) + wish->is_tmpfs + (wish->parent != NULL);
    if (sources != 1)
        return node_error(params, EINVAL, err,
                          "wants one of disk, virtiofs, tmpfs_bytes, directory");
    if (wish->parent && wish->options)
        return node_error(params, EINVAL, err, "a directory has no options");
    if (!wish->disk == (wish->type != NULL))
        return node_error(params, EINVAL, err, "wants an fstype for a disk, and only then");
    if (has_offset != has_size || (has_size && (!wish->disk || !wish->size_bytes)))
        return node_error(params, EINVAL, err,
                          "wants both offset_bytes and size_bytes for a part of a disk");
    return 0;
}

/* Partitions that volumes have are numbered from 1 on. */
static int next_number(const struct agent *agent, const char *disk)
{
    int number = 0;

    for (const struct volume *at = agent->volumes; at; at = at->next) {
        if (!strcmp(at->partition.disk, disk) && at->partition.number > number)
            number = at->partition.number;
    }
    return number + 1;
}

/* The block device of a wish for a disk, or for a part of one. */
static int find_device(const struct agent *agent, const struct wish *wish,
                       struct partition *partition, char *device, size_t size,
                       struct husk_error *err)
{
    char disk[256];
    int ret = find_disk(wish->disk, disk, sizeof(disk), err);

    if (ret)
        return ret;
    if (wish->size_bytes)
        return partition_add(disk, wish->offset_bytes, wish->size_bytes, next_number(agent, disk),
                             partition, device, size, err);
    snprintf(device, size, "/dev/%.200s", disk);
    return 0;
}

static bool is_writable(const struct agent *agent, const char *name)
{
    const struct volume *volume = volume_find(agent, name);

    return volume && !volume->readonly;
}

/* A directory "v-NAME" of a writable volume, in which only the agent makes names, as a detached
 * mount. It may be there from an earlier machine that had the same disk. */
static int mount_directory(const struct agent *agent, const struct wish *wish, uint64_t attributes,
                           struct husk_error *err)
{
    char path[2 * PATH_SIZE];
    struct mount_attr attr = {.attr_set = attributes};
    int fd;

    if (!is_writable(agent, wish->parent))
        return error_set(err, ENOENT, wish->parent, "there is no such writable volume", "%s", "");
    snprintf(path, sizeof(path), "%s/%s/v-%s", HUSK_AGENT_VOLUMES, wish->parent, wish->name);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return error_set(err, errno, path, "cannot be made", NULL);
    fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
        int ret = error_set(err, errno, path, "cannot be mounted", NULL);

        close_fd(&fd);
        rmdir(path);
        return ret;
    }
    return fd;
}

/* A detached mount of what is wished. */
static int mount_wish(const struct agent *agent, const struct wish *wish,
                      struct partition *partition, struct husk_error *err)
{
    uint64_t attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
    char device[256], why[192] = "", size[40];
    const char *const tmpfs[] = {size, "mode=0755", NULL};
    int fd, ret = 0;

    if (wish->readonly)
        attributes |= MOUNT_ATTR_RDONLY;
    if (wish->parent)
        return mount_directory(agent, wish, attributes, err);
    if (wish->disk) {
        const char *readonly[OPTIONS_MAX + 2] = {"ro"};

        for (int i = 0; wish->readonly && wish->options && wish->options[i]; i++)
            readonly[i + 1] = wish->options[i];
        ret = find_device(agent, wish, partition, device, sizeof(device), err);
        if (ret)
            return ret;
        fd = mount_new(wish->type, device, wish->readonly ? readonly : wish->options, attributes,
                       why, sizeof(why));
    } else if (wish->tag) {
        fd = mount_new("virtiofs", wish->tag, wish->options, attributes, why, sizeof(why));
    } else {
        snprintf(size, sizeof(size), "size=%llu", (unsigned long long)wish->tmpfs_bytes);
        fd = mount_new("tmpfs", "tmpfs", tmpfs, attributes, why, sizeof(why));
    }
    if (fd < 0)
        return error_set(err, -fd, wish->name, "cannot be mounted", "%s",
                         why[0] ? why : error_text(-fd));
    return fd;
}

/* Owner and mode of a mount's root, in this order: a change of the owner takes bits of the mode. */
static int set_root(int fd, const struct wish *wish, struct husk_error *err)
{
    int root, ret = 0;

    if (!wish->mode_given && !wish->uid_given && !wish->gid_given)
        return 0;
    root = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 ||
        fchown(root, wish->uid_given ? (uid_t)wish->uid : (uid_t)-1,
               wish->gid_given ? (gid_t)wish->gid : (gid_t)-1) < 0 ||
        (wish->mode_given && fchmod(root, (mode_t)wish->mode) < 0))
        ret = error_set(err, errno, wish->name, "cannot have this owner and mode", NULL);
    close_fd(&root);
    return ret;
}

static int put_in_place(int fd, const char *name, struct husk_error *err)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_VOLUMES, name);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return error_set(err, errno, path, "cannot be made", NULL);
    if (move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, path, "cannot be mounted", NULL);
    return 0;
}

static void discard_directory(struct agent *agent, const char *parent, const char *name)
{
    char base[PATH_SIZE], own[HUSK_AGENT_NAME_MAX + 3];

    snprintf(base, sizeof(base), "%s/%s", HUSK_AGENT_VOLUMES, parent);
    snprintf(own, sizeof(own), "v-%s", name);
    tree_discard(base, own, agent->trash_count++);
}

static int make(struct agent *agent, const struct wish *wish, struct partition *partition,
                struct husk_error *err)
{
    int fd = mount_wish(agent, wish, partition, err), ret;

    if (fd < 0)
        return fd;
    ret = set_root(fd, wish, err);
    if (!ret)
        ret = put_in_place(fd, wish->name, err);
    if (ret && wish->parent)
        discard_directory(agent, wish->parent, wish->name);
    close(fd);
    return ret;
}

int volume_add(struct agent *agent, const struct node *params, struct husk_error *err)
{
    struct wish wish = {.options = NULL};
    struct partition partition = {.disk = ""};
    struct volume *volume;
    const char *name = NULL;
    int ret = node_need_text(params, "volume", 1, HUSK_AGENT_NAME_MAX, &name, err);

    if (ret)
        return ret;
    if (!agent_name_is_good(name))
        return error_set(err, EINVAL, "volume.add.volume", "is not valid", "is no name");
    if (volume_find(agent, name))
        return error_set(err, EEXIST, name, "there is such a volume", "%s", "");
    if (agent->volume_count >= HUSK_AGENT_VOLUMES_MAX)
        return error_set(err, ENOSPC, name, "cannot be added", "there are %d volumes",
                         HUSK_AGENT_VOLUMES_MAX);
    volume = calloc(1, sizeof(*volume));
    if (!volume)
        return error_set(err, ENOMEM, name, "cannot be added", NULL);
    wish.name = name;
    ret = read_wish(params, &wish, err);
    if (!ret)
        ret = make(agent, &wish, &partition, err);
    free(wish.options);
    if (ret) {
        partition_remove(&partition);
        free(volume);
        return ret;
    }
    volume->partition = partition;
    snprintf(volume->name, sizeof(volume->name), "%s", name);
    snprintf(volume->parent, sizeof(volume->parent), "%s", wish.parent ? wish.parent : "");
    volume->readonly = wish.readonly;
    volume->next = agent->volumes;
    agent->volumes = volume;
    agent->volume_count++;
    return 0;
}

static bool uses(const struct container *container, const char *name)
{
    char path[PATH_SIZE];
    size_t len = (size_t)snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_VOLUMES, name);

    if (!strcmp(container->upper, name))
        return true;
    for (char **layer = container->layers; layer && *layer; layer++) {
        if (!strcmp(*layer, name))
            return true;
    }
    for (size_t i = 0; i < container->config.mount_count; i++) {
        const char *source = container->config.mounts[i].source;

        if (source && !strncmp(source, path, len) && (source[len] == '/' || !source[len]))
            return true;
    }
    return false;
}

static void unmount(struct agent *agent, struct volume *volume)
{
    struct volume **at = &agent->volumes;
    char path[PATH_SIZE];

    snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_VOLUMES, volume->name);
    umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    rmdir(path);
    /* At the machine's end it stays for the next one that has the same disk. */
    if (volume->parent[0] && !agent->ending)
        discard_directory(agent, volume->parent, volume->name);
    partition_remove(&volume->partition);
    while (*at && *at != volume)
        at = &(*at)->next;
    if (*at)
        *at = volume->next;
    agent->volume_count--;
    free(volume);
}

int volume_remove(struct agent *agent, const char *name, struct husk_error *err)
{
    struct volume *volume = volume_find(agent, name);

    if (!volume)
        return error_set(err, ENOENT, name, "there is no such volume", "%s", "");
    for (const struct container *at = agent->containers; at; at = at->next) {
        if (uses(at, name))
            return error_set(err, ESTALE, name, "is in use", "by the container %s", at->name);
    }
    for (const struct volume *at = agent->volumes; at; at = at->next) {
        if (!strcmp(at->parent, name))
            return error_set(err, ESTALE, name, "is in use", "by the volume %s", at->name);
    }
    unmount(agent, volume);
    return 0;
}

void volume_remove_all(struct agent *agent)
{
    while (agent->volumes)
        unmount(agent, agent->volumes);
}

int volume_fill_list(const struct agent *agent, const struct node *params, const char ***out,
                     struct husk_error *err)
{
    struct node array = node_member(params, "fill");
    int ret = node_texts(params, "fill", HUSK_AGENT_VOLUMES_MAX, HUSK_AGENT_NAME_MAX, out, err);

    for (size_t i = 0; !ret && *out && (*out)[i]; i++) {
        struct node element = node_element(&array, i);

        if (!is_writable(agent, (*out)[i]))
            ret = node_error(&element, ENOENT, err, "there is no such writable volume");
    }
    if (ret) {
        free(*out);
        *out = NULL;
    }
    return ret;
}
