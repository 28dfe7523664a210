// SPDX-License-Identifier: Apache-2.0
/* A container's machine without starting it: what its agent is asked for, what is held, what is
 * refused. tests/e2e/linux/machine_vm.py starts some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pod/machine/machine.h"

#define LAYERS 3u

struct fixture {
    char top[64], path[96];
    struct image_store *store;
    struct digest layers[IMAGE_LAYERS_MAX + 2];
    int dir;
    struct machine_image image;
    struct pod_machine_place place;
    struct pod_machine_options options;
};

/* Layer n has n blocks. */
static void add_layer(struct fixture *f, unsigned index)
{
    struct store_file file;
    char text[16];

    snprintf(text, sizeof(text), "layer %u", index);
    assert_int_equal(digest_of(text, strlen(text), &f->layers[index]), 0);
    assert_int_equal(image_store_create(f->store, &file, NULL), 0);
    assert_int_equal(ftruncate(file.fd, 4096 * (index + 1)), 0);
    assert_int_equal(image_store_commit_layer(f->store, &file, &f->layers[index], NULL), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    FILE *kernel;

    *state = f;
    strcpy(f->top, "/tmp/husk-machine-XXXXXX");
    if (!mkdtemp(f->top))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/store", f->top);
    if (image_store_open(f->path, true, &f->store, NULL))
        return -1;
    assert_int_equal(image_store_begin(f->store, NULL), 0);
    for (unsigned i = 0; i < LAYERS; i++)
        add_layer(f, i);
    image_store_end(f->store);
    snprintf(f->options.kernel, sizeof(f->options.kernel), "%s/vmlinux", f->top);
    kernel = fopen(f->options.kernel, "we");
    fputs("\177ELF", kernel);
    fclose(kernel);
    f->dir = open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->image = (struct machine_image){f->layers, LAYERS};
    f->place = (struct pod_machine_place){.store = f->store,
                                          .images = &f->image,
                                          .image_count = 1,
                                          .dir = f->dir,
                                          .vsock_path = "/tmp/none/v"};
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    int ret;

    image_store_close(f->store);
    close(f->dir);
    snprintf(command, sizeof(command), "rm -rf %s", f->top);
    ret = system(command);
    free(f);
    return ret;
}

static void expect_json(const json_t *value, const char *text)
{
    json_t *expected = json_loads(text, 0, NULL);

    assert_non_null(expected);
    if (!json_equal(value, expected)) {
        json_dumpf(value, stderr, JSON_INDENT(1));
        fail();
    }
    json_decref(expected);
}

static void asks_for_what_it_has(void **state)
{
    struct fixture *f = *state;
    struct pod_machine *machine;
    struct husk_error err;

    f->options.disk_count = 1;
    strcpy(f->options.disks[0].volume, "data");
    strcpy(f->options.disks[0].path, "/somewhere");
    strcpy(f->options.disks[0].type, "erofs");
    f->options.disks[0].read_only = true;
    strcpy(f->options.network.tap, "tap9");
    strcpy(f->options.network.addresses[0], "10.0.0.2/24");
    f->options.network.address_count = 1;
    strcpy(f->options.network.routes[0].to, "0.0.0.0/0");
    f->options.network.route_count = 1;
    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, &err), 0);
    expect_json(pod_machine_requests(machine),
                "[{\"method\": \"volume.add\", \"params\": {\"volume\": \"layer1\", "
                "\"disk\": \"layers\", \"offset_bytes\": 0, \"size_bytes\": 4096, "
                "\"fstype\": \"erofs\", \"readonly\": true}},"
                "{\"method\": \"volume.add\", \"params\": {\"volume\": \"layer2\", "
                "\"disk\": \"layers\", \"offset_bytes\": 4096, \"size_bytes\": 8192, "
                "\"fstype\": \"erofs\", \"readonly\": true}},"
                "{\"method\": \"volume.add\", \"params\": {\"volume\": \"layer3\", "
                "\"disk\": \"layers\", \"offset_bytes\": 12288, \"size_bytes\": 12288, "
                "\"fstype\": \"erofs\", \"readonly\": true}},"
                "{\"method\": \"volume.add\", \"params\": {\"volume\": \"scratch\", "
                "\"disk\": \"scratch\", \"fstype\": \"ext4\", \"options\": [\"discard\"]}},"
                "{\"method\": \"volume.add\", \"params\": {\"volume\": \"data\", "
                "\"disk\": \"disk1\", \"fstype\": \"erofs\", \"readonly\": true}},"
                "{\"method\": \"network.set\", \"params\": {\"interface\": \"eth0\", "
                "\"addresses\": [\"10.0.0.2/24\"], \"routes\": [{\"to\": \"0.0.0.0/0\"}]}}]");
    expect_json(pod_machine_rootfs(machine),
                "[{\"layers\": [\"layer1\", \"layer2\", \"layer3\"], \"upper\": \"scratch\"}]");
    assert_int_equal(pod_machine_vm_options(machine)->memory_bytes, POD_MACHINE_MEMORY_BYTES);
    assert_int_equal(pod_machine_vm_options(machine)->vcpus, POD_MACHINE_VCPUS);
    pod_machine_destroy(machine);
}

/* Layers are kept from the collector by the machine, then by its VM, and by nobody in the end. */
static void holds_its_layers(void **state)
{
    struct fixture *f = *state;
    struct pod_machine *machine;
    struct store_collected collected;
    struct husk_vm *vm;

    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, NULL), 0);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.in_use, LAYERS);
    assert_int_equal(pod_machine_new_vm(machine, &vm, NULL), 0);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.in_use, LAYERS);
    husk_vm_free(vm);
    assert_int_equal(pod_machine_new_vm(machine, &vm, NULL), -EINVAL); /* once */
    pod_machine_destroy(machine);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.layers, LAYERS);
}

/* Whether the file is open here in another way than by name only. */
static bool is_open(const struct stat *file)
{
    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFL);
        struct stat info;

        if (flags >= 0 && !(flags & O_PATH) && fstat(fd, &info) == 0 &&
            info.st_dev == file->st_dev && info.st_ino == file->st_ino)
            return true;
    }
    return false;
}

/* What its path leads to by now does not matter. */
static void has_the_disk_that_was_looked_at(void **state)
{
    struct fixture *f = *state;
    struct pod_machine_disk *disk = &f->options.disks[0];
    struct pod_machine *machine;
    struct stat file;
    struct husk_vm *vm;
    int fd;

    f->options.disk_count = 1;
    strcpy(disk->volume, "data");
    strcpy(disk->type, "ext4");
    strcpy(disk->path, "/tmp/husk-disk-XXXXXX");
    fd = mkstemp(disk->path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(fstat(fd, &file), 0);
    close(fd);
    disk->held = true;
    disk->fd = open(disk->path, O_PATH | O_CLOEXEC);
    assert_true(disk->fd >= 0);
    assert_int_equal(unlink(disk->path), 0);
    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, NULL), 0);
    assert_int_equal(pod_machine_new_vm(machine, &vm, NULL), 0);
    assert_true(is_open(&file));
    husk_vm_free(vm);
    assert_false(is_open(&file));
    pod_machine_destroy(machine);
    close(disk->fd);
}

static void takes_as_many_layers_as_an_image_has(void **state)
{
    struct fixture *f = *state;
    struct pod_machine *machine;
    struct husk_vm *vm;

    assert_int_equal(image_store_begin(f->store, NULL), 0);
    for (unsigned i = LAYERS; i < IMAGE_LAYERS_MAX; i++)
        add_layer(f, i);
    image_store_end(f->store);
    f->image.layer_count = IMAGE_LAYERS_MAX;
    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, NULL), 0);
    assert_int_equal(pod_machine_new_vm(machine, &vm, NULL), 0);
    husk_vm_free(vm);
    pod_machine_destroy(machine);
}

/* What several images have in common is one part of the disk. */
static void joins_the_images_of_a_pod(void **state)
{
    struct fixture *f = *state;
    const struct digest other[] = {f->layers[0], f->layers[2], f->layers[0]};
    const struct machine_image images[] = {{f->layers, 2}, {other, 3}, {&f->layers[1], 1}};
    struct pod_machine *machine;
    struct store_collected collected;

    f->place.images = images;
    f->place.image_count = 3;
    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, NULL), 0);
    /* Four, as one image has a layer twice, and the scratch disk. */
    for (unsigned i = 0; i < 5; i++) {
        const json_t *params =
            json_object_get(json_array_get(pod_machine_requests(machine), i), "params");

        assert_string_equal(json_string_value(json_object_get(params, "disk")),
                            i < 4 ? "layers" : "scratch");
    }
    expect_json(pod_machine_rootfs(machine),
                "[{\"layers\": [\"layer1\", \"layer2\"], \"upper\": \"scratch\"},"
                " {\"layers\": [\"layer1\", \"layer3\", \"layer4\"], \"upper\": \"scratch\"},"
                " {\"layers\": [\"layer2\"], \"upper\": \"scratch\"}]");
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.in_use, LAYERS);
    pod_machine_destroy(machine);
}

/* One more than a disk is joined of. */
static void refuses_more_layers_than_a_disk_has_parts(void **state)
{
    struct fixture *f = *state;
    struct machine_image images[] = {{f->layers, IMAGE_LAYERS_MAX},
                                     {f->layers + IMAGE_LAYERS_MAX, 2}};
    struct pod_machine *machine;
    struct husk_error err;

    assert_int_equal(image_store_begin(f->store, NULL), 0);
    for (unsigned i = LAYERS; i < IMAGE_LAYERS_MAX + 2; i++)
        add_layer(f, i);
    image_store_end(f->store);
    f->place.images = images;
    f->place.image_count = 2;
    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, &err), -E2BIG);
    assert_string_equal(err.where, "layers");
    images[1].layer_count = 1;
    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, &err), 0);
    pod_machine_destroy(machine);
}

static void refuse(struct fixture *f, int code, const char *where)
{
    struct pod_machine *machine = NULL;
    struct husk_error err = {.code = 0};

    assert_int_equal(pod_machine_create(&f->place, &f->options, &machine, &err), -code);
    assert_null(machine);
    assert_string_equal(err.where, where);
}

static void names_what_is_missing(void **state)
{
    struct fixture *f = *state;
    struct pod_machine_options good = f->options;
    struct store_collected collected;
    struct husk_error err;

    f->options.memory_bytes = 1 << 20;
    refuse(f, ERANGE, "machine.memory_bytes");
    f->options = good;
    strcpy(f->options.kernel, "/nowhere/vmlinux");
    refuse(f, ENOENT, "/nowhere/vmlinux");
    f->options = good;
    f->image.layer_count = 0;
    refuse(f, EINVAL, "layers");
    f->image.layer_count = IMAGE_LAYERS_MAX + 1;
    refuse(f, EINVAL, "layers");
    f->image.layer_count = LAYERS;
    f->place.image_count = 0;
    refuse(f, EINVAL, "images");
    f->place.image_count = IMAGES_MAX + 1;
    refuse(f, EINVAL, "images");
    f->place.image_count = 1;
    f->place.dir = -1;
    refuse(f, EBADF, "scratch.img");
    f->place.dir = f->dir;
    assert_int_equal(digest_of("other", 5, &f->layers[1]), 0);
    assert_int_equal(image_store_open_layer(f->store, &f->layers[1], &err), -ENOENT);
    refuse(f, ENOENT, err.where);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.in_use, 0); /* nothing stayed open */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asks_for_what_it_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(holds_its_layers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(joins_the_images_of_a_pod, set_up, tear_down),
        cmocka_unit_test_setup_teardown(has_the_disk_that_was_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_as_many_layers_as_an_image_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_layers_than_a_disk_has_parts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_what_is_missing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
