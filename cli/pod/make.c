// SPDX-License-Identifier: Apache-2.0
/* From options to a container of this host: see make.h. */
#include "cli/pod/make.h"

#include <errno.h>

#include "base/error.h"
#include "cli/pod/record.h"

#define NAME_TRIES 10

/* Its record keeps its layers from being collected: until that is there, the store is held. */
static int hold_layers(const struct pod_image *image, struct husk_error *err)
{
    int ret = image_store_begin(image->store, err);

    for (unsigned i = 0; !ret && i < image->record.layer_count; i++) {
        if (image_store_layer_bytes(image->store, &image->record.layers[i].diff_id) == 0)
            ret = error_set(err, ENOENT, image->record.name, "has just been removed", NULL);
    }
    return ret;
}

/* A container under a name of its own: one of ours that is taken is tried again with others. */
static int create(struct making *making, bool alive)
{
    struct husk_error err = {0};
    int ret = pod_store(true, &making->store, &err);

    if (!ret)
        ret = hold_layers(&making->image, &err);
    for (unsigned i = 0; !ret && i < NAME_TRIES; i++) {
        int status;

        container_spec_clear(&making->record);
        status = pod_record_make(&making->options, &making->image, &making->record);
        if (status) {
            image_store_end(making->image.store);
            return status;
        }
        ret = container_create(making->store, &making->record, alive, &making->container, &err);
        if (ret != -EEXIST || making->options.name)
            break;
    }
    image_store_end(making->image.store);
    if (ret)
        cli_error(&err);
    return ret ? STATUS_OURS : 0;
}

int making_make(struct making *making, const struct pod_syntax *syntax, int argc, char **argv,
                int (*check)(const struct pod_run_options *options), bool alive)
{
    struct pod_run_options *options = &making->options;
    struct husk_error err = {0};
    int status = pod_run_options_parse(syntax, options, argc, argv);

    if (!status && check)
        status = check(options);
    if (status)
        return status;
    if (pod_image_get(options->image, options->pull, options->quiet, &making->image, &err)) {
        if (err.code)
            cli_error(&err);
        return STATUS_OURS;
    }
    return create(making, alive);
}

void making_release(struct making *making)
{
    entry_close(making->container);
    entry_store_close(making->store);
    container_spec_clear(&making->record);
    pod_image_release(&making->image);
    pod_run_options_release(&making->options);
}
