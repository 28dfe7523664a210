// SPDX-License-Identifier: Apache-2.0
/* The directory with the manifests of libhusk-pod: what a file brings, and what counts as a change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "cli/node/hash.h"
#include "cli/node/source.h"

#define POD(name, image)                                                            \
    "apiVersion: v1\nkind: Pod\nmetadata: {name: " name "}\nspec:\n  containers:\n" \
    "  - name: main\n    image: " image "\n    envFrom: [{configMapRef: {name: settings}}]\n"
#define MAP(name, value) \
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " name "}\ndata: {key: " value "}\n"

/* The manifests of the library without the rest of it. */
void husk_pod_text_free(char *text)
{
    free(text);
}

struct fixture {
    char directory[64];
    struct source *source;
    char hash[HASH_DIGITS + 1];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->directory, "/tmp/husk-source-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    assert_int_equal(source_create(f->directory, &f->source), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    source_destroy(f->source);
    snprintf(command, sizeof(command), "rm -r %s", f->directory);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static const struct wanted *scan(struct fixture *f)
{
    assert_int_equal(source_scan(f->source, NULL), 0);
    return source_wanted(f->source);
}

/* Whether the first pod's description is another than when this was asked last. */
static bool has_changed(struct fixture *f)
{
    const struct wanted *wanted = scan(f);
    bool changed = strcmp(wanted->pods[0].hash, f->hash) != 0;

    assert_int_equal(strlen(wanted->pods[0].hash), HASH_DIGITS);
    strcpy(f->hash, wanted->pods[0].hash);
    return changed;
}

static void sees_what_changes_a_pod(void **state)
{
    struct fixture *f = *state;

    put(f, "web.yaml", POD("web", "nginx:1"));
    assert_true(has_changed(f)); /* its config map is missing: that is the pod's problem, later */
    assert_int_equal(source_wanted(f->source)->pod_count, 1);
    assert_false(source_wanted(f->source)->files[0].broken);
    assert_false(has_changed(f));
    put(f, "maps.yaml", MAP("settings", "one"));
    assert_true(has_changed(f));
    put(f, "others.yaml", MAP("not-its", "one"));
    assert_false(has_changed(f));
    put(f, "maps.yaml", MAP("settings", "two"));
    assert_true(has_changed(f));
    put(f, "web.yaml", "# only said\n" POD("web", "nginx:1"));
    assert_false(has_changed(f));
    put(f, "web.yaml", POD("web", "nginx:2"));
    assert_true(has_changed(f));
}

static void marks_pods(void **state)
{
    struct fixture *f = *state;
    struct husk_manifest *manifest;
    char *text;

    put(f, "web.yaml", POD("web", "nginx:1"));
    scan(f);
    manifest = source_manifest(f->source, 0);
    assert_int_equal(husk_manifest_annotate(manifest, 0, ANNOTATION_SOURCE, SOURCE_FILE, NULL), 0);
    assert_int_equal(husk_manifest_annotate(manifest, 0, ANNOTATION_MANIFEST, "/m/web.yaml", NULL),
                     0);
    text = husk_manifest_pod_json(manifest, 0);
    assert_non_null(strstr(text, "/m/web.yaml"));
    husk_pod_text_free(text);
}

static void names_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    const struct wanted *wanted;

    put(f, "a.yaml", POD("web", "nginx:1") "    nonsense: 1\n");
    put(f, "b.yaml", POD("db", "nginx:1") "---\n" POD("db2", "nginx:1"));
    put(f, "c.yaml", "{");
    put(f, "d.yaml", "# nothing yet\n");
    wanted = scan(f);
    assert_int_equal(wanted->file_count, 4);
    assert_true(wanted->files[0].broken);
    assert_non_null(strstr(source_error(f->source, 0), "a.yaml:"));
    assert_non_null(strstr(source_error(f->source, 0), "nonsense"));
    assert_false(wanted->files[1].broken);
    assert_int_equal(wanted->pod_count, 2);
    assert_string_equal(wanted->pods[1].name, "db2");
    assert_true(wanted->files[2].broken);
    assert_false(wanted->files[3].broken); /* whoever writes so wants no pods */
}

static void two_with_the_same_object(void **state)
{
    struct fixture *f = *state;
    const struct wanted *wanted;

    put(f, "a.yaml", MAP("settings", "one"));
    put(f, "b.yaml", MAP("settings", "two"));
    put(f, "web.yaml", POD("web", "nginx:1"));
    wanted = scan(f);
    assert_false(wanted->files[0].broken);
    assert_true(wanted->files[1].broken);
    assert_false(wanted->files[2].broken);
    put(f, "web.yaml", POD("web", "nginx:1") "---\n" MAP("settings", "mine"));
    wanted = scan(f);
    assert_true(wanted->files[2].broken);
}

static void which_files_count(void **state)
{
    assert_true(source_takes("a.yaml") && source_takes("a.b.yml") && source_takes("a.json"));
    assert_false(source_takes(".a.yaml") || source_takes(".yaml") || source_takes("a.yaml~") ||
                 source_takes("yaml") || source_takes("#a.yaml#") || source_takes("a.YAML"));
}

static void hashes_texts(void **state)
{
    char one[HASH_DIGITS + 1], other[HASH_DIGITS + 1];

    assert_int_equal(hash_texts("ab", "c", one), 0);
    assert_int_equal(hash_texts("a", "bc", other), 0);
    assert_string_not_equal(one, other);
    assert_int_equal(hash_texts("ab", "c", other), 0);
    assert_string_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sees_what_changes_a_pod, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_pods, setup, teardown),
        cmocka_unit_test_setup_teardown(names_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(two_with_the_same_object, setup, teardown),
        cmocka_unit_test(which_files_count),
        cmocka_unit_test(hashes_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
