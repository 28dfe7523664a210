// SPDX-License-Identifier: Apache-2.0
/*
 * What pod/plan makes of a pod, for tests that run it: `plan FILE` with {"pod": POD, "objects":
 * OBJECTS, "images": {REFERENCE: CONFIG}, "address": TEXT} prints {"pod", "requests", "containers":
 * [{"name", "create", "before", "after"}]}.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pod/plan/plan.h"

#define IMAGES_COUNT 4

struct source {
    json_t *file;
    struct image_config configs[IMAGES_COUNT];
    struct plan_image images[IMAGES_COUNT];
    const char *address;
    struct plan_input input;
};

static int fail(const struct husk_error *err)
{
    char text[1024];

    fprintf(stderr, "plan: %s\n", error_format(err, text, sizeof(text)));
    return 1;
}

static int load(const char *path, struct source *out, struct husk_error *err)
{
    const char *reference;
    json_t *config;
    int ret = 0;

    out->file = json_load_file(path, 0, NULL);
    if (!out->file)
        return error_set(err, EINVAL, path, "cannot be read", NULL);
    out->address = json_string_value(json_object_get(out->file, "address"));
    out->input = (struct plan_input){.pod = json_object_get(out->file, "pod"),
                                     .objects = json_object_get(out->file, "objects"),
                                     .uid = "0",
                                     .images = out->images,
                                     .addresses = {&out->address, out->address ? 1 : 0}};
    json_object_foreach(json_object_get(out->file, "images"), reference, config)
    {
        unsigned i = out->input.image_count;
        char *text = json_dumps(config, 0);

        if (ret || i == IMAGES_COUNT || !text)
            break;
        ret = image_config_parse(text, strlen(text), reference, &out->configs[i], err);
        free(text);
        out->images[i] = (struct plan_image){reference, &out->configs[i]};
        out->input.image_count++;
    }
    return ret;
}

static void print(json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(object);
}

static int show(struct source *source)
{
    json_t *containers = json_array();
    struct husk_error err;
    struct pod_plan plan;

    if (plan_build(&source->input, &plan, &err))
        return fail(&err);
    for (unsigned i = 0; i < plan.container_count; i++)
        json_array_append_new(
            containers, json_pack("{s:s, s:O, s:O, s:O}", "name", plan.containers[i].name, "create",
                                  plan.containers[i].create, "before", plan.containers[i].before,
                                  "after", plan.containers[i].after));
    print(json_pack("{s:O, s:O, s:o}", "pod", plan.pod, "requests", plan.requests, "containers",
                    containers));
    plan_clear(&plan);
    return 0;
}

int main(int argc, char **argv)
{
    static struct source source;
    struct husk_error err;

    if (argc != 2) {
        fprintf(stderr, "usage: plan FILE\n");
        return 2;
    }
    return load(argv[1], &source, &err) ? fail(&err) : show(&source);
}
