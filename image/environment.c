// SPDX-License-Identifier: Apache-2.0
/* See environment.h. */
#include "image/environment.h"

#include <string.h>

#include "image/choice.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

static unsigned find(const struct environment *env, const char *name, size_t len)
{
    unsigned i = 0;

    while (i < env->count &&
           (strncmp(env->variables[i].name, name, len) != 0 || env->variables[i].name[len] != '\0'))
        i++;
    return i;
}

void environment_set(struct environment *env, const char *name, size_t name_len, const char *value,
                     size_t value_len)
{
    unsigned i;

    if (name_len == 0 || name_len >= sizeof(env->variables[0].name))
        return;
    i = find(env, name, name_len);
    if (i == ENVIRONMENT_MAX ||
        !text_copy(env->variables[i].value, sizeof(env->variables[i].value), value, value_len))
        return;
    if (i == env->count) {
        text_copy(env->variables[i].name, sizeof(env->variables[i].name), name, name_len);
        env->count++;
    }
}

const char *environment_get(const struct environment *env, const char *name, size_t name_len)
{
    unsigned i = name_len < sizeof(env->variables[0].name) ? find(env, name, name_len) : env->count;

    return i < env->count ? env->variables[i].value : "";
}

void environment_read(struct environment *env, const char *text)
{
    const char *line;
    size_t len;

    while (text_line(&text, &line, &len)) {
        size_t name_len = strspn(line, NAME_CHARACTERS);
        char value[1024];
        size_t at = 0;

        if (name_len >= len || line[name_len] != '=')
            continue;
        for (size_t i = name_len + 1; i < len && at < sizeof(value); i++) {
            if (line[i] == '\\' && i + 1 < len)
                i++;
            value[at++] = line[i];
        }
        environment_set(env, line, name_len, value, at);
    }
}

int environment_expand_one(const struct environment *env, const char **at, char *out, size_t size,
                           size_t *len)
{
    const char *name = *at;
    const char *value;
    size_t name_len, value_len;

    if (*name == '{') {
        name++;
        name_len = strcspn(name, "}\n");
        *at = name + name_len + (name[name_len] == '}');
    } else {
        name_len = strspn(name, NAME_CHARACTERS);
        *at = name + name_len;
    }
    value = environment_get(env, name, name_len);
    value_len = strlen(value);
    if (value_len >= size - *len)
        return -1;
    memcpy(out + *len, value, value_len);
    *len += value_len;
    return 0;
}

int environment_expand(const struct environment *env, const char *text, char *out, size_t size)
{
    size_t len = 0;

    while (*text) {
        if (*text == '$') {
            text++;
            if (environment_expand_one(env, &text, out, size, &len))
                return -1;
        } else {
            if (len + 1 >= size)
                return -1;
            out[len++] = *text++;
        }
    }
    out[len] = '\0';
    return 0;
}
