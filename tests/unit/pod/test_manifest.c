// SPDX-License-Identifier: Apache-2.0
/* Manifests and indexes: what is read out of them, what is refused, and every limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/image/json.h"
#include "pod/image/manifest.h"

#define D1     "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2     "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3     "sha256:3333333333333333333333333333333333333333333333333333333333333333"
#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

#define CONFIG      "{'mediaType':'" OCI "config.v1+json','digest':'" D1 "','size':10}"
#define LAYER       "{'mediaType':'" OCI "layer.v1.tar+gzip','digest':'" D2 "','size':20}"
#define ENTRY(x)    "{'mediaType':'" OCI "manifest.v1+json','digest':'" D3 "','size':30" x "}"
#define PLATFORM(p) ",'platform':{'os':'linux','architecture':'" p "'}"

/* JSON with ' for ". */
static int parse(const char *json, const char *type, struct manifest *out, struct husk_error *err)
{
    char *text = strdup(json);
    int ret;

    for (char *at = text; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    ret = manifest_parse(text, strlen(text), type, "test", out, err);
    free(text);
    return ret;
}

static void test_manifest(void **state)
{
    struct manifest manifest;

    assert_int_equal(parse("{'schemaVersion':2,'config':" CONFIG ",'layers':[" LAYER "]}",
                           OCI "manifest.v1+json; charset=utf-8", &manifest, NULL),
                     0);
    assert_false(manifest.is_index);
    assert_int_equal(manifest.layer_count, 1);
    assert_int_equal(manifest.layers[0].media, MEDIA_LAYER_GZIP);
    assert_int_equal(manifest.layers[0].size, 20);
    assert_string_equal(manifest.layers[0].digest.text, D2);
    assert_string_equal(manifest.config.digest.text, D1);
    manifest_clear(&manifest);
}

static void test_docker_types(void **state)
{
    assert_int_equal(image_media_parse(DOCKER "image.rootfs.diff.tar.gzip"), MEDIA_LAYER_GZIP);
    assert_int_equal(image_media_parse(DOCKER "distribution.manifest.list.v2+json"), MEDIA_INDEX);
    assert_int_equal(image_media_parse(DOCKER "distribution.manifest.v2+json"), MEDIA_MANIFEST);
    assert_int_equal(image_media_parse(OCI "layer.v1.tar+zstd"), MEDIA_LAYER_ZSTD);
    assert_int_equal(image_media_parse(OCI "layer.v1.tarx"), MEDIA_OTHER);
    assert_int_equal(image_media_parse(NULL), MEDIA_OTHER);
}

static void test_index_selects(void **state)
{
    struct manifest index;
    struct platform platform;

    assert_int_equal(parse("{'schemaVersion':2,'manifests':[" ENTRY(PLATFORM("arm64")) "," ENTRY(
                               ",'platform':{'os':'linux','architecture':'arm','variant':'v7'"
                               "}") "," ENTRY(",'annotations':{'org.opencontainers.image.ref."
                                              "name':'v1'}") "," ENTRY(PLATFORM("amd64")) ",{'"
                                                                                          "med"
                                                                                          "iaT"
                                                                                          "ype"
                                                                                          "':'"
                                                                                          "tex"
                                                                                          "t/"
                                                                                          "x',"
                                                                                          "'di"
                                                                                          "ges"
                                                                                          "t':"
                                                                                          "'" D1
                                                                                          "','"
                                                                                          "siz"
                                                                                          "e':"
                                                                                          "1}]"
                                                                                          "}",
                           NULL, &index, NULL),
                     0);
    assert_true(index.is_index);
    assert_int_equal(index.entry_count, 4);
    assert_string_equal(index.entries[2].version, "v1");
    assert_int_equal(platform_parse("linux/amd64", &platform), 0);
    assert_ptr_equal(manifest_select(&index, &platform), &index.entries[3]);
    assert_int_equal(platform_parse("linux/arm", &platform), 0);
    assert_ptr_equal(manifest_select(&index, &platform), &index.entries[1]);
    assert_int_equal(platform_parse("linux/arm/v6", &platform), 0);
    assert_null(manifest_select(&index, &platform));
    assert_int_equal(platform_parse("linux/s390x", &platform), 0);
    assert_null(manifest_select(&index, &platform));
    manifest_clear(&index);
}

static void test_platforms(void **state)
{
    static const char *const wrong[] = {
        "", "linux", "linux/", "/amd64", "linux/amd64/", "a/b/c/d", "LINUX/amd64", "linux/ amd64"};
    struct platform platform;

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_not_equal(platform_parse(wrong[i], &platform), 0);
    assert_int_equal(platform_parse("linux/arm64/v8", &platform), 0);
    assert_string_equal(platform.variant, "v8");
    platform_of_host(&platform);
    assert_string_equal(platform.os, "linux");
}

static void test_refused(void **state)
{
    static const struct {
        const char *json, *type, *what;
    } wrong[] = {
        {"", NULL, "is not valid JSON"},
        {"[]", NULL, "is not a JSON object"},
        {"{}", NULL, "is neither a manifest nor an index"},
        {"{'schemaVersion':2,'manifests':[],'layers':[]}", NULL,
         "is neither a manifest nor an index"},
        {"{'schemaVersion':1,'config':" CONFIG ",'layers':[]}", NULL,
         "has an unknown schemaVersion"},
        {"{'schemaVersion':1,'fsLayers':[]}", NULL, "is a manifest of Docker's schema 1"},
        {"{'schemaVersion':2,'schemaVersion':2,'manifests':[]}", NULL, "is not valid JSON"},
        {"{'schemaVersion':2,'manifests':[]}", OCI "manifest.v1+json",
         "came with a media type that its members contradict"},
        {"{'schemaVersion':2,'mediaType':'" OCI "manifest.v1+json','manifests':[]}", NULL,
         "has a media type that its members contradict"},
        {"{'schemaVersion':2,'layers':[]}", NULL, "lacks a member"},
        {"{'schemaVersion':2,'config':" CONFIG ",'layers':{}}", NULL,
         "has a member of the wrong type"},
        {"{'schemaVersion':2,'config':" CONFIG ",'layers':[3]}", NULL,
         "has a layer that is not an object"},
        {"{'schemaVersion':2,'config':" LAYER ",'layers':[]}", NULL,
         "is not the manifest of a container image"},
        {"{'schemaVersion':2,'config':" CONFIG ",'layers':[" CONFIG "]}", NULL,
         "has something else than layers of containers"},
        {"{'schemaVersion':2,'config':" CONFIG ",'layers':[{'mediaType':'" DOCKER
         "image.rootfs.foreign.diff.tar.gzip','digest':'" D2 "','size':1}]}",
         NULL, "has a layer that no registry distributes"},
        {"{'schemaVersion':2,'config':{'mediaType':'" OCI "config.v1+json','digest':'" D1
         "','size':4194305},'layers':[]}",
         NULL, "has a number that is out of range"},
        {"{'schemaVersion':2,'config':{'mediaType':'" OCI "config.v1+json','digest':'" D1
         "','size':-1},'layers':[]}",
         NULL, "has a number that is out of range"},
        {"{'schemaVersion':2,'config':{'mediaType':'" OCI
         "config.v1+json','digest':'sha256:../../x','size':1},'layers':[]}",
         NULL, "names something that is no digest"},
        {"{'schemaVersion':2,'config':{'mediaType':'" OCI
         "config.v1+json','digest':'sha512:00','size':1},'layers':[]}",
         NULL, "names a digest of an unknown kind"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct manifest manifest;
        struct husk_error err = {0};

        assert_int_not_equal(parse(wrong[i].json, wrong[i].type, &manifest, &err), 0);
        assert_string_equal(err.what, wrong[i].what);
        assert_null(manifest.entries);
    }
}

/* One layer of a size, `count` times. */
static int parse_layers(unsigned count, uint64_t size, struct husk_error *err)
{
    char *text = malloc(300 + (size_t)count * 200), *at = text;
    struct manifest manifest;
    int ret;

    at += sprintf(at, "{'schemaVersion':2,'config':" CONFIG ",'layers':[");
    for (unsigned i = 0; i < count; i++)
        at += sprintf(at, "%s{'mediaType':'" OCI "layer.v1.tar','digest':'" D2 "','size':%llu}",
                      i ? "," : "", (unsigned long long)size);
    sprintf(at, "]}");
    ret = parse(text, NULL, &manifest, err);
    if (ret == 0)
        manifest_clear(&manifest);
    free(text);
    return ret;
}

static void test_limits(void **state)
{
    struct husk_error err = {0};

    assert_int_equal(parse_layers(IMAGE_LAYERS_MAX, 1, NULL), 0);
    assert_int_not_equal(parse_layers(IMAGE_LAYERS_MAX + 1, 1, &err), 0);
    assert_string_equal(err.what, "has too many layers");
    assert_int_equal(parse_layers(2, IMAGE_BLOB_BYTES_MAX, NULL), 0);
    assert_int_not_equal(parse_layers(3, IMAGE_BLOB_BYTES_MAX, &err), 0);
    assert_string_equal(err.what, "has layers that are too big");
    assert_int_not_equal(parse_layers(1, IMAGE_BLOB_BYTES_MAX + 1, &err), 0);
}

static void test_depth(void **state)
{
    char text[200] = "{\"a\":\"[[[[\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\",\"b\":";
    struct husk_error err = {0};
    json_t *document;
    size_t len = strlen(text);

    for (unsigned i = 0; i < IMAGE_JSON_DEPTH_MAX - 1; i++)
        text[len + i] = '[';
    for (unsigned i = 0; i < IMAGE_JSON_DEPTH_MAX - 1; i++)
        text[len + IMAGE_JSON_DEPTH_MAX - 1 + i] = ']';
    text[len + 2 * (IMAGE_JSON_DEPTH_MAX - 1)] = '}';
    document = image_json_parse(text, strlen(text), "test", &err);
    assert_non_null(document);
    json_decref(document);
    memmove(text + len + 1, text + len, strlen(text + len) + 1);
    assert_null(image_json_parse(text, strlen(text), "test", &err));
    assert_string_equal(err.what, "is nested too deep");
}

static void test_write(void **state)
{
    struct descriptor config = {.media = MEDIA_CONFIG, .size = 7};
    struct descriptor layers[2] = {{.media = MEDIA_LAYER_TAR, .size = 8},
                                   {.media = MEDIA_LAYER_ZSTD, .size = 9}};
    struct manifest manifest;
    char *text;

    assert_int_equal(digest_parse(D1, &config.digest), 0);
    assert_int_equal(digest_parse(D2, &layers[0].digest), 0);
    assert_int_equal(digest_parse(D3, &layers[1].digest), 0);
    text = manifest_write(&config, layers, 2);
    assert_int_equal(manifest_parse(text, strlen(text), NULL, "test", &manifest, NULL), 0);
    assert_int_equal(manifest.layer_count, 2);
    assert_int_equal(manifest.layers[1].media, MEDIA_LAYER_ZSTD);
    assert_string_equal(manifest.layers[0].digest.text, D2);
    assert_int_equal(manifest.config.size, 7);
    manifest_clear(&manifest);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),      cmocka_unit_test(test_docker_types),
        cmocka_unit_test(test_index_selects), cmocka_unit_test(test_platforms),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
