// SPDX-License-Identifier: Apache-2.0
/* --volume and the image's volumes: see volumes.h. No state. */
#include "pod/spec/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/spec/part.h"

int volumes_clean_path(const char *path, char *out)
{
    size_t len = 0;

    if (path[0] != '/' || strlen(path) >= SPEC_PATH_SIZE)
        return -EINVAL;
    while (*path) {
        size_t name;

        path += strspn(path, "/");
        name = strcspn(path, "/");
        if (name == 2 && !strncmp(path, "..", 2)) {
            while (len && out[--len] != '/')
                ;
        } else if (name && !(name == 1 && *path == '.')) {
            out[len++] = '/';
            memcpy(out + len, path, name);
            len += name;
        }
        path += name;
    }
    if (!len)
        out[len++] = '/';
    out[len] = '\0';
    return 0;
}

static bool is_below(const char *path, const char *top)
{
    size_t len = strlen(top);

    return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

int volumes_check_destination(const char *option, const char *value, const char *path,
                              char *destination, struct husk_error *err)
{
    json_t *text;
    int ret;

    if (!spec_is_path(path) || volumes_clean_path(path, destination))
        return spec_refuse(err, EINVAL, option, value,
                           "the place in the container is not an absolute path");
    ret = spec_text(option, path, &text, err);
    if (ret)
        return ret;
    json_decref(text);
    if (!strcmp(destination, "/"))
        return spec_refuse(err, EINVAL, option, value, "the root is the image's");
    if (is_below(destination, "/proc"))
        return spec_refuse(err, EINVAL, option, value, "/proc is the kernel's");
    return 0;
}

unsigned volumes_depth(const char *path)
{
    unsigned depth = 0;

    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

const struct spec_volume *volumes_find(const struct spec *spec, const char *destination)
{
    for (unsigned i = 0; i < spec->volume_count; i++) {
        const struct spec_volume *volume = &spec->volumes[i];

        if (volume->destination && !strcmp(volume->destination, destination))
            return volume;
    }
    return NULL;
}

void volumes_free(struct spec *spec)
{
    for (unsigned i = 0; i < spec->volume_count; i++) {
        free(spec->volumes[i].source);
        free(spec->volumes[i].destination);
    }
    free(spec->volumes);
    spec->volumes = NULL;
    spec->volume_count = 0;
}

/* The words behind the second colon. Some engines' words are about things that are not here:
 * labels, caches and propagation between mount namespaces of one kernel. */
static bool parse_mode(const char *mode, struct spec_volume *out)
{
    static const char *const nothing[] = {"rw",      "z",        "Z",          "cached",
                                          "private", "rprivate", "consistent", "delegated"};

    while (*mode) {
        size_t len = strcspn(mode, ","), i = 0;

        if (len == 2 && !strncmp(mode, "ro", 2))
            out->readonly = true;
        else if (len == 6 && !strncmp(mode, "nocopy", 6))
            out->fill = false;
        else {
            while (i < ARRAY_SIZE(nothing) &&
                   (strlen(nothing[i]) != len || strncmp(nothing[i], mode, len) != 0))
                i++;
            if (i == ARRAY_SIZE(nothing))
                return false;
        }
        mode += len;
        if (*mode == ',' && !*++mode)
            return false;
    }
    return true;
}

/* What the source is decides what becomes of it. */
static int open_source(const char *value, const char *source, struct spec_volume *out,
                       struct husk_error *err)
{
    int fd, ret = 0;
    struct stat info;

    out->source = realpath(source, NULL);
    if (!out->source && errno == ENOENT && !strchr(source, '/'))
        return spec_refuse(err, ENOENT, "--volume", value,
                           "there is no such file; volumes do not have names of their own");
    if (!out->source)
        return spec_refuse(err, errno, "--volume", value, "%s", error_text(errno));
    fd = open(out->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) < 0)
        ret = spec_refuse(err, errno, "--volume", value, "%s", error_text(errno));
    else if (S_ISDIR(info.st_mode))
        out->kind = SPEC_VOLUME_DIRECTORY;
    else if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
        ret = spec_refuse(err, EINVAL, "--volume", value,
                          "is neither a directory, a file nor a block device");
    else if ((ret = volumes_probe(fd, out->fstype, &out->readonly)))
        ret = spec_refuse(err, -ret, "--volume", value, "%s", error_text(-ret));
    else if (out->fstype[0] && strcmp(out->fstype, "ext4") != 0 &&
             strcmp(out->fstype, "erofs") != 0)
        /* To be copied as a file is hardly what somebody wants of it. */
        ret = spec_refuse(err, ENOTSUP, "--volume", value,
                          "holds %s; the guest mounts ext2, ext3, ext4 and erofs", out->fstype);
    else if (!out->fstype[0] && S_ISBLK(info.st_mode))
        ret = spec_refuse(err, EINVAL, "--volume", value,
                          "there is no file system on the device that a guest could mount");
    else
        out->kind = out->fstype[0] ? SPEC_VOLUME_DISK : SPEC_VOLUME_FILE;
    if (fd >= 0)
        close(fd);
    return ret;
}

static int add(struct spec *out, const char *option, const char *value, const char *path,
               struct spec_volume **added, struct husk_error *err)
{
    char destination[SPEC_PATH_SIZE];
    struct spec_volume *volume = &out->volumes[out->volume_count];
    int ret = volumes_check_destination(option, value, path, destination, err);

    *added = volume;
    if (ret)
        return ret;
    if (volumes_find(out, destination))
        return spec_refuse(err, EINVAL, option, value, "there are two volumes at %.100s",
                           destination);
    if (out->volume_count == SPEC_VOLUMES_MAX)
        return spec_refuse(err, E2BIG, option, value, "there are more than %u volumes",
                           SPEC_VOLUMES_MAX);
    *volume = (struct spec_volume){.kind = SPEC_VOLUME_ANONYMOUS};
    volume->destination = strdup(destination);
    if (!volume->destination)
        return spec_no_memory(err);
    out->volume_count++;
    return 0;
}

/* DST, DST:MODE, SRC:DST, SRC:DST:MODE. */
static int parse_option(const char *value, struct spec *out, struct husk_error *err)
{
    struct spec_volume ignored = {.source = NULL}, *volume;
    char *parts[3] = {NULL}, *copy = strdup(value), *at = copy;
    const char *mode = "", *source, *destination;
    unsigned count = 0;
    int ret = 0;

    if (!copy)
        return spec_no_memory(err);
    while (at && count < 3)
        parts[count++] = strsep(&at, ":");
    if (at || !*parts[0] || (count > 1 && !*parts[1]) || (count > 2 && !*parts[2]))
        ret = spec_refuse(err, EINVAL, "--volume", value, "wants [SRC:]DST[:ro|rw]");
    source = count == 1 || (count == 2 && parts[1][0] != '/' && parse_mode(parts[1], &ignored))
                 ? NULL
                 : parts[0];
    destination = source ? parts[1] : parts[0];
    mode = source ? parts[2] : parts[1];
    if (!ret)
        ret = add(out, "--volume", value, destination, &volume, err);
    if (!ret) {
        volume->fill = !source;
        if (mode && !parse_mode(mode, volume))
            ret =
                spec_refuse(err, EINVAL, "--volume", value, "\"%.60s\" is neither ro nor rw", mode);
    }
    if (!ret && source)
        ret = open_source(value, source, volume, err);
    free(copy);
    return ret;
}

/* Whether one of a pod's volumes is at this place. */
static bool has_member(const struct spec_member *member, const char *destination)
{
    char other[SPEC_PATH_SIZE];

    for (unsigned i = 0; member && i < member->mount_count; i++) {
        if (!volumes_clean_path(member->mounts[i].destination, other) &&
            !strcmp(other, destination))
            return true;
    }
    return false;
}

/* A volume that an option or --tmpfs has put elsewhere is not the image's any more. */
static int add_image_volume(const char *path, const struct spec_options *options, struct spec *out,
                            struct husk_error *err)
{
    char destination[SPEC_PATH_SIZE], other[SPEC_PATH_SIZE];
    struct spec_volume *volume;
    int ret = volumes_check_destination("the image: Volumes", path, path, destination, err);

    if (ret || volumes_find(out, destination) || has_member(options->member, destination))
        return ret;
    for (unsigned i = 0; i < options->tmpfs.count; i++) {
        char *copy = strndup(options->tmpfs.words[i], strcspn(options->tmpfs.words[i], ":"));
        bool same;

        if (!copy)
            return spec_no_memory(err);
        same = !volumes_clean_path(copy, other) && !strcmp(other, destination);
        free(copy);
        if (same)
            return 0;
    }
    ret = add(out, "the image: Volumes", path, path, &volume, err);
    if (!ret)
        volume->fill = true;
    return ret;
}

static int compare(const void *a, const void *b)
{
    const struct spec_volume *left = a, *right = b;
    unsigned depths[] = {volumes_depth(left->destination), volumes_depth(right->destination)};

    if (depths[0] != depths[1])
        return depths[0] < depths[1] ? -1 : 1;
    return strcmp(left->destination, right->destination);
}

int volumes_parse(const struct image_config *image, const struct spec_options *options,
                  struct spec *out, struct husk_error *err)
{
    int ret = 0;

    out->volumes = calloc(SPEC_VOLUMES_MAX + 1, sizeof(*out->volumes));
    if (!out->volumes)
        return spec_no_memory(err);
    for (unsigned i = 0; i < options->volumes.count && !ret; i++)
        ret = parse_option(options->volumes.words[i], out, err);
    for (unsigned i = 0; i < image->volumes.count && !ret; i++)
        ret = add_image_volume(image->volumes.words[i], options, out, err);
    if (ret)
        return ret;
    qsort(out->volumes, out->volume_count, sizeof(*out->volumes), compare);
    for (unsigned i = 0; i < out->volume_count; i++)
        snprintf(out->volumes[i].name, sizeof(out->volumes[i].name), "%.8svolume-%u",
                 options->member ? options->member->prefix : "", i);
    return 0;
}
