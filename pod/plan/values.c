// SPDX-License-Identifier: Apache-2.0
/*
 * Values by reference: see values.h. The fields are those of the downward API (Kubernetes
 * documentation, "Downward API"), and resources are divided and rounded up as there. No state.
 */
#include "pod/plan/values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/checked.h"
#include "pod/manifest/quantity.h"
#include "pod/plan/resources.h"

static int give(const char *text, char **out, struct husk_error *err)
{
    *out = strdup(text);
    return *out ? 0 : plan_no_memory(err);
}

/* ---- fields ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One character as Go's %q writes it, between double quotes. */
static void write_quoted(FILE *file, unsigned char c)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
    const char *found = c ? strchr(from, c) : NULL;

    if (found)
        fprintf(file, "\\%c", to[found - from]);
    else if (c < 0x20 || c == 0x7f)
        fprintf(file, "\\x%02x", c);
    else
        fputc(c, file);
}

/* All labels or annotations: a line NAME="VALUE" for each, by name. */
static int all_of(const json_t *map, char **out, struct husk_error *err)
{
    size_t count = json_object_size(map), len = 0, i = 0;
    const char **names = calloc(count + 1, sizeof(*names));
    FILE *file = names ? open_memstream(out, &len) : NULL;
    const char *name;
    json_t *value;
    bool failed;

    if (!file) {
        free(names);
        return plan_no_memory(err);
    }
    json_object_foreach((json_t *)map, name, value)
    {
        names[i++] = name;
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (i = 0; i < count; i++) {
        fprintf(file, "%s%s=\"", i ? "\n" : "", names[i]);
        for (const char *at = plan_text(map, names[i]); at && *at; at++)
            write_quoted(file, (unsigned char)*at);
        fputc('"', file);
    }
    free(names);
    failed = ferror(file) != 0;
    if (fclose(file) || failed) {
        free(*out);
        *out = NULL;
        return plan_no_memory(err);
    }
    return 0;
}

/* "metadata.labels['NAME']": the value, or "" as there. */
static int one_of(const json_t *map, const char *path, const char *where, char **out,
                  struct husk_error *err)
{
    size_t len = strlen(path);
    const json_t *value;

    if (len < 4 || strncmp(path, "['", 2) != 0 || strcmp(path + len - 2, "']") != 0)
        return plan_refuse(err, EINVAL, where, "there is no such field");
    value = json_object_getn(map, path + 2, len - 4);
    return give(value ? json_string_value(value) : "", out, err);
}

static int join(const struct spec_words *words, char **out, struct husk_error *err)
{
    size_t size = 1, len = 0;

    for (unsigned i = 0; i < words->count; i++)
        size += strlen(words->words[i]) + 1;
    *out = calloc(1, size);
    if (!*out)
        return plan_no_memory(err);
    for (unsigned i = 0; i < words->count; i++)
        len += (size_t)snprintf(*out + len, size - len, "%s%s", i ? "," : "", words->words[i]);
    return 0;
}

static const char *first(const struct spec_words *words)
{
    return words->count ? words->words[0] : "";
}

int value_of_field(const struct plan *plan, const char *path, const char *where, char **out,
                   struct husk_error *err)
{
    static const char labels[] = "metadata.labels", annotations[] = "metadata.annotations";
    const struct plan_input *in = plan->in;
    const char *account = plan_text(plan->spec, "serviceAccountName");
    const struct {
        const char *path, *value;
    } fields[] = {
        {"metadata.name", plan->name},
        {"metadata.namespace", plan->space},
        {"metadata.uid", in->uid},
        {"spec.nodeName", in->node_name ? in->node_name : ""},
        {"spec.serviceAccountName", account ? account : "default"},
        {"status.podIP", first(&in->addresses)},
        {"status.hostIP", first(&in->host_addresses)},
    };

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!strcmp(path, fields[i].path))
            return give(fields[i].value, out, err);
    }
    if (!strcmp(path, "status.podIPs"))
        return join(&in->addresses, out, err);
    if (!strcmp(path, "status.hostIPs"))
        return join(&in->host_addresses, out, err);
    if (!strcmp(path, labels))
        return all_of(json_object_get(plan->metadata, "labels"), out, err);
    if (!strcmp(path, annotations))
        return all_of(json_object_get(plan->metadata, "annotations"), out, err);
    if (!strncmp(path, labels, strlen(labels)))
        return one_of(json_object_get(plan->metadata, "labels"), path + strlen(labels), where, out,
                      err);
    if (!strncmp(path, annotations, strlen(annotations)))
        return one_of(json_object_get(plan->metadata, "annotations"), path + strlen(annotations),
                      where, out, err);
    return plan_refuse(err, EINVAL, where, "there is no such field");
}

/* ---- resources ---- */

static const json_t *find_container(const struct plan *plan, const char *name)
{
    static const char *const lists[] = {"containers", "initContainers"};
    const json_t *container;
    size_t index;

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        json_array_foreach(json_object_get(plan->spec, lists[i]), index, container)
        {
            if (!strcmp(plan_text(container, "name"), name))
                return container;
        }
    }
    return NULL;
}

/* What a limit is that nobody has set: all that the machine has for containers. */
static void add_allocatable(const struct plan *plan, struct resources *resources)
{
    const struct pod_machine_options *machine = plan->out->machine;

    if (!resources->cpu_limit)
        resources->cpu_limit = UINT64_C(1000) * machine->vcpus;
    if (!resources->memory_limit)
        resources->memory_limit = pod_machine_memory_left(machine->memory_bytes);
    if (!resources->storage_limit)
        resources->storage_limit = machine->scratch_bytes;
}

int value_of_resource(const struct plan *plan, const json_t *reference, const json_t *own,
                      const char *where, char **out, struct husk_error *err)
{
    const char *name = plan_text(reference, "containerName");
    const char *resource = plan_text(reference, "resource");
    const char *divisor_text = plan_text(reference, "divisor");
    const json_t *container = name ? find_container(plan, name) : own;
    struct resources resources;
    uint64_t divisor = 1, value = 0;
    size_t which = 0;
    int ret;

    if (!container)
        return plan_refuse(err, EINVAL, where, "names no container of the pod");
    ret = resources_read(container, where, &resources, err);
    if (ret)
        return ret;
    add_allocatable(plan, &resources);
    const struct {
        const char *name;
        uint64_t value;
        bool milli;
    } known[] = {
        {"limits.cpu", resources.cpu_limit, true},
        {"requests.cpu", resources.cpu_request, true},
        {"limits.memory", resources.memory_limit, false},
        {"requests.memory", resources.memory_request, false},
        {"limits.ephemeral-storage", resources.storage_limit, false},
        {"requests.ephemeral-storage", resources.storage_request, false},
    };

    while (which < ARRAY_SIZE(known) && strcmp(known[which].name, resource) != 0)
        which++;
    if (which == ARRAY_SIZE(known))
        return plan_refuse(err, EINVAL, where, "there is no such resource");
    value = known[which].value;
    /* "0", which is the default, is 1. */
    if (divisor_text && (known[which].milli ? quantity_milli(divisor_text, &divisor)
                                            : quantity_bytes(divisor_text, &divisor)))
        return plan_refuse(err, EINVAL, where, "the divisor \"%s\" is no quantity", divisor_text);
    if (!divisor || !divisor_text)
        divisor = known[which].milli ? 1000 : 1;
    value = value / divisor + (value % divisor != 0);
    if (asprintf(out, "%" PRIu64, value) >= 0)
        return 0;
    *out = NULL;
    return plan_no_memory(err);
}

int value_of_downward(const struct plan *plan, const json_t *source, const json_t *own,
                      const char *where, char **out, struct husk_error *err)
{
    const json_t *field = json_object_get(source, "fieldRef");
    const json_t *resource = json_object_get(source, "resourceFieldRef");
    char place[PLAN_WHERE_BYTES];

    *out = NULL;
    if (field)
        return value_of_field(plan, plan_text(field, "fieldPath"),
                              plan_where(place, "%s.fieldRef.fieldPath", where), out, err);
    if (resource)
        return value_of_resource(plan, resource, own,
                                 plan_where(place, "%s.resourceFieldRef", where), out, err);
    return 0;
}

/* ---- objects ---- */

const char *value_kind_name(enum value_kind kind)
{
    return kind == VALUE_SECRET ? "secret" : "config map";
}

const json_t *value_object(const struct plan *plan, enum value_kind kind, const char *name)
{
    const char *list = kind == VALUE_SECRET ? "secrets" : "configMaps";

    return json_object_get(json_object_get(plan->in->objects, list), name);
}

const char *value_of_key(const json_t *object, enum value_kind kind, const char *key, bool *base64)
{
    const char *value = plan_text(json_object_get(object, "data"), key);

    *base64 = kind == VALUE_SECRET;
    if (value)
        return value;
    *base64 = true;
    return plan_text(json_object_get(object, "binaryData"), key);
}

int value_as_text(const char *value, bool base64, const char *where, char **out,
                  struct husk_error *err)
{
    size_t len = strlen(value), bytes = 0;
    json_t *text;

    if (!base64)
        return give(value, out, err);
    *out = malloc(BASE64_BYTES_MAX(len) + 1);
    if (!*out)
        return plan_no_memory(err);
    if (base64_decode(value, len, *out, &bytes)) {
        free(*out);
        *out = NULL;
        return plan_refuse(err, EINVAL, where, "is not base64");
    }
    (*out)[bytes] = '\0';
    text = strlen(*out) == bytes ? json_string(*out) : NULL;
    if (!text) {
        free(*out);
        *out = NULL;
        return plan_refuse(err, EILSEQ, where, "is no text that a variable could have");
    }
    json_decref(text);
    return 0;
}
