// SPDX-License-Identifier: Apache-2.0
/* What a cgroup has used, from its files. No state. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/agent/cgroup.h"

#define TEXT_MAX 16384

/* A number in a file of one, or, with a key, in a file of lines "key number". */
static const struct figure {
    const char *name, *file, *key;
} figures[] = {
    {"cpu_usec", "cpu.stat", "usage_usec"},
    {"cpu_user_usec", "cpu.stat", "user_usec"},
    {"cpu_system_usec", "cpu.stat", "system_usec"},
    {"cpu_throttled_usec", "cpu.stat", "throttled_usec"},
    {"memory_bytes", "memory.current", NULL},
    {"memory_peak_bytes", "memory.peak", NULL},
    {"memory_anon_bytes", "memory.stat", "anon"},
    {"memory_file_bytes", "memory.stat", "file"},
    {"oom_kills", "memory.events", "oom_kill"},
    {"processes", "pids.current", NULL},
};

static bool number_at(const char *text, const char *key, uint64_t *out)
{
    size_t len = key ? strlen(key) : 0;

    while (text && *text) {
        if (!key || (!strncmp(text, key, len) && text[len] == ' ')) {
            char *end;

            *out = strtoull(text + len, &end, 10);
            return end != text + len;
        }
        text = strchr(text, '\n');
        text += text != NULL;
    }
    return false;
}

/* io.stat: a line for each device, with words "rbytes=N". */
static uint64_t sum_words(const char *text, const char *word)
{
    uint64_t sum = 0;

    while ((text = strstr(text, word))) {
        text += strlen(word);
        sum += strtoull(text, NULL, 10);
    }
    return sum;
}

static int put(json_t *object, const char *name, uint64_t value)
{
    value = value > INT64_MAX ? INT64_MAX : value;
    return json_object_set_new(object, name, json_integer((json_int_t)value));
}

json_t *cgroup_stats(const struct cgroup *cgroup)
{
    json_t *object = json_object();
    char *text = malloc(TEXT_MAX);
    int failed = !object || !text;

    for (size_t i = 0; i < ARRAY_SIZE(figures) && !failed; i++) {
        uint64_t value;

        if (!cgroup_read(cgroup, figures[i].file, text, TEXT_MAX) &&
            number_at(text, figures[i].key, &value))
            failed = put(object, figures[i].name, value);
    }
    if (!failed && !cgroup_read(cgroup, "io.stat", text, TEXT_MAX)) {
        failed = put(object, "io_read_bytes", sum_words(text, "rbytes=")) ||
                 put(object, "io_write_bytes", sum_words(text, "wbytes="));
    }
    free(text);
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}
