// SPDX-License-Identifier: Apache-2.0
/* Environments: see environment.h. */
#include "pod/spec/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/spec/part.h"

#define BLANKS " \t\v\f\r\n"

struct environment *environment_new(void)
{
    return calloc(1, sizeof(struct environment));
}

void environment_free(struct environment *environment)
{
    for (unsigned i = 0; environment && i < environment->count; i++)
        free(environment->entries[i]);
    free(environment);
}

static bool same_name(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");

    return len == strcspn(b, "=") && !memcmp(a, b, len);
}

int environment_set(struct environment *environment, const char *entry, struct husk_error *err)
{
    unsigned at = 0;
    char *copy;

    while (at < environment->count && !same_name(environment->entries[at], entry))
        at++;
    if (!strchr(entry, '=')) {
        if (at == environment->count)
            return 0;
        free(environment->entries[at]);
        environment->count--;
        memmove(&environment->entries[at], &environment->entries[at + 1],
                (environment->count - at) * sizeof(environment->entries[0]));
        return 0;
    }
    if (at == SPEC_LIST_MAX)
        return spec_refuse(err, E2BIG, "the environment", NULL, "has more than %u variables",
                           SPEC_LIST_MAX);
    copy = strdup(entry);
    if (!copy)
        return spec_no_memory(err);
    if (at == environment->count)
        environment->count++;
    else
        free(environment->entries[at]);
    environment->entries[at] = copy;
    return 0;
}

/* The entry of a name in the caller's environment, or NULL. */
static const char *look_up(char *const *callers, const char *name)
{
    for (; callers && *callers; callers++) {
        if (strchr(*callers, '=') && same_name(*callers, name))
            return *callers;
    }
    return NULL;
}

int environment_option(struct environment *environment, const char *text, char *const *callers,
                       struct husk_error *err)
{
    const char *entry = text;

    if (!text[0] || text[0] == '=')
        return spec_refuse(err, EINVAL, "--env", text, "there is no name before the value");
    if (!strchr(text, '=')) {
        entry = look_up(callers, text);
        entry = entry ? entry : text;
    }
    if (strlen(entry) > SPEC_TEXT_MAX)
        return spec_refuse(err, E2BIG, "--env", text, "is longer than %u bytes", SPEC_TEXT_MAX);
    return environment_set(environment, entry, err);
}

/* One line without its end, and without NUL. */
static int parse_line(struct environment *environment, char *line, char *const *callers,
                      const char *where, unsigned number, struct husk_error *err)
{
    size_t name;
    json_t *text;

    line += strspn(line, BLANKS);
    if (!*line || *line == '#')
        return 0;
    if (strlen(line) > SPEC_TEXT_MAX)
        return spec_refuse(err, E2BIG, "--env-file", where, "line %u is longer than %u bytes",
                           number, SPEC_TEXT_MAX);
    text = json_string(line);
    if (!text)
        return spec_refuse(err, EILSEQ, "--env-file", where, "line %u is not valid UTF-8", number);
    json_decref(text);
    name = strcspn(line, "=");
    if (!name)
        return spec_refuse(err, EINVAL, "--env-file", where, "line %u has no name before \"=\"",
                           number);
    if (strcspn(line, BLANKS) < name)
        return spec_refuse(err, EINVAL, "--env-file", where, "line %u has a blank in its name",
                           number);
    if (!line[name]) {
        const char *entry = look_up(callers, line);

        if (!entry)
            return 0;
        if (strlen(entry) > SPEC_TEXT_MAX)
            return spec_refuse(err, E2BIG, "--env-file", where,
                               "line %u: the value of the caller is longer than %u bytes", number,
                               SPEC_TEXT_MAX);
        return environment_set(environment, entry, err);
    }
    return environment_set(environment, line, err);
}

int environment_parse(struct environment *environment, const char *bytes, size_t len,
                      char *const *callers, const char *where, struct husk_error *err)
{
    static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8 files from elsewhere */
    char *copy, *line, *end;
    unsigned number = 1;
    int ret = 0;

    if (len > ENVIRONMENT_FILE_MAX)
        return spec_refuse(err, EFBIG, "--env-file", where, "is longer than %u bytes",
                           ENVIRONMENT_FILE_MAX);
    if (memchr(bytes, '\0', len))
        return spec_refuse(err, EINVAL, "--env-file", where, "is no text: it has a NUL byte in it");
    copy = strndup(bytes, len);
    if (!copy)
        return spec_no_memory(err);
    line = copy + (strncmp(copy, mark, 3) ? 0 : 3);
    for (; !ret && line; line = end, number++) {
        size_t line_len;

        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        line_len = strlen(line);
        if (line_len && line[line_len - 1] == '\r')
            line[line_len - 1] = '\0';
        ret = parse_line(environment, line, callers, where, number, err);
    }
    free(copy);
    return ret;
}

/* All of a file or pipe, at most one byte more than is allowed. */
static int read_all(int fd, char *buf, size_t size, size_t *len)
{
    ssize_t got = 1;

    for (*len = 0; got && *len < size;) {
        got = read(fd, buf + *len, size - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        *len += (size_t)got;
    }
    return 0;
}

int environment_file(struct environment *environment, const char *path, char *const *callers,
                     struct husk_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
    char *buf = NULL;
    size_t len = 0;

    if (fd < 0)
        return spec_refuse(err, errno, "--env-file", path, "%s", error_text(errno));
    buf = malloc(ENVIRONMENT_FILE_MAX + 1);
    ret = buf ? read_all(fd, buf, ENVIRONMENT_FILE_MAX + 1, &len) : -ENOMEM;
    close(fd);
    if (ret)
        ret = spec_refuse(err, -ret, "--env-file", path, "%s", error_text(-ret));
    else
        ret = environment_parse(environment, buf, len, callers, path, err);
    free(buf);
    return ret;
}

int environment_options(struct environment *environment, const struct spec_words *files,
                        const struct spec_words *options, char *const *callers,
                        struct husk_error *err)
{
    int ret = 0;

    for (unsigned i = 0; i < files->count && !ret; i++)
        ret = environment_file(environment, files->words[i], callers, err);
    for (unsigned i = 0; i < options->count && !ret; i++)
        ret = environment_option(environment, options->words[i], callers, err);
    return ret;
}

int environment_json(const struct environment *environment, json_t **out, struct husk_error *err)
{
    json_t *array = json_array();
    int ret = array ? 0 : spec_no_memory(err);

    for (unsigned i = 0; i < environment->count && !ret; i++)
        ret = spec_append_text(array, "--env", environment->entries[i], err);
    if (ret) {
        json_decref(array);
        return ret;
    }
    *out = array;
    return 0;
}

int environment_from_json(struct environment *environment, const json_t *array,
                          struct husk_error *err)
{
    int ret = 0;

    for (size_t i = 0; i < json_array_size(array) && !ret; i++) {
        const char *text = json_string_value(json_array_get(array, i));

        if (text)
            ret = environment_set(environment, text, err);
    }
    return ret;
}
