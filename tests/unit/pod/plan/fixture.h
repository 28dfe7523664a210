// SPDX-License-Identifier: Apache-2.0
/* Plans of the pods in pods/NAME.json, {"pod": POD, "objects": OBJECTS}, on a host of the tests. */
#ifndef HUSK_TESTS_UNIT_POD_PLAN_FIXTURE_H
#define HUSK_TESTS_UNIT_POD_PLAN_FIXTURE_H

#include "tests/unit/pod/spec/golden.h"

#include <errno.h>

#include "base/error.h"
#include "pod/plan/plan.h"

#define FIXTURE_IMAGES 3

static const struct {
    const char *reference, *config;
} fixture_images[FIXTURE_IMAGES] = {
    {"app:1", "\"Entrypoint\":[\"/entry\",\"$(A)\"],\"Cmd\":[\"serve\"],\"Env\":[\"PATH=/bin\"]"},
    {"other:1", "\"Cmd\":[\"/other\"],\"User\":\"1000\",\"StopSignal\":\"SIGINT\""},
    {"named:1", "\"Cmd\":[\"/named\"],\"User\":\"app:staff\",\"Volumes\":{\"/data\":{},\"/x\":{}}"},
};

struct fixture {
    struct image_config configs[FIXTURE_IMAGES];
    struct plan_image images[FIXTURE_IMAGES];
    json_t *file;
    struct plan_input input;
};

static inline int fixture_host_path(void *arg, const char *path, const char *type,
                                    const char *where, struct plan_host_path *out,
                                    struct husk_error *err)
{
    (void)arg;
    if (!strcmp(path, "/disk.img")) {
        out->kind = PLAN_HOST_DISK;
        strcpy(out->path, path);
        strcpy(out->fstype, "ext4");
        return 0;
    }
    if (strcmp(path, "/file") != 0)
        return error_set(err, ENOENT, where, "is not there", NULL);
    assert_string_equal(type, "File");
    out->kind = PLAN_HOST_FILE;
    out->bytes = (uint8_t *)strdup("hello");
    out->len = 5;
    out->mode = 0640;
    out->uid = 7;
    out->gid = 8;
    return 0;
}

/* Takes the reference of `file`. */
static inline void fixture_init(struct fixture *f, json_t *file)
{
    static const char *const addresses[] = {"10.1.2.3", "fd00::3"},
                             *const servers[] = {"10.0.0.53"}, *const searches[] = {"example.org"},
                             *const options[] = {"ndots:5", "rotate"},
                             *const hosts[] = {"192.0.2.1"};
    char text[512];

    memset(f, 0, sizeof(*f));
    assert_non_null(file);
    for (unsigned i = 0; i < FIXTURE_IMAGES; i++) {
        snprintf(text, sizeof(text),
                 "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{%s},"
                 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}",
                 fixture_images[i].config);
        assert_int_equal(image_config_parse(text, strlen(text), "test", &f->configs[i], NULL), 0);
        f->images[i] = (struct plan_image){fixture_images[i].reference, &f->configs[i]};
    }
    f->file = file;
    f->input = (struct plan_input){
        .pod = json_object_get(file, "pod"),
        .objects = json_object_get(file, "objects"),
        .uid = "0123",
        .images = f->images,
        .image_count = FIXTURE_IMAGES,
        .addresses = {addresses, 2},
        .nameservers = {servers, 1},
        .searches = {searches, 1},
        .resolver_options = {options, 2},
        .host_addresses = {hosts, 1},
        .node_name = "node-1",
        .host_memory_bytes = UINT64_C(16) << 30,
        .host_cpus = 8,
        .host_path = fixture_host_path,
    };
}

static inline json_t *fixture_file(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/../pods/%s.json", HUSK_GOLDEN, name);
    return json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
}

static inline void fixture_load(struct fixture *f, const char *name)
{
    fixture_init(f, fixture_file(name));
}

static inline void fixture_clear(struct fixture *f)
{
    for (unsigned i = 0; i < FIXTURE_IMAGES; i++)
        image_config_clear(&f->configs[i]);
    json_decref(f->file);
}

#endif
