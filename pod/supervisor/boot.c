// SPDX-License-Identifier: Apache-2.0
/* From the record to the machine that is asked for: see supervisor.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "pod/image/config.h"
#include "pod/supervisor/supervisor.h"

/* The diff ids of the record; *out is the caller's to free, also on failure. */
static int read_layers(const json_t *image, struct digest **out, unsigned *count,
                       struct husk_error *err)
{
    const json_t *layers = json_object_get(image, "layers");
    size_t size = json_array_size(layers);

    if (size < 1 || size > IMAGE_LAYERS_MAX)
        return error_set(err, EINVAL, "spec.json: image.layers", "is wrong",
                         "an array of 1 to %u digests", IMAGE_LAYERS_MAX);
    *out = calloc(size, sizeof(**out));
    if (!*out)
        return error_set(err, ENOMEM, "the container", "cannot be started", NULL);
    for (size_t i = 0; i < size; i++) {
        const char *text = json_string_value(json_array_get(layers, i));

        if (!text || digest_parse(text, &(*out)[i]))
            return error_set(err, EINVAL, "spec.json: image.layers", "is wrong",
                             "element %zu is no digest", i);
    }
    *count = (unsigned)size;
    return 0;
}

int boot_machine(struct supervisor *s, struct husk_error *err)
{
    const struct container_spec *record = &s->record;
    struct pod_machine_options *options = calloc(1, sizeof(*options));
    struct digest *layers = NULL;
    struct machine_image image = {.layers = NULL};
    struct machine_request request = {
        .name = record->name,
        .id = record->id,
        .options = options,
        .store = json_string_value(json_object_get(record->image, "store")),
        .images = &image,
        .image_count = 1};
    int ret = options ? pod_machine_options_decode(record->machine, options, err)
                      : error_set(err, ENOMEM, record->name, "cannot be started", NULL);

    s->host = (struct machine_host){.loop = s->loop,
                                    .log = s->log,
                                    .dir = s->container->dir,
                                    .path = s->container->path,
                                    .stopped = ending_machine_stopped,
                                    .arg = s};
    if (ret == 0 && s->ops->needs_images)
        ret = read_layers(record->image, &layers, &image.layer_count, err);
    image.layers = layers;
    if (ret == 0)
        ret = s->ops->start(&request, &s->host, &s->machine, &s->plan, err);
    if (ret == 0)
        s->state.machine_pid = s->ops->pid(s->machine);
    free(layers);
    free(options);
    return ret;
}
