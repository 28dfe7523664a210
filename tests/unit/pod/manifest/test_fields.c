// SPDX-License-Identifier: Apache-2.0
/*
 * The tables of fields are what docs/pods.md says between its two marks: each object once, where it
 * first appears. HUSK_UPDATE_GOLDEN=1 writes it there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pod/manifest/fields.h"

#define DOCUMENT HUSK_GOLDEN "/../../../../../docs/pods.md"
#define BEGIN    "<!-- fields: tests/unit/pod/manifest/test_fields.c writes this -->\n"
#define END      "<!-- end of fields -->\n"

#define OBJECTS_MAX 64

struct queue {
    const struct schema_object *objects[OBJECTS_MAX];
    unsigned count;
};

static void want(struct queue *queue, const struct schema_object *object)
{
    for (unsigned i = 0; i < queue->count; i++) {
        if (queue->objects[i] == object)
            return;
    }
    assert_true(queue->count < OBJECTS_MAX);
    queue->objects[queue->count++] = object;
}

static const char *type_name(const struct schema_field *field)
{
    const char *format = format_name(field->format);

    switch (field->type) {
    case SCHEMA_TEXT:
        return format[0] ? format : "text";
    case SCHEMA_TEXTS:
        return format[0] ? format : "texts";
    case SCHEMA_BOOL:
        return "true or false";
    case SCHEMA_INT:
    case SCHEMA_INTS:
        return "number";
    case SCHEMA_QUANTITY:
    case SCHEMA_QUANTITIES:
        return "quantity";
    case SCHEMA_MAP:
        return "map of texts";
    case SCHEMA_PORT:
        return "1 to 65535, or a port's name";
    default:
        return "";
    }
}

static void write_type(FILE *out, const struct schema_field *field)
{
    bool list =
        field->type == SCHEMA_TEXTS || field->type == SCHEMA_INTS || field->type == SCHEMA_OBJECTS;

    if (list)
        fputs("list: ", out);
    if (field->object)
        fprintf(out, "*%s*", field->object->name);
    else if (field->words && field->type != SCHEMA_QUANTITIES)
        fputs("one of ", out);
    else
        fputs(type_name(field), out);
    for (unsigned i = 0; field->words && field->words[i]; i++)
        fprintf(out, "%s`%s`",
                i                                  ? ", "
                : field->type == SCHEMA_QUANTITIES ? " of "
                                                   : "",
                field->words[i]);
    if (field->most)
        fprintf(out, ", %" PRId64 " to %" PRId64, field->least, field->most);
}

static void write_field(FILE *out, const struct schema_field *field)
{
    fprintf(out, "| `%s` | ", field->name);
    write_type(out, field);
    fprintf(out, " | %s%s%s |%s%s%s |\n", field->fallback ? "`" : "",
            field->fallback ? field->fallback : "", field->fallback ? "`" : "",
            field->flags & FIELD_REQUIRED ? " required" : "",
            field->flags & FIELD_IF_NONE  ? " exactly one of these; this, when there is none"
            : field->flags & FIELD_ONE_OF ? " exactly one of these"
                                          : "",
            field->flags & FIELD_IN_PLACE ? " can be changed while the pod runs" : "");
}

static bool is_without_effect(const struct schema_field *field)
{
    return field->flags & FIELD_NO_EFFECT;
}

static bool is_unsupported(const struct schema_field *field)
{
    return field->type == SCHEMA_UNSUPPORTED;
}

/* Fields that are one way or the other, and why. */
static void write_others(FILE *out, const struct schema_object *object, const char *what,
                         bool (*is)(const struct schema_field *field))
{
    for (const struct schema_field *field = object->fields; field->name; field++) {
        if (is(field))
            fprintf(out, "| `%s` | | | %s%s%s |\n", field->name, what, field->why ? ": " : "",
                    field->why ? field->why : "");
    }
}

static void write_object(FILE *out, const struct schema_object *object, struct queue *queue)
{
    fprintf(out, "\n#### %s\n\n| field | | default | |\n| --- | --- | --- | --- |\n", object->name);
    for (const struct schema_field *field = object->fields; field->name; field++) {
        if (is_without_effect(field) || is_unsupported(field))
            continue;
        write_field(out, field);
        if (field->object)
            want(queue, field->object);
    }
    write_others(out, object, "no effect", is_without_effect);
    write_others(out, object, "**not supported**", is_unsupported);
}

static char *generate(void)
{
    struct queue queue = {.count = 0};
    size_t len = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);

    want(&queue, &pod_fields);
    want(&queue, &config_map_fields);
    want(&queue, &secret_fields);
    want(&queue, &deployment_fields);
    for (unsigned i = 0; i < queue.count; i++)
        write_object(out, queue.objects[i], &queue);
    fputs("\n", out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static char *read_document(void)
{
    char *text = calloc(1, 1 << 20);
    FILE *file = fopen(DOCUMENT, "re");

    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static void write_document(const char *text, const char *begin, const char *end, const char *fields)
{
    FILE *file = fopen(DOCUMENT, "we");

    assert_non_null(file);
    fprintf(file, "%.*s%s%s", (int)(begin - text), text, fields, end);
    assert_int_equal(fclose(file), 0);
}

static void are_those_of_the_document(void **state)
{
    char *text = read_document(), *fields = generate(), *begin = strstr(text, BEGIN), *end;

    assert_non_null(begin);
    begin += strlen(BEGIN);
    end = strstr(begin, END);
    assert_non_null(end);
    if (getenv("HUSK_UPDATE_GOLDEN"))
        write_document(text, begin, end, fields);
    else if (strlen(fields) != (size_t)(end - begin) || strncmp(fields, begin, strlen(fields)) != 0)
        fail_msg("docs/pods.md has other fields; HUSK_UPDATE_GOLDEN=1 writes them:\n%s", fields);
    free(fields);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(are_those_of_the_document)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
