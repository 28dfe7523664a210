// SPDX-License-Identifier: Apache-2.0
/*
 * YAML as JSON values: see yaml.h.
 *
 * libyaml's events are read into values by one function that calls itself for what is inside, at
 * most MANIFEST_DEPTH_MAX deep. Everything is counted as it would be written out: a node, and the
 * bytes of a scalar, also for each time that an alias stands for them.
 */
#include "pod/manifest/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "pod/manifest/manifest.h"
#include "pod/manifest/scalar.h"
#include "pod/manifest/surrogates.h"

#define BYTES_MAX (2u * MANIFEST_BYTES_MAX) /* of all scalars, written out */
#define CORE_TAG  "tag:yaml.org,2002:"

/* Each is looked for among all that were there before it: here, and in libyaml. */
#define ANCHORS_MAX    256u /* of a document */
#define DIRECTIVES_MAX 16u  /* lines that may be some, of a text */

/* What a value comes to. */
struct weight {
    uint64_t nodes, bytes;
    unsigned height;
};

struct anchor {
    char *name;
    json_t *value; /* ours */
    struct yaml_place *place;
    struct weight weight;
};

struct reading {
    const char *name;
    const char *text; /* that is read */
    size_t text_len;
    yaml_parser_t parser;
    struct yaml_text *out;
    struct anchor *anchors; /* of this document */
    unsigned anchor_count;
    uint64_t nodes, bytes; /* so far */
    struct husk_error *err;
};

__attribute__((format(printf, 4, 5))) static int fail(struct reading *reading, int code,
                                                      unsigned line, const char *format, ...)
{
    char where[160], why[160];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    snprintf(where, sizeof(where), "%.120s:%u", reading->name, line);
    return error_set(reading->err, code, where, "cannot be read as YAML", "%s", why);
}

static int no_memory(struct reading *reading)
{
    return error_set(reading->err, ENOMEM, reading->name, "cannot be read", NULL);
}

static unsigned line_of(const yaml_event_t *event)
{
    return (unsigned)event->start_mark.line + 1;
}

static unsigned line_at(const struct reading *reading, size_t offset)
{
    unsigned line = 1;

    for (size_t i = 0; i < offset && i < reading->text_len; i++)
        line += reading->text[i] == '\n';
    return line;
}

static int next(struct reading *reading, yaml_event_t *event)
{
    const yaml_parser_t *parser = &reading->parser;

    if (yaml_parser_parse(&reading->parser, event))
        return 0;
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(reading);
    if (parser->error == YAML_READER_ERROR) /* it has no mark, but an offset */
        return fail(reading, EINVAL, line_at(reading, parser->problem_offset), "%s",
                    parser->problem);
    return fail(reading, EINVAL, (unsigned)parser->problem_mark.line + 1, "%s%s%s",
                parser->problem ? parser->problem : "it is none", parser->context ? ", " : "",
                parser->context ? parser->context : "");
}

static int count(struct reading *reading, const struct weight *weight, unsigned depth,
                 unsigned line)
{
    reading->nodes += weight->nodes;
    reading->bytes += weight->bytes;
    if (reading->nodes > MANIFEST_NODES_MAX)
        return fail(reading, E2BIG, line, "it has more than %u values", MANIFEST_NODES_MAX);
    if (reading->bytes > BYTES_MAX)
        return fail(reading, E2BIG, line, "its texts come to more than %u bytes", BYTES_MAX);
    if (depth + weight->height > MANIFEST_DEPTH_MAX)
        return fail(reading, E2BIG, line, "it is nested more than %u deep", MANIFEST_DEPTH_MAX);
    return 0;
}

/* ---- places ---- */

static struct yaml_place *new_place(struct reading *reading, unsigned line)
{
    struct yaml_text *out = reading->out;
    struct yaml_place *place;

    if (out->place_count == out->place_space) {
        unsigned space = out->place_space ? 2 * out->place_space : 256;
        struct yaml_place **more = reallocarray(out->places, space, sizeof(struct yaml_place *));

        if (!more)
            return NULL;
        out->places = more;
        out->place_space = space;
    }
    place = calloc(1, sizeof(*place));
    if (place) {
        place->line = line;
        out->places[out->place_count++] = place;
    }
    return place;
}

/* Room grows by doubling: it is there when the count is no power of two. */
static int add_member(struct yaml_place *place, const char *key, struct yaml_place *member)
{
    if ((place->count & (place->count - 1)) == 0) {
        unsigned space = place->count ? 2 * place->count : 1;
        struct yaml_place **members =
            reallocarray(place->members, space, sizeof(struct yaml_place *));
        char **keys;

        if (!members)
            return -ENOMEM;
        place->members = members;
        if (key) {
            keys = reallocarray(place->keys, space, sizeof(*keys));
            if (!keys)
                return -ENOMEM;
            place->keys = keys;
        }
    }
    if (key) {
        place->keys[place->count] = strdup(key);
        if (!place->keys[place->count])
            return -ENOMEM;
    }
    place->members[place->count++] = member;
    return 0;
}

static void free_place(struct yaml_place *place)
{
    for (unsigned i = 0; place->keys && i < place->count; i++)
        free(place->keys[i]);
    free(place->keys);
    free(place->members);
    free(place);
}

void yaml_text_clear(struct yaml_text *text)
{
    for (unsigned i = 0; i < text->count; i++)
        json_decref(text->documents[i].value);
    for (unsigned i = 0; i < text->place_count; i++)
        free_place(text->places[i]);
    free(text->documents);
    free(text->places);
    *text = (struct yaml_text){.documents = NULL};
}

static const struct yaml_place *step(const struct yaml_place *place, const char *key, size_t len)
{
    for (unsigned i = 0; place->keys && i < place->count; i++) {
        if (strlen(place->keys[i]) == len && !memcmp(place->keys[i], key, len))
            return place->members[i];
    }
    return NULL;
}

unsigned yaml_line(const struct yaml_place *place, const char *path)
{
    unsigned line = place->line;

    while (place && *path) {
        const struct yaml_place *inner = NULL;
        size_t len;

        path += *path == '.';
        if (*path == '[' && !place->keys) {
            unsigned long index = strtoul(path + 1, NULL, 10);

            len = strcspn(path, "]") + 1;
            inner = index < place->count ? place->members[index] : NULL;
        } else if (*path == '[') { /* a key that is no word: [KEY] */
            len = strcspn(path, "]");
            inner = step(place, path + 1, len - 1);
            len += path[len] == ']';
        } else {
            len = strcspn(path, ".[");
            inner = step(place, path, len);
        }
        if (inner)
            line = inner->line;
        place = inner;
        path += len;
    }
    return line;
}

/* ---- values ---- */

static int read_value(struct reading *reading, const yaml_event_t *event, unsigned depth,
                      json_t **out, struct yaml_place **place, struct weight *weight);

static const char *core_tag(const yaml_char_t *tag)
{
    const char *text = (const char *)tag;

    if (!text || !strcmp(text, "!"))
        return NULL;
    return strncmp(text, CORE_TAG, strlen(CORE_TAG)) ? "" : text + strlen(CORE_TAG);
}

static int read_scalar(struct reading *reading, const yaml_event_t *event, json_t **out,
                       struct weight *weight)
{
    const char *text = (const char *)event->data.scalar.value, *why = NULL;
    const char *tag = core_tag(event->data.scalar.tag);
    size_t len = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag;

    weight->bytes = len;
    if (strlen(text) != len)
        return fail(reading, EINVAL, line_of(event), "it has a NUL in a text");
    if (tag && strcmp(tag, "str") != 0)
        return fail(reading, EINVAL, line_of(event), "it has a tag other than !!str");
    *out = plain ? scalar_resolve(text, len, &why) : json_stringn(text, len);
    if (why)
        return fail(reading, EINVAL, line_of(event), "\"%.20s\" %s", text, why);
    return *out ? 0 : no_memory(reading);
}

static int check_tag(struct reading *reading, const yaml_event_t *event, const yaml_char_t *given,
                     const char *wanted)
{
    const char *tag = core_tag(given);

    return tag && strcmp(tag, wanted) != 0
               ? fail(reading, EINVAL, line_of(event), "it has a tag other than !!%s", wanted)
               : 0;
}

static void add_weight(struct weight *all, const struct weight *one)
{
    all->nodes += one->nodes;
    all->bytes += one->bytes;
    if (one->height + 1 > all->height)
        all->height = one->height + 1;
}

/* The next value in a collection. 1: it has ended; 0; -errno. */
static int read_member(struct reading *reading, unsigned depth, json_t **out,
                       struct yaml_place **place, struct weight *all)
{
    struct weight weight = {.nodes = 0};
    yaml_event_t event;
    int ret = next(reading, &event);

    if (ret)
        return ret;
    if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
        ret = 1;
    else
        ret = read_value(reading, &event, depth, out, place, &weight);
    yaml_event_delete(&event);
    add_weight(all, &weight);
    return ret;
}

static int read_sequence(struct reading *reading, unsigned depth, json_t *list,
                         struct yaml_place *place, struct weight *weight)
{
    for (;;) {
        struct yaml_place *inner = NULL;
        json_t *value = NULL;
        int ret = read_member(reading, depth + 1, &value, &inner, weight);

        if (ret)
            return ret == 1 ? 0 : ret;
        if (json_array_append_new(list, value) || add_member(place, NULL, inner))
            return no_memory(reading);
    }
}

/* A key: any scalar, as the text that it is written as. 1: the mapping has ended. */
static int read_key(struct reading *reading, const json_t *map, char **out, unsigned *line)
{
    yaml_event_t event;
    const char *text;
    int ret = next(reading, &event);

    if (ret)
        return ret;
    text = event.type == YAML_SCALAR_EVENT ? (const char *)event.data.scalar.value : NULL;
    *line = line_of(&event);
    if (event.type == YAML_MAPPING_END_EVENT)
        ret = 1;
    else if (!text)
        ret = fail(reading, EINVAL, *line, "it has a key that is no text");
    else if (strlen(text) != event.data.scalar.length)
        ret = fail(reading, EINVAL, *line, "it has a NUL in a key");
    else if (!strcmp(text, "<<") && event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        ret = fail(reading, EINVAL, *line, "merge keys (<<) are not supported");
    else if (json_object_get(map, text))
        ret = fail(reading, EINVAL, *line, "it has the key \"%.60s\" twice", text);
    else if (!(*out = strdup(text)))
        ret = no_memory(reading);
    if (!ret)
        reading->bytes += event.data.scalar.length;
    yaml_event_delete(&event);
    return ret;
}

static int read_mapping(struct reading *reading, unsigned depth, json_t *map,
                        struct yaml_place *place, struct weight *weight)
{
    for (;;) {
        struct yaml_place *inner = NULL;
        json_t *value = NULL;
        char *key = NULL;
        unsigned line;
        int ret = read_key(reading, map, &key, &line);

        if (ret || !key)
            return ret == 1 ? 0 : ret;
        weight->bytes += strlen(key);
        ret = read_member(reading, depth + 1, &value, &inner, weight);
        if (!ret && (json_object_set_new(map, key, value) || add_member(place, key, inner)))
            ret = no_memory(reading);
        free(key);
        if (ret)
            return ret;
        inner->line = line < inner->line ? line : inner->line;
    }
}

static int set_anchor(struct reading *reading, const yaml_char_t *name, json_t *value,
                      struct yaml_place *place, const struct weight *weight)
{
    struct anchor *more;

    if (!name)
        return 0;
    if (reading->anchor_count == ANCHORS_MAX)
        return fail(reading, E2BIG, place->line, "it has more than %u anchors", ANCHORS_MAX);
    more = reallocarray(reading->anchors, reading->anchor_count + 1, sizeof(*more));
    if (!more)
        return no_memory(reading);
    reading->anchors = more;
    more += reading->anchor_count;
    *more = (struct anchor){strdup((const char *)name), json_incref(value), place, *weight};
    reading->anchor_count++;
    return more->name ? 0 : no_memory(reading);
}

/* The latest anchor of the name counts (YAML 1.2.2, 6.9.2). */
static int read_alias(struct reading *reading, const yaml_event_t *event, unsigned depth,
                      json_t **out, struct yaml_place **place, struct weight *weight)
{
    const char *name = (const char *)event->data.alias.anchor;

    for (unsigned i = reading->anchor_count; i-- > 0;) {
        const struct anchor *anchor = &reading->anchors[i];

        if (strcmp(anchor->name, name) != 0)
            continue;
        if (count(reading, &anchor->weight, depth, line_of(event)))
            return -E2BIG;
        *weight = anchor->weight;
        *out = json_incref(anchor->value);
        *place = anchor->place;
        return 0;
    }
    return fail(reading, EINVAL, line_of(event), "it has an alias *%.60s to what is not there",
                name);
}

static int read_collection(struct reading *reading, const yaml_event_t *event, unsigned depth,
                           json_t **out, struct yaml_place *place, struct weight *weight)
{
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    int ret = list ? check_tag(reading, event, event->data.sequence_start.tag, "seq")
                   : check_tag(reading, event, event->data.mapping_start.tag, "map");

    if (ret)
        return ret;
    *out = list ? json_array() : json_object();
    if (!*out)
        return no_memory(reading);
    return list ? read_sequence(reading, depth, *out, place, weight)
                : read_mapping(reading, depth, *out, place, weight);
}

/* On success *out is a new reference. */
static int read_value(struct reading *reading, const yaml_event_t *event, unsigned depth,
                      json_t **out, struct yaml_place **place, struct weight *weight)
{
    const struct weight own = {.nodes = 1};
    const yaml_char_t *anchor = NULL;
    int ret;

    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(reading, event, depth, out, place, weight);
    ret = count(reading, &own, depth, line_of(event));
    if (ret)
        return ret;
    *weight = own;
    *place = new_place(reading, line_of(event));
    if (!*place)
        return no_memory(reading);
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        ret = read_scalar(reading, event, out, weight);
        reading->bytes += weight->bytes;
    } else {
        anchor = event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
                                                          : event->data.mapping_start.anchor;
        ret = read_collection(reading, event, depth, out, *place, weight);
    }
    if (!ret)
        ret = set_anchor(reading, anchor, *out, *place, weight);
    if (ret) {
        json_decref(*out);
        *out = NULL;
    }
    return ret;
}

/* ---- documents ---- */

static void forget_anchors(struct reading *reading)
{
    for (unsigned i = 0; i < reading->anchor_count; i++) {
        free(reading->anchors[i].name);
        json_decref(reading->anchors[i].value);
    }
    free(reading->anchors);
    reading->anchors = NULL;
    reading->anchor_count = 0;
}

static int add_document(struct reading *reading, json_t *value, struct yaml_place *place)
{
    struct yaml_text *out = reading->out;
    struct yaml_document *more;

    if (json_is_null(value) || !place) /* nothing between two --- */
        return 0;
    if (out->count == MANIFEST_DOCUMENTS_MAX)
        return fail(reading, E2BIG, place->line, "it has more than %u documents",
                    MANIFEST_DOCUMENTS_MAX);
    more = reallocarray(out->documents, out->count + 1, sizeof(*more));
    if (!more)
        return no_memory(reading);
    out->documents = more;
    more[out->count++] = (struct yaml_document){json_incref(value), place};
    return 0;
}

static int read_document(struct reading *reading)
{
    struct weight weight = {.nodes = 0};
    struct yaml_place *place = NULL;
    json_t *value = NULL;
    yaml_event_t event;
    int ret = next(reading, &event);

    if (ret)
        return ret;
    ret = read_value(reading, &event, 0, &value, &place, &weight);
    yaml_event_delete(&event);
    if (!ret)
        ret = add_document(reading, value, place);
    json_decref(value);
    forget_anchors(reading);
    return ret;
}

static int read_stream(struct reading *reading)
{
    bool ended = false;
    int ret = 0;

    while (!ret && !ended) {
        yaml_event_t event;

        ret = next(reading, &event);
        if (ret)
            break;
        ended = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            ret = read_document(reading);
        yaml_event_delete(&event);
    }
    return ret;
}

/* The line of the first directive that is too many; 0: there is none. */
static unsigned find_directives(const char *bytes, size_t len)
{
    const char *at = bytes, *end = bytes + len;
    unsigned line = 1, count = 0;

    while (at < end) {
        if (*at == '%' && ++count > DIRECTIVES_MAX)
            return line;
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : end;
        line++;
    }
    return 0;
}

static int parse(struct reading *reading)
{
    int ret;

    if (!yaml_parser_initialize(&reading->parser))
        return no_memory(reading);
    yaml_parser_set_encoding(&reading->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reading->parser, (const yaml_char_t *)reading->text,
                                 reading->text_len);
    ret = read_stream(reading);
    forget_anchors(reading);
    yaml_parser_delete(&reading->parser);
    return ret;
}

int yaml_read(const char *name, const void *bytes, size_t len, struct yaml_text *out,
              struct husk_error *err)
{
    struct reading reading = {.name = name, .text = bytes, .text_len = len, .out = out, .err = err};
    char *copy = NULL;
    unsigned line;
    int ret;

    *out = (struct yaml_text){.documents = NULL};
    if (len > MANIFEST_BYTES_MAX)
        return error_set(err, E2BIG, name, "is too long", "at most %u bytes", MANIFEST_BYTES_MAX);
    line = find_directives(bytes, len);
    if (line)
        return fail(&reading, E2BIG, line, "it has more than %u directives", DIRECTIVES_MAX);
    if (memmem(bytes, len, "\\u", 2)) {
        copy = malloc(len);
        if (!copy)
            return no_memory(&reading);
        memcpy(copy, bytes, len);
        reading.text = copy;
        reading.text_len = surrogates_join(copy, len);
    }
    ret = parse(&reading);
    free(copy);
    if (ret)
        yaml_text_clear(out);
    return ret;
}
