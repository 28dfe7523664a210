// SPDX-License-Identifier: Apache-2.0
/* The store: records, garbage, locks, what it refuses. Covers store.c, store_record.c,
 * store_collect.c. */
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

#include "base/error.h"
#include "pod/image/store.h"

struct fixture {
    char directory[64], path[80];
    struct image_store *store;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->directory, "/tmp/husk-store-XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/s", f->directory);
    *state = f;
    return image_store_open(f->path, true, &f->store, NULL);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    int ret;

    image_store_close(f->store);
    snprintf(command, sizeof(command), "rm -rf %s", f->directory);
    ret = system(command);
    free(f);
    return ret;
}

static struct digest digest_of_text(const char *text)
{
    struct digest digest;

    assert_int_equal(digest_of(text, strlen(text), &digest), 0);
    return digest;
}

/* A layer whose file holds its text. */
static struct digest add_layer(struct fixture *f, const char *text)
{
    struct digest digest = digest_of_text(text);
    struct store_file file;

    assert_int_equal(image_store_create(f->store, &file, NULL), 0);
    assert_int_equal(write(file.fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(image_store_commit_layer(f->store, &file, &digest, NULL), 0);
    return digest;
}

static void add_image(struct fixture *f, const char *name, const char *config, const char *layer)
{
    struct image_record record = {.layer_count = 1, .time_s = 5};

    snprintf(record.name, sizeof(record.name), "%s", name);
    platform_of_host(&record.platform);
    record.config = digest_of_text(config);
    record.source = record.manifest = digest_of_text("manifest");
    assert_int_equal(image_store_begin(f->store, NULL), 0);
    assert_int_equal(image_store_put_blob(f->store, &record.config, config, strlen(config), NULL),
                     0);
    assert_int_equal(image_store_put_blob(f->store, &record.manifest, "manifest", 8, NULL), 0);
    record.layers[0].diff_id = add_layer(f, layer);
    record.layers[0].digest = record.layers[0].diff_id;
    record.layers[0].bytes = 3;
    assert_int_equal(image_store_put(f->store, &record, NULL), 0);
    image_store_end(f->store);
}

static int note_name(void *arg, const struct image_record *record)
{
    strcat(arg, record->name);
    strcat(arg, " ");
    return 0;
}

static void test_images_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct image_record record;
    struct store_collected collected;
    char names[2000] = "", *bytes;
    size_t len;

    add_image(f, "docker.io/library/b:1", "config b", "layer 1");
    add_image(f, "docker.io/library/a:1", "config a", "layer 1");
    assert_int_equal(image_store_each(f->store, note_name, names, NULL), 0);
    assert_string_equal(names, "docker.io/library/a:1 docker.io/library/b:1 ");
    assert_int_equal(image_store_find(f->store, "a:1", &record, NULL), 0);
    assert_string_equal(record.name, "docker.io/library/a:1");
    assert_int_equal(record.layers[0].bytes, 3);
    assert_int_equal(record.time_s, 5);
    assert_int_equal(image_store_get_blob(f->store, &record.config, &bytes, &len, NULL), 0);
    assert_string_equal(bytes, "config a");
    free(bytes);

    assert_int_equal(image_store_remove(f->store, &record, NULL), 0);
    assert_int_equal(image_store_remove(f->store, &record, NULL), -ENOENT);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.layers, 0); /* b needs it */
    assert_int_equal(collected.blobs, 1);
    assert_int_equal(image_store_find(f->store, "b:1", &record, NULL), 0);
    assert_int_equal(image_store_remove(f->store, &record, NULL), 0);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.layers, 1);
    assert_int_equal(collected.blobs, 2);
    assert_int_equal(image_store_layer_bytes(f->store, &record.layers[0].diff_id), 0);
}

static void test_find(void **state)
{
    struct fixture *f = *state;
    struct image_record record;
    struct husk_error err = {0};
    struct digest id = digest_of_text("config");
    char prefix[8];

    add_image(f, "docker.io/library/a:1", "config", "layer");
    snprintf(prefix, sizeof(prefix), "%.6s", digest_hex(&id));
    assert_int_equal(image_store_find(f->store, prefix, &record, NULL), 0);
    assert_int_equal(image_store_find(f->store, id.text, &record, NULL), 0);
    prefix[3] = '\0';
    assert_int_equal(image_store_find(f->store, prefix, &record, NULL), -ENOENT);
    assert_int_equal(image_store_find(f->store, "a:2", &record, &err), -ENOENT);
    assert_string_equal(err.where, "docker.io/library/a:2");
    assert_int_equal(image_store_find(f->store, "NOT A NAME", &record, &err), -EINVAL);
    assert_int_equal(image_store_find(f->store, "../../version", &record, &err), -EINVAL);
}

static int need_layer(void *arg, int (*keep)(void *to, const struct digest *layer), void *to,
                      struct husk_error *err)
{
    (void)err;
    return keep(to, arg);
}

static int need_what_nobody_knows(void *arg, int (*keep)(void *to, const struct digest *layer),
                                  void *to, struct husk_error *err)
{
    (void)arg;
    (void)keep;
    (void)to;
    return error_set(err, EACCES, "somebody", "cannot be read", NULL);
}

static void test_layers_that_are_needed_stay(void **state)
{
    struct fixture *f = *state;
    struct digest needed = add_layer(f, "layer"), other = add_layer(f, "other layer");
    struct store_collected collected;
    struct husk_error err;

    image_store_set_users(f->store, need_what_nobody_knows, NULL);
    assert_int_equal(image_store_collect(f->store, &collected, &err), -EACCES);
    assert_int_not_equal(image_store_layer_bytes(f->store, &other), 0);
    image_store_set_users(f->store, need_layer, &needed);
    assert_int_equal(image_store_collect(f->store, &collected, &err), 0);
    assert_int_equal(collected.in_use, 1);
    assert_int_equal(collected.layers, 1);
    assert_int_not_equal(image_store_layer_bytes(f->store, &needed), 0);
    assert_int_equal(image_store_layer_bytes(f->store, &other), 0);
    image_store_set_users(f->store, NULL, NULL);
    assert_int_equal(image_store_collect(f->store, &collected, &err), 0);
    assert_int_equal(image_store_layer_bytes(f->store, &needed), 0);
}

static void test_layers_in_use_stay(void **state)
{
    struct fixture *f = *state;
    struct digest digest = add_layer(f, "layer");
    struct store_collected collected;
    int fd = image_store_open_layer(f->store, &digest, NULL);

    assert_true(fd >= 0);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.in_use, 1);
    assert_int_equal(image_store_layer_bytes(f->store, &digest), 5);
    close(fd);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.layers, 1);
    assert_int_equal(image_store_open_layer(f->store, &digest, NULL), -ENOENT);
}

static void test_no_collection_while_adding(void **state)
{
    struct fixture *f = *state;
    struct image_store *other;
    struct store_collected collected;
    struct husk_error err = {0};

    assert_int_equal(image_store_open(f->path, false, &other, NULL), 0);
    assert_int_equal(image_store_begin(other, NULL), 0);
    assert_int_equal(image_store_begin(f->store, NULL), 0); /* two may add */
    image_store_end(f->store);
    assert_int_equal(image_store_collect(f->store, &collected, &err), -EBUSY);
    image_store_end(other);
    image_store_close(other);
    assert_int_equal(image_store_collect(f->store, &collected, &err), 0);
}

static void test_leftovers_go(void **state)
{
    struct fixture *f = *state;
    struct digest digest = digest_of_text("blob");
    struct store_collected collected;
    struct store_file file;
    char path[256];
    int fd;

    assert_int_equal(image_store_begin(f->store, NULL), 0);
    assert_int_equal(image_store_create(f->store, &file, NULL), 0);
    close(file.fd); /* as if killed */
    fd = image_store_partial(f->store, &digest, NULL);
    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
    image_store_end(f->store);
    snprintf(path, sizeof(path), "%s/%s", f->path, file.name);
    assert_int_equal(access(path, F_OK), 0);
    /* Who adds next removes what is useless and goes on with the download. */
    assert_int_equal(image_store_begin(f->store, NULL), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    fd = image_store_partial(f->store, &digest, NULL);
    assert_int_equal(lseek(fd, 0, SEEK_END), 4);
    image_store_partial_end(f->store, &digest, fd, true);
    image_store_end(f->store);
    assert_int_equal(image_store_collect(f->store, &collected, NULL), 0);
    assert_int_equal(collected.leftovers, 1);
}

static void spoil(struct fixture *f, const char *directory, const char *text)
{
    char command[256];

    snprintf(command, sizeof(command),
             "for f in %s/%s/*; do chmod 600 $f; printf '%%s' '%s' >$f; done", f->path, directory,
             text);
    assert_int_equal(system(command), 0);
}

static void test_damaged_records_stop_the_collection(void **state)
{
    static const char *const wrong[] = {"", "{}", "{\"version\":2}", "{\"version\":1,\"name\":1}"};
    struct fixture *f = *state;

    add_image(f, "docker.io/library/a:1", "config", "layer");
    for (unsigned i = 0; i < 4; i++) {
        struct digest digest = digest_of_text("layer");
        struct store_collected collected;
        struct husk_error err = {0};

        spoil(f, "images", wrong[i]);
        assert_int_equal(image_store_collect(f->store, &collected, &err), -EBADMSG);
        assert_non_null(strstr(err.where, "/images/"));
        assert_int_equal(image_store_layer_bytes(f->store, &digest), 5);
    }
}

static void test_damaged_blobs_are_noticed(void **state)
{
    struct fixture *f = *state;
    struct digest digest = digest_of_text("config");
    char *bytes;
    size_t len;

    add_image(f, "docker.io/library/a:1", "config", "layer");
    spoil(f, "blobs", "other");
    assert_int_not_equal(image_store_get_blob(f->store, &digest, &bytes, &len, NULL), 0);
}

static void test_other_directories_are_refused(void **state)
{
    struct fixture *f = *state;
    struct image_store *store;
    struct husk_error err = {0};
    char path[128], file[160];
    int fd;

    snprintf(path, sizeof(path), "%s/other", f->directory);
    assert_int_equal(image_store_open(path, false, &store, &err), -ENOENT);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(image_store_open(path, false, &store, &err), -ENOENT);
    snprintf(file, sizeof(file), "%s/precious", path);
    fd = open(file, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(image_store_open(path, true, &store, &err), -ENOTEMPTY);
    unlink(file);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(image_store_open(path, true, &store, &err), -EPERM);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(image_store_open(path, true, &store, &err), 0);
    image_store_close(store);
    snprintf(file, sizeof(file), "%s/version", path);
    assert_int_equal(chmod(file, 0600), 0);
    fd = open(file, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "husk-image-store 2\n", 19), 19);
    close(fd);
    assert_int_equal(image_store_open(path, true, &store, &err), -ENOTSUP);
    assert_int_equal(image_store_open("/dev/null/x", true, &store, &err), -ENOTDIR);
}

static void test_default_place(void **state)
{
    char path[256];

    setenv("HUSK_STORE", "/some/where", 1);
    assert_int_equal(image_store_default(path, sizeof(path), NULL), 0);
    assert_string_equal(path, "/some/where");
    unsetenv("HUSK_STORE");
    assert_int_equal(image_store_default(path, sizeof(path), NULL), 0);
    assert_true(path[0] == '/');
    assert_int_equal(image_store_default(path, 5, NULL), -ENAMETOOLONG);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_images_come_and_go),
        WITH_STORE(test_find),
        WITH_STORE(test_layers_that_are_needed_stay),
        WITH_STORE(test_layers_in_use_stay),
        WITH_STORE(test_no_collection_while_adding),
        WITH_STORE(test_leftovers_go),
        WITH_STORE(test_damaged_records_stop_the_collection),
        WITH_STORE(test_damaged_blobs_are_noticed),
        WITH_STORE(test_other_directories_are_refused),
        cmocka_unit_test(test_default_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
