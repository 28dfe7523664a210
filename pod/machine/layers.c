// SPDX-License-Identifier: Apache-2.0
/* The layers of a machine: see layers.h. Invariant: fds[0..count-1] are open and ours, or -1. */
#include "pod/machine/layers.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/io.h"

static const char cannot[] = "cannot prepare the machine";

/* The index of an image's layer, or `count` when it is not there. Overlayfs takes no directory
 * twice: what an image has twice (an empty layer, mostly) is there twice. */
static unsigned find(const struct layers *layers, const struct machine_image *image, unsigned index)
{
    const struct digest *id = &image->layers[index];
    unsigned before = 0, i;

    for (unsigned j = 0; j < index; j++)
        before += digest_equal(&image->layers[j], id);
    for (i = 0; i < layers->count; i++) {
        if (digest_equal(&layers->ids[i], id) && before-- == 0)
            break;
    }
    return i;
}

static int add(const struct image_store *store, const struct digest *id, struct layers *out,
               struct husk_error *err)
{
    struct stat info;
    int fd;

    if (out->count == LAYERS_MAX)
        return error_set(err, E2BIG, "layers", cannot,
                         "the images have more than %u different ones in all", LAYERS_MAX);
    fd = image_store_open_layer(store, id, err);
    if (fd < 0)
        return fd;
    out->fds[out->count] = fd;
    out->ids[out->count] = *id;
    out->count++;
    if (fstat(fd, &info))
        return error_set(err, errno, id->text, cannot, NULL);
    out->bytes[out->count - 1] = (uint64_t)info.st_size;
    return 0;
}

int layers_open(const struct image_store *store, const struct machine_image *images,
                unsigned image_count, struct layers *out, struct husk_error *err)
{
    int ret = 0;

    if (!image_count || image_count > IMAGES_MAX)
        return error_set(err, EINVAL, "images", cannot, "there must be 1 to %u, not %u", IMAGES_MAX,
                         image_count);
    for (unsigned i = 0; i < image_count && !ret; i++) {
        if (!images[i].layer_count || images[i].layer_count > IMAGE_LAYERS_MAX)
            return error_set(err, EINVAL, "layers", cannot, "an image has 1 to %u, not %u",
                             IMAGE_LAYERS_MAX, images[i].layer_count);
        for (unsigned j = 0; j < images[i].layer_count && !ret; j++) {
            if (find(out, &images[i], j) == out->count)
                ret = add(store, &images[i].layers[j], out, err);
        }
    }
    return ret;
}

void layers_close(struct layers *layers)
{
    for (unsigned i = 0; i < layers->count; i++)
        close_fd(&layers->fds[i]);
}

void layers_give_away(struct layers *layers)
{
    for (unsigned i = 0; i < layers->count; i++)
        layers->fds[i] = -1;
}

static json_t *volume_name(unsigned index)
{
    return json_sprintf("layer%u", index + 1);
}

bool layers_ask(const struct layers *layers, json_t *requests)
{
    uint64_t offset = 0;
    bool done = true;

    for (unsigned i = 0; done && i < layers->count; i++) {
        done =
            json_array_append_new(
                requests, json_pack("{ss s{so ss sI sI ss sb}}", "method", "volume.add", "params",
                                    "volume", volume_name(i), "disk", LAYERS_DISK, "offset_bytes",
                                    (json_int_t)offset, "size_bytes", (json_int_t)layers->bytes[i],
                                    "fstype", "erofs", "readonly", 1)) == 0;
        offset += layers->bytes[i];
    }
    return done;
}

json_t *layers_rootfs(const struct layers *layers, const struct machine_image *image)
{
    json_t *names = json_array();
    bool done = names != NULL;

    for (unsigned i = 0; done && i < image->layer_count; i++)
        done = json_array_append_new(names, volume_name(find(layers, image, i))) == 0;
    if (done)
        return json_pack("{so ss}", "layers", names, "upper", "scratch");
    json_decref(names);
    return NULL;
}
