// SPDX-License-Identifier: Apache-2.0
/* Manifests as collections of objects: the calls of include/husk/pod.h and of manifest.h. */
#include "pod/manifest/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/manifest/internal.h"

#define ANNOTATIONS_MAX (256u << 10) /* bytes in all, as Kubernetes has it */

char *manifest_full_name(const char *space, const char *name)
{
    char *full;

    if (!space[0] || !strcmp(space, "default"))
        return strdup(name);
    return asprintf(&full, "%s/%s", space, name) < 0 ? NULL : full;
}

const struct manifest_object *manifest_find(const struct husk_manifest *manifest,
                                            enum manifest_kind kind, const char *name)
{
    for (unsigned i = 0; i < manifest->object_count; i++) {
        const struct manifest_object *object = &manifest->objects[i];

        if (object->kind == kind && !strcmp(object->name, name))
            return object;
    }
    return NULL;
}

struct manifest_object *manifest_nth(const struct husk_manifest *manifest, enum manifest_kind kind,
                                     unsigned index)
{
    for (unsigned i = 0; i < manifest->object_count; i++) {
        if (manifest->objects[i].kind == kind && index-- == 0)
            return &manifest->objects[i];
    }
    return NULL;
}

unsigned manifest_count(const struct husk_manifest *manifest, enum manifest_kind kind)
{
    unsigned count = 0;

    for (unsigned i = 0; i < manifest->object_count; i++)
        count += manifest->objects[i].kind == kind;
    return count;
}

static void clear_object(struct manifest_object *object)
{
    free(object->name);
    json_decref(object->value);
}

static int refuse(const struct manifest_object *object, int code, const char *why,
                  struct husk_error *err)
{
    char where[300];

    snprintf(where, sizeof(where), "%s:%u", object->origin.source->name,
             object->origin.place->line);
    return error_set(err, code, where, "cannot be used", "%s: %s", object->name, why);
}

int manifest_add(struct husk_manifest *manifest, const struct manifest_object *object,
                 struct husk_error *err)
{
    struct manifest_object *more, one = *object;
    int ret = 0;

    if (!one.name)
        ret = error_set(err, ENOMEM, object->origin.source->name, "cannot be read", NULL);
    else if (manifest_find(manifest, one.kind, one.name))
        ret = refuse(&one, EEXIST, "another document has the same kind and name", err);
    else if (one.kind == MANIFEST_POD &&
             manifest_count(manifest, MANIFEST_POD) == MANIFEST_PODS_MAX)
        ret = refuse(&one, E2BIG, "there are too many pods", err);
    else if (manifest->object_count == MANIFEST_ALL_DOCUMENTS)
        ret = refuse(&one, E2BIG, "there are too many objects", err);
    more = ret ? NULL : reallocarray(manifest->objects, manifest->object_count + 1, sizeof(*more));
    if (!ret && !more)
        ret = error_set(err, ENOMEM, object->origin.source->name, "cannot be read", NULL);
    if (ret || !more) {
        clear_object(&one);
        return ret;
    }
    manifest->objects = more;
    manifest->objects[manifest->object_count++] = one;
    return 0;
}

/* ---- reading ---- */

static struct manifest_source *add_source(struct husk_manifest *manifest, const char *name)
{
    struct manifest_source **more = reallocarray(manifest->sources, manifest->source_count + 1,
                                                 sizeof(struct manifest_source *));
    struct manifest_source *source = more ? calloc(1, sizeof(*source)) : NULL;

    if (more)
        manifest->sources = more;
    if (source)
        source->name = strdup(name);
    if (!source || !source->name) {
        free(source);
        return NULL;
    }
    return more[manifest->source_count++] = source;
}

static int take_options(struct husk_manifest_options *out,
                        const struct husk_manifest_options *options, struct husk_error *err)
{
    *out = (struct husk_manifest_options)HUSK_MANIFEST_OPTIONS_INIT;
    if (!options)
        return 0;
    if (options->size < sizeof(options->size))
        return error_set(err, EINVAL, "options", "do not say their size",
                         "initialise them with HUSK_MANIFEST_OPTIONS_INIT");
    memcpy(out, options, min_u64(options->size, sizeof(*out)));
    return 0;
}

int husk_manifest_read(const char *name, const void *bytes, size_t len,
                       const struct husk_manifest_options *options, struct husk_manifest **out,
                       struct husk_error *err)
{
    struct husk_manifest *manifest = calloc(1, sizeof(*manifest));
    struct manifest_source *source = manifest ? add_source(manifest, name) : NULL;
    struct husk_manifest_options wants;
    int ret;

    if (!source) {
        husk_manifest_free(manifest);
        return error_set(err, ENOMEM, name, "cannot be read", NULL);
    }
    ret = take_options(&wants, options, err);
    if (!ret)
        ret = yaml_read(name, bytes, len, &source->text, err);
    for (unsigned i = 0; !ret && i < source->text.count; i++)
        ret = manifest_add_document(manifest, source, &source->text.documents[i], &wants, err);
    if (ret) {
        husk_manifest_free(manifest);
        return ret;
    }
    *out = manifest;
    return 0;
}

/* All of it, or one byte more than may be. */
static int read_all(int fd, char **bytes, size_t *len)
{
    size_t space = 0;

    *bytes = NULL;
    *len = 0;
    while (*len <= MANIFEST_BYTES_MAX) {
        ssize_t n;

        if (space - *len < 4096) {
            char *more;

            space = space ? 2 * space : 65536;
            more = realloc(*bytes, space);
            if (!more)
                return -ENOMEM;
            *bytes = more;
        }
        n = read(fd, *bytes + *len, space - *len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        *len += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int husk_manifest_read_file(const char *path, const struct husk_manifest_options *options,
                            struct husk_manifest **out, struct husk_error *err)
{
    bool standard = !strcmp(path, "-");
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = NULL;
    size_t len = 0;
    int ret = fd < 0 ? -errno : read_all(fd, &bytes, &len);

    if (!standard)
        close_fd(&fd);
    if (ret)
        error_set(err, -ret, path, "cannot be read", NULL);
    else
        ret = husk_manifest_read(standard ? "standard input" : path, bytes, len, options, out, err);
    free(bytes);
    return ret;
}

void husk_manifest_free(struct husk_manifest *manifest)
{
    if (!manifest)
        return;
    for (unsigned i = 0; i < manifest->object_count; i++)
        clear_object(&manifest->objects[i]);
    for (unsigned i = 0; i < manifest->source_count; i++) {
        yaml_text_clear(&manifest->sources[i]->text);
        free(manifest->sources[i]->name);
        free(manifest->sources[i]);
    }
    free(manifest->objects);
    free(manifest->sources);
    free(manifest);
}

/* Everything is checked, and room made, before the first object changes hands. */
int husk_manifest_join(struct husk_manifest *manifest, struct husk_manifest *other,
                       struct husk_error *err)
{
    unsigned objects = manifest->object_count + other->object_count;
    unsigned sources = manifest->source_count + other->source_count;
    struct manifest_object *more_objects;
    struct manifest_source **more_sources;

    for (unsigned i = 0; i < other->object_count; i++) {
        if (manifest_find(manifest, other->objects[i].kind, other->objects[i].name))
            return refuse(&other->objects[i], EEXIST, "another document has the same kind and name",
                          err);
    }
    if (manifest->document_count + other->document_count > MANIFEST_ALL_DOCUMENTS ||
        objects > MANIFEST_ALL_DOCUMENTS ||
        manifest_count(manifest, MANIFEST_POD) + manifest_count(other, MANIFEST_POD) >
            MANIFEST_PODS_MAX)
        return error_set(err, E2BIG, "", "there are too many documents, or pods", NULL);
    more_objects = reallocarray(manifest->objects, objects + 1, sizeof(*more_objects));
    if (more_objects)
        manifest->objects = more_objects;
    more_sources = reallocarray(manifest->sources, sources + 1, sizeof(struct manifest_source *));
    if (more_sources)
        manifest->sources = more_sources;
    if (!more_objects || !more_sources)
        return error_set(err, ENOMEM, "", "cannot join the manifests", NULL);
    for (size_t i = 0; i < other->object_count; i++)
        manifest->objects[manifest->object_count + i] = other->objects[i];
    for (size_t i = 0; i < other->source_count; i++)
        manifest->sources[manifest->source_count + i] = other->sources[i];
    manifest->object_count = objects;
    manifest->source_count = sources;
    manifest->document_count += other->document_count;
    other->object_count = other->source_count = other->document_count = 0;
    return 0;
}

/* ---- looking ---- */

unsigned husk_manifest_pods(const struct husk_manifest *manifest)
{
    return manifest ? manifest_count(manifest, MANIFEST_POD) : 0;
}

const char *husk_manifest_pod_name(const struct husk_manifest *manifest, unsigned index)
{
    const struct manifest_object *pod = manifest_nth(manifest, MANIFEST_POD, index);

    return pod ? pod->name : NULL;
}

const json_t *manifest_pod(const struct husk_manifest *manifest, unsigned index)
{
    const struct manifest_object *pod = manifest_nth(manifest, MANIFEST_POD, index);

    return pod ? pod->value : NULL;
}

char *husk_manifest_pod_json(const struct husk_manifest *manifest, unsigned index)
{
    const json_t *pod = manifest_pod(manifest, index);

    return pod ? json_dumps(pod, JSON_COMPACT) : NULL;
}

int husk_manifest_pod_objects_json(const struct husk_manifest *manifest, unsigned index,
                                   char **json, struct husk_error *err)
{
    json_t *objects = NULL;
    int ret = manifest_objects(manifest, index, &objects, err);

    if (ret)
        return ret;
    *json = json_dumps(objects, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(objects);
    return *json ? 0 : error_set(err, ENOMEM, "", "cannot describe the pod's objects", NULL);
}

unsigned husk_manifest_deployments(const struct husk_manifest *manifest)
{
    return manifest ? manifest_count(manifest, MANIFEST_DEPLOYMENT) : 0;
}

const char *husk_manifest_deployment_name(const struct husk_manifest *manifest, unsigned index)
{
    const struct manifest_object *object = manifest_nth(manifest, MANIFEST_DEPLOYMENT, index);

    return object ? object->name : NULL;
}

/* The pod with this annotation; its other parts are shared with what it was. */
static json_t *annotated(const json_t *pod, const char *key, const char *value)
{
    json_t *copy = json_copy((json_t *)pod);
    json_t *metadata = json_copy(json_object_get(pod, "metadata"));
    json_t *before = json_object_get(metadata, "annotations");
    json_t *notes = before ? json_copy(before) : json_object();

    if (!copy || !metadata || !notes || json_object_set_new(notes, key, json_string(value)) ||
        json_object_set(metadata, "annotations", notes) ||
        json_object_set(copy, "metadata", metadata)) {
        json_decref(copy);
        copy = NULL;
    }
    json_decref(notes);
    json_decref(metadata);
    return copy;
}

static size_t annotation_bytes(const json_t *pod)
{
    const char *key;
    json_t *value;
    size_t bytes = 0;

    json_object_foreach(json_object_get(json_object_get(pod, "metadata"), "annotations"), key,
                        value)
    {
        bytes += strlen(key) + json_string_length(value);
    }
    return bytes;
}

int husk_manifest_annotate(struct husk_manifest *manifest, unsigned index, const char *key,
                           const char *value, struct husk_error *err)
{
    struct manifest_object *pod = manifest_nth(manifest, MANIFEST_POD, index);
    const char *problem = format_problem(FORMAT_LABEL_KEY, key);
    json_t *with;

    if (!pod)
        return error_set(err, EINVAL, "index", "is not of the manifest", NULL);
    if (problem)
        return error_set(err, EINVAL, key, "is no key of an annotation", "%s", problem);
    with = annotated(pod->value, key, value);
    if (!with)
        return error_set(err, ENOMEM, pod->name, "cannot be annotated", NULL);
    if (annotation_bytes(with) > ANNOTATIONS_MAX) {
        json_decref(with);
        return error_set(err, EINVAL, key, "cannot be added",
                         "annotations may come to %u bytes in all", ANNOTATIONS_MAX);
    }
    json_decref(pod->value);
    pod->value = with;
    return 0;
}
