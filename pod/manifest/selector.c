// SPDX-License-Identifier: Apache-2.0
/* Label selectors: see selector.h. The grammar is that of k8s.io/apimachinery/pkg/labels, without
 * its comparisons of numbers. */
#include "pod/manifest/selector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pod/manifest/format.h"

enum operation { OP_IN, OP_NOT_IN, OP_EXISTS, OP_ABSENT };

struct requirement {
    enum operation op;
    char *key;
    char *values[SELECTOR_VALUES_MAX];
    unsigned count;
};

struct selector {
    unsigned count, values;
    struct requirement *requirements[SELECTOR_REQUIREMENTS_MAX];
};

static int refuse(struct husk_error *err, const char *what, const char *text)
{
    return error_set(err, EINVAL, "selector", what, "\"%.80s\"", text);
}

static int no_memory(struct husk_error *err)
{
    return error_set(err, ENOMEM, "selector", "cannot be read", NULL);
}

void selector_free(struct selector *selector)
{
    if (!selector)
        return;
    for (unsigned i = 0; i < selector->count; i++) {
        struct requirement *requirement = selector->requirements[i];

        for (unsigned j = 0; j < requirement->count; j++)
            free(requirement->values[j]);
        free(requirement->key);
        free(requirement);
    }
    free(selector);
}

/* A requirement of the key, the selector's; NULL with *ret filled. */
static struct requirement *add_requirement(struct selector *selector, const char *key, size_t len,
                                           enum operation op, int *ret, struct husk_error *err)
{
    struct requirement *requirement;
    const char *problem;

    *ret = 0;
    if (selector->count == SELECTOR_REQUIREMENTS_MAX) {
        *ret = error_set(err, E2BIG, "selector", "has too many parts", "at most %u",
                         SELECTOR_REQUIREMENTS_MAX);
        return NULL;
    }
    requirement = calloc(1, sizeof(*requirement));
    if (requirement) {
        requirement->op = op;
        requirement->key = strndup(key, len);
        selector->requirements[selector->count++] = requirement;
    }
    if (!requirement || !requirement->key) {
        *ret = no_memory(err);
        return NULL;
    }
    problem = format_problem(FORMAT_LABEL_KEY, requirement->key);
    if (!problem)
        return requirement;
    *ret = error_set(err, EINVAL, "selector", "has a key that is none", "\"%.80s\": %s",
                     requirement->key, problem);
    return NULL;
}

static int add_value(struct selector *selector, struct requirement *requirement, const char *value,
                     size_t len, struct husk_error *err)
{
    const char *problem;
    char *copy;

    if (selector->values == SELECTOR_VALUES_MAX)
        return error_set(err, E2BIG, "selector", "has too many values", "at most %u",
                         SELECTOR_VALUES_MAX);
    copy = strndup(value, len);
    if (!copy)
        return no_memory(err);
    requirement->values[requirement->count++] = copy;
    selector->values++;
    problem = format_problem(FORMAT_LABEL_VALUE, copy);
    if (problem)
        return error_set(err, EINVAL, "selector", "has a value that is none", "\"%.80s\": %s", copy,
                         problem);
    return 0;
}

/* ---- text ---- */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

static size_t word_length(const char *at)
{
    return strcspn(at, " \t,()!=<>");
}

/* "(a, b)"; an empty value is one. */
static int parse_set(struct selector *selector, struct requirement *requirement, const char **at,
                     struct husk_error *err)
{
    int ret = 0;

    if (**at != '(')
        return refuse(err, "wants (VALUE, ...) behind in and notin", *at);
    do {
        const char *word = skip_blanks(*at + 1);
        size_t len = word_length(word);

        ret = add_value(selector, requirement, word, len, err);
        *at = skip_blanks(word + len);
    } while (!ret && **at == ',');
    if (!ret && **at != ')')
        return refuse(err, "has a list that does not end with )", *at);
    if (!ret)
        ++*at;
    return ret;
}

static int parse_value(struct selector *selector, struct requirement *requirement, const char **at,
                       struct husk_error *err)
{
    const char *word = skip_blanks(*at);
    size_t len = word_length(word);

    *at = word + len;
    return add_value(selector, requirement, word, len, err);
}

/* What is behind a key. */
static int parse_op(struct selector *selector, struct requirement *requirement, const char **at,
                    struct husk_error *err)
{
    size_t len = word_length(*at);

    if (!strncmp(*at, "!=", 2)) {
        requirement->op = OP_NOT_IN;
        *at += 2;
        return parse_value(selector, requirement, at, err);
    }
    if (**at == '=') {
        requirement->op = OP_IN;
        *at += (*at)[1] == '=' ? 2 : 1;
        return parse_value(selector, requirement, at, err);
    }
    if (**at == '<' || **at == '>')
        return refuse(err, "compares numbers, which is not supported", *at);
    if ((len == 2 && !strncmp(*at, "in", 2)) || (len == 5 && !strncmp(*at, "notin", 5))) {
        requirement->op = len == 2 ? OP_IN : OP_NOT_IN;
        *at = skip_blanks(*at + len);
        return parse_set(selector, requirement, at, err);
    }
    return 0;
}

static int parse_requirement(struct selector *selector, const char **at, struct husk_error *err)
{
    bool absent = **at == '!';
    const char *key = absent ? skip_blanks(*at + 1) : *at;
    size_t len = word_length(key);
    struct requirement *requirement = NULL;
    int ret;

    if (len == 0)
        return refuse(err, "wants a label's name", *at);
    requirement = add_requirement(selector, key, len, absent ? OP_ABSENT : OP_EXISTS, &ret, err);
    *at = skip_blanks(key + len);
    if (requirement && !absent)
        ret = parse_op(selector, requirement, at, err);
    *at = skip_blanks(*at);
    if (!ret && **at && **at != ',')
        return refuse(err, "wants a comma", *at);
    return ret;
}

int selector_parse(const char *text, struct selector **out, struct husk_error *err)
{
    struct selector *selector;
    int ret = 0;

    if (text && strlen(text) > SELECTOR_BYTES_MAX)
        return error_set(err, E2BIG, "selector", "is too long", "at most %u bytes",
                         SELECTOR_BYTES_MAX);
    selector = calloc(1, sizeof(*selector));
    if (!selector)
        return no_memory(err);
    text = skip_blanks(text ? text : "");
    while (*text && !ret) {
        ret = parse_requirement(selector, &text, err);
        if (!ret && *text == ',') {
            text = skip_blanks(text + 1);
            if (!*text)
                ret = refuse(err, "ends with a comma", ",");
        }
    }
    if (ret) {
        selector_free(selector);
        return ret;
    }
    *out = selector;
    return 0;
}

/* ---- objects ---- */

static int read_expression(struct selector *selector, const json_t *expression,
                           struct husk_error *err)
{
    static const struct {
        const char *name;
        enum operation op;
    } operators[] = {
        {"In", OP_IN},
        {"NotIn", OP_NOT_IN},
        {"Exists", OP_EXISTS},
        {"DoesNotExist", OP_ABSENT},
    };
    const char *key = json_string_value(json_object_get(expression, "key"));
    const char *name = json_string_value(json_object_get(expression, "operator"));
    const json_t *values = json_object_get(expression, "values"), *value;
    struct requirement *requirement = NULL;
    size_t i, which = 0;
    int ret;

    while (name && which < 4 && strcmp(operators[which].name, name) != 0)
        which++;
    if (!key || !name || which == 4)
        return refuse(err, "has an expression that is none", key ? key : "");
    requirement = add_requirement(selector, key, strlen(key), operators[which].op, &ret, err);
    if (!requirement)
        return ret;
    json_array_foreach(values, i, value)
    {
        ret = json_is_string(value) ? add_value(selector, requirement, json_string_value(value),
                                                json_string_length(value), err)
                                    : refuse(err, "has a value that is no text", key);
        if (ret)
            return ret;
    }
    return 0;
}

int selector_from_object(const json_t *object, struct selector **out, struct husk_error *err)
{
    json_t *labels = json_object_get(object, "matchLabels"), *value;
    json_t *expressions = json_object_get(object, "matchExpressions");
    struct selector *selector = calloc(1, sizeof(*selector));
    struct requirement *requirement = NULL;
    const char *key;
    size_t i;
    int ret = 0;

    if (!selector)
        return no_memory(err);
    json_object_foreach(labels, key, value)
    {
        if (!ret)
            requirement = add_requirement(selector, key, strlen(key), OP_IN, &ret, err);
        if (!ret && requirement)
            ret = add_value(selector, requirement, json_string_value(value),
                            json_string_length(value), err);
    }
    json_array_foreach(expressions, i, value)
    {
        if (!ret)
            ret = read_expression(selector, value, err);
    }
    if (ret) {
        selector_free(selector);
        return ret;
    }
    *out = selector;
    return 0;
}

/* ---- matching ---- */

static bool one_of(const struct requirement *requirement, const char *value)
{
    for (unsigned i = 0; i < requirement->count; i++) {
        if (!strcmp(requirement->values[i], value))
            return true;
    }
    return false;
}

static bool holds(const struct requirement *requirement, const char *value)
{
    switch (requirement->op) {
    case OP_IN:
        return value && one_of(requirement, value);
    case OP_NOT_IN:
        return !value || !one_of(requirement, value);
    case OP_EXISTS:
        return value != NULL;
    default:
        return !value;
    }
}

bool selector_match(const struct selector *selector, const json_t *labels)
{
    for (unsigned i = 0; i < selector->count; i++) {
        const struct requirement *requirement = selector->requirements[i];

        if (!holds(requirement, json_string_value(json_object_get(labels, requirement->key))))
            return false;
    }
    return true;
}
