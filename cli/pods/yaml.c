// SPDX-License-Identifier: Apache-2.0
/* JSON as YAML: see yaml.h. libyaml writes it, and decides what needs quotes for its syntax. */
#include "cli/pods/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/checked.h"

/* Takes the event, initialised or not: `made` is what its initialisation returned. */
static int emit(yaml_emitter_t *emitter, yaml_event_t *event, int made)
{
    return made && yaml_emitter_emit(emitter, event) ? 0 : -ENOMEM;
}

/* Whether a reader could take the plain text for something else than a text: words for truth and
 * nothing, and whatever begins like a number or a date. */
static bool is_ambiguous(const char *text)
{
    static const char *const words[] = {"",   "~",   "null", "true", "false", "yes", "no",
                                        "on", "off", "y",    "n",    "=",     "<<"};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (!strcasecmp(text, words[i]))
            return true;
    }
    return isdigit((unsigned char)text[0]) || strchr("+-.", text[0]);
}

static int print_scalar(yaml_emitter_t *emitter, const char *text, size_t len,
                        yaml_scalar_style_t style)
{
    yaml_event_t event;
    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len,
                                            1, 1, style);

    return emit(emitter, &event, made);
}

static int print_text(yaml_emitter_t *emitter, const char *text, size_t len)
{
    yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;

    if (memchr(text, '\n', len))
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (is_ambiguous(text))
        style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return print_scalar(emitter, text, len, style);
}

static int print_value(yaml_emitter_t *emitter, const json_t *value);

static int print_object(yaml_emitter_t *emitter, const json_t *object)
{
    yaml_event_t event;
    const char *key;
    json_t *member;
    int ret =
        emit(emitter, &event,
             yaml_mapping_start_event_initialize(
                 &event, NULL, NULL, 1,
                 json_object_size(object) ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE));

    json_object_foreach((json_t *)object, key, member)
    {
        if (!ret)
            ret = print_text(emitter, key, strlen(key));
        if (!ret)
            ret = print_value(emitter, member);
    }
    return ret ? ret : emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static int print_array(yaml_emitter_t *emitter, const json_t *array)
{
    yaml_event_t event;
    json_t *member;
    size_t i;
    int ret =
        emit(emitter, &event,
             yaml_sequence_start_event_initialize(
                 &event, NULL, NULL, 1,
                 json_array_size(array) ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE));

    json_array_foreach((json_t *)array, i, member)
    {
        if (!ret)
            ret = print_value(emitter, member);
    }
    return ret ? ret : emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static int print_value(yaml_emitter_t *emitter, const json_t *value)
{
    char *text;
    int ret;

    if (json_is_object(value))
        return print_object(emitter, value);
    if (json_is_array(value))
        return print_array(emitter, value);
    if (json_is_string(value))
        return print_text(emitter, json_string_value(value), json_string_length(value));
    text = json_dumps(value, JSON_ENCODE_ANY); /* a number, true, false or null */
    ret = text ? print_scalar(emitter, text, strlen(text), YAML_PLAIN_SCALAR_STYLE) : -ENOMEM;
    free(text);
    return ret;
}

int yaml_print(const json_t *value, FILE *out)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    int ret;

    if (!yaml_emitter_initialize(&emitter))
        return -ENOMEM;
    yaml_emitter_set_output_file(&emitter, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    ret = emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    if (!ret)
        ret = emit(&emitter, &event,
                   yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    if (!ret)
        ret = print_value(&emitter, value);
    if (!ret)
        ret = emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1));
    if (!ret)
        ret = emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&emitter);
    return ret;
}
