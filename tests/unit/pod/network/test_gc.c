// SPDX-License-Identifier: Apache-2.0
/* Which attachments of a CNI network are valid, and of which networks that is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/network/gc.h"

#define ID(digit) digit digit digit digit digit digit digit digit
#define ID64(d)   ID(d) ID(d) ID(d) ID(d) ID(d) ID(d) ID(d) ID(d)
#define LIST(version, more) \
    "{\"cniVersion\": \"" version "\", \"name\": \"n\", \"plugins\": [{\"type\": \"x\"}]" more "}"

struct place {
    char path[64];
    int dir;
};

static void make(struct place *place)
{
    strcpy(place->path, "/tmp/husk-gc-XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->dir = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place->dir >= 0);
}

static void put(const struct place *place, const char *name, const char *text)
{
    int fd = openat(place->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void drop(const struct place *place, const char *const *names)
{
    for (; *names; names++)
        unlinkat(place->dir, *names, 0);
    close(place->dir);
    assert_int_equal(rmdir(place->path), 0);
}

static void tells_of_all_that_are_valid(void **state)
{
    struct place pods, results;
    json_t *valid;

    make(&pods);
    make(&results);
    put(&pods, "a.json",
        "{\"version\": 1, \"id\": \"" ID64("a") "\", \"mode\": \"cni:n\", \"cni\": {}}");
    put(&pods, "b.json",
        "{\"version\": 1, \"id\": \"" ID64("b") "\", \"mode\": \"cni:other\", \"cni\": {}}");
    put(&pods, "c.json", "{\"version\": 1, \"id\": \"" ID64("c") "\", \"mode\": \"bridge\"}");
    put(&results, "n-container-eth1",
        "{\"kind\": \"cniCacheV1\", \"containerId\": \"container\", \"ifName\": \"eth1\", "
        "\"networkName\": \"n\", \"result\": {}}");
    put(&results, "m-container-eth0",
        "{\"containerId\": \"container\", \"ifName\": \"eth0\", \"networkName\": \"m\"}");
    put(&results, "junk", "[");
    valid = network_gc_valid(pods.dir, results.dir, "n");
    assert_int_equal(json_array_size(valid), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(valid, 0), "containerID")),
                        ID64("a"));
    assert_string_equal(json_string_value(json_object_get(json_array_get(valid, 0), "ifname")),
                        "eth0");
    assert_string_equal(json_string_value(json_object_get(json_array_get(valid, 1), "containerID")),
                        "container");
    assert_string_equal(json_string_value(json_object_get(json_array_get(valid, 1), "ifname")),
                        "eth1");
    json_decref(valid);
    /* Without a cache; and when husk does not know of itself who is there. */
    valid = network_gc_valid(pods.dir, -1, "n");
    assert_int_equal(json_array_size(valid), 1);
    json_decref(valid);
    put(&pods, "d.json", "{");
    assert_null(network_gc_valid(pods.dir, -1, "n"));
    drop(&pods, (const char *const[]){"a.json", "b.json", "c.json", "d.json", NULL});
    drop(&results, (const char *const[]){"n-container-eth1", "m-container-eth0", "junk", NULL});
}

static bool is_wanted(struct place *notes, const char *mode, const char *list)
{
    struct network_record record = {.cni = NULL};
    const struct network_state kept = {.gc = notes->dir};
    bool wanted;

    assert_int_equal(network_mode_parse(mode, &record.mode, NULL), 0);
    record.cni = json_pack("{s:o*}", "list", list ? json_loads(list, 0, NULL) : NULL);
    network_gc_want(&kept, &record);
    network_record_end(&record);
    wanted = unlinkat(notes->dir, "n.json", 0) == 0;
    return wanted;
}

static void asks_only_who_can(void **state)
{
    struct place notes;

    make(&notes);
    assert_true(is_wanted(&notes, "cni:n", LIST("1.1.0", "")));
    assert_true(is_wanted(&notes, "cni:n", LIST("1.1.0", ", \"disableGC\": false")));
    assert_false(is_wanted(&notes, "cni:n", LIST("1.1.0", ", \"disableGC\": true")));
    assert_false(is_wanted(&notes, "cni:n", LIST("1.0.0", "")));
    assert_false(is_wanted(&notes, "cni:n", "{}"));
    assert_false(is_wanted(&notes, "cni:n", NULL));
    assert_false(is_wanted(&notes, "bridge", NULL));
    drop(&notes, (const char *const[]){NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_all_that_are_valid),
        cmocka_unit_test(asks_only_who_can),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
