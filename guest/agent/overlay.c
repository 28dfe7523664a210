// SPDX-License-Identifier: Apache-2.0
/*
 * Overlay roots: see overlay.h. Below the upper volume (or the agent's own memory, where the root
 * is read-only and only mount points get made) there is a directory for each container, "c-NAME",
 * with "upper" and "work"; deleted ones are renamed to "trash-N" until they are gone. What is on a
 * volume stays there when the machine ends, and is used again by one that has the same disk.
 */
#include "guest/agent/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/tree.h"
#include "guest/agent/volume.h"

#define OWN_UPPERS "/run/husk/uppers"
#define ROOTS      "/run/husk/roots"
#define DATA_SIZE  4096 /* mount(2) takes a page */
#define PATH_SIZE  200

static void upper_base(const struct container *container, char *path)
{
    if (container->upper[0])
        snprintf(path, PATH_SIZE, "%s/%s", HUSK_AGENT_VOLUMES, container->upper);
    else
        snprintf(path, PATH_SIZE, "%s", OWN_UPPERS);
}

static int read_layers(struct container *container, const struct node *rootfs,
                       struct husk_error *err)
{
    struct node layers, upper = node_member(rootfs, "upper");
    const char *name = NULL;
    int ret = node_array(rootfs, "layers", HUSK_AGENT_LAYERS_MAX, &layers, err);

    if (!ret && !node_count(&layers))
        ret = node_error(&layers, EINVAL, err, "has no layer");
    if (ret)
        return ret;
    container->layers = calloc(node_count(&layers) + 1, sizeof(*container->layers));
    if (!container->layers)
        return node_error(&layers, ENOMEM, err, "no memory");
    for (size_t i = 0; i < node_count(&layers); i++) {
        struct node element = node_element(&layers, i);

        ret = node_text_value(&element, 1, HUSK_AGENT_NAME_MAX, &name, err);
        if (!ret && !volume_find(container->agent, name))
            ret = node_error(&element, ENOENT, err, "there is no such volume");
        if (ret)
            return ret;
        container->layers[i] = strdup(name);
        if (!container->layers[i])
            return node_error(&element, ENOMEM, err, "no memory");
    }
    name = NULL;
    ret = node_text(rootfs, "upper", 1, HUSK_AGENT_NAME_MAX, &name, err);
    if (ret || !name)
        return ret;
    if (!volume_find(container->agent, name) || volume_find(container->agent, name)->readonly)
        return node_error(&upper, ENOENT, err, "there is no such writable volume");
    snprintf(container->upper, sizeof(container->upper), "%s", name);
    return 0;
}

static int make_directories(const struct container *container, const char *base)
{
    static const char *const parts[] = {"", "/upper", "/work"};
    char path[PATH_SIZE * 2];

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        snprintf(path, sizeof(path), "%s/c-%s%s", base, container->name, parts[i]);
        if (mkdir(path, i ? 0755 : 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    if (mkdir(container->root_path, 0755) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

/* Layers go in as descriptors: short, and no name can hold a separator. The highest comes first. */
static int add_layers(const struct container *container, char *data, int *fds, int *count)
{
    size_t layers = 0, len = strlen(data);
    char path[PATH_SIZE];

    while (container->layers[layers])
        layers++;
    while (layers-- > 0) {
        int fd, wrote;

        snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_VOLUMES, container->layers[layers]);
        fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        fds[(*count)++] = fd;
        wrote = snprintf(data + len, DATA_SIZE - len, "%s/proc/self/fd/%d",
                         data[len - 1] == '=' ? "" : ":", fd);
        if (wrote < 0 || (size_t)wrote >= DATA_SIZE - len)
            return -E2BIG;
        len += (size_t)wrote;
    }
    return 0;
}

static int mount_layers(const struct container *container, const char *base)
{
    int fds[HUSK_AGENT_LAYERS_MAX], count = 0, ret;
    char data[DATA_SIZE];

    snprintf(data, sizeof(data), "upperdir=%s/c-%s/upper,workdir=%s/c-%s/work,lowerdir=", base,
             container->name, base, container->name);
    ret = add_layers(container, data, fds, &count);
    if (!ret && mount("overlay", container->root_path, "overlay", 0, data) < 0)
        ret = -errno;
    while (count > 0)
        close(fds[--count]);
    return ret;
}

int overlay_mount(struct container *container, const struct node *rootfs, struct husk_error *err)
{
    static const char *const members[] = {"layers", "upper", NULL};
    char base[PATH_SIZE];
    int ret = node_only(rootfs, members, err);

    if (!ret)
        ret = read_layers(container, rootfs, err);
    if (ret)
        return ret;
    if (asprintf(&container->root_path, "%s/%s", ROOTS, container->name) < 0) {
        container->root_path = NULL;
        return error_set(err, ENOMEM, "rootfs", "cannot be mounted", NULL);
    }
    container->root_is_overlay = true;
    container->config.root_readonly |= !container->upper[0];
    upper_base(container, base);
    ret = make_directories(container, base);
    if (!ret)
        ret = mount_layers(container, base);
    return ret ? error_set(err, -ret, "rootfs", "cannot be mounted", NULL) : 0;
}

void overlay_unmount(struct container *container)
{
    char base[PATH_SIZE], own[PATH_SIZE];

    if (!container->root_is_overlay)
        return;
    umount2(container->root_path, MNT_DETACH | UMOUNT_NOFOLLOW);
    rmdir(container->root_path);
    if (container->agent->ending && container->upper[0])
        return;
    upper_base(container, base);
    snprintf(own, sizeof(own), "c-%s", container->name);
    tree_discard(base, own, container->agent->trash_count++);
}
