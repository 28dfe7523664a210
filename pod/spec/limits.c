// SPDX-License-Identifier: Apache-2.0
/* Limits: see limits.h. No state. */
#include "pod/spec/limits.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/parse.h"
#include "pod/spec/part.h"

#define MEMORY_MIN    (6ull << 20) /* less does not even start a program; docker's limit, too */
#define CPU_PERIOD_US 100000
#define CPU_NANOS_MIN 10000000ull /* a hundredth: 1 ms of the period, the kernel's least */
#define CPU_COUNT_MAX 1024
#define UNLIMITED     UINT64_MAX

#define FRACTION_MAX 1000000000000000000ull /* digits beyond are not worth a byte */

/* A decimal fraction as a multiple of `unit` (at most 2^60), rounded down. *end is behind it. */
static int parse_decimal(const char *text, uint64_t unit, uint64_t *out, const char **end)
{
    uint64_t whole = 0, part = 0, scale = 1;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    for (; isdigit((unsigned char)*text); text++) {
        if (!checked_mul(whole, 10, &whole) || !checked_add(whole, (uint64_t)(*text - '0'), &whole))
            return -ERANGE;
    }
    if (*text == '.') {
        if (!isdigit((unsigned char)*++text))
            return -EINVAL;
        for (; isdigit((unsigned char)*text); text++) {
            if (scale == FRACTION_MAX)
                continue;
            part = part * 10 + (uint64_t)(*text - '0');
            scale *= 10;
        }
    }
    part = (uint64_t)((unsigned __int128)part * unit / scale);
    if (!checked_mul(whole, unit, &whole) || !checked_add(whole, part, out))
        return -ERANGE;
    *end = text;
    return 0;
}

int limits_parse_size(const char *text, uint64_t *bytes)
{
    static const char letters[] = "kmgtp";
    size_t digits = strspn(text, "0123456789.");
    uint64_t unit = 1;
    const char *end, *letter;
    int ret;

    letter = text[digits] ? strchr(letters, tolower((unsigned char)text[digits])) : NULL;
    if (letter)
        unit <<= 10 * (letter - letters + 1);
    ret = parse_decimal(text, unit, bytes, &end);
    if (ret)
        return ret;
    if (end != text + digits)
        return -EINVAL;
    end += letter != NULL;
    if (letter && tolower((unsigned char)*end) == 'i')
        end++;
    if (tolower((unsigned char)*end) == 'b')
        end++;
    return *end ? -EINVAL : 0;
}

static int set_memory(const char *text, struct spec *out, json_t *resources, struct husk_error *err)
{
    int ret;

    if (!text)
        return 0;
    ret = limits_parse_size(text, &out->memory_bytes);
    if (ret == -EINVAL)
        return spec_refuse(err, EINVAL, "--memory", text, "is not a size such as 256m or 1.5g");
    if (ret || out->memory_bytes > INT64_MAX)
        return spec_refuse(err, ERANGE, "--memory", text, "is too large");
    if (out->memory_bytes == 0) /* no limit, as engines have it */
        return 0;
    if (out->memory_bytes < MEMORY_MIN)
        return spec_refuse(err, ERANGE, "--memory", text, "is less than 6 MiB");
    return spec_put(resources, "memory", json_pack("{s:I}", "limit", (json_int_t)out->memory_bytes),
                    err);
}

static int set_cpus(const char *text, struct spec *out, json_t *resources, struct husk_error *err)
{
    const char *end;

    if (!text)
        return 0;
    if (parse_decimal(text, 1000000000, &out->cpu_nanos, &end) || *end)
        return spec_refuse(err, EINVAL, "--cpus", text, "is not a number such as 2 or 0.5");
    if (out->cpu_nanos == 0)
        return 0;
    if (out->cpu_nanos < CPU_NANOS_MIN || out->cpu_nanos > CPU_COUNT_MAX * 1000000000ull)
        return spec_refuse(err, ERANGE, "--cpus", text, "is not in 0.01 to %d", CPU_COUNT_MAX);
    return spec_put(resources, "cpu",
                    json_pack("{s:I, s:i}", "quota",
                              (json_int_t)(out->cpu_nanos / (1000000000 / CPU_PERIOD_US)), "period",
                              CPU_PERIOD_US),
                    err);
}

static int set_pids(const char *text, json_t *resources, struct husk_error *err)
{
    uint64_t limit;

    if (!text || !strcmp(text, "-1"))
        return 0;
    if (parse_u64(text, 0, INT32_MAX, &limit))
        return spec_refuse(err, EINVAL, "--pids-limit", text,
                           "is not a number of processes, nor -1 for no limit");
    return limit ? spec_put(resources, "pids", json_pack("{s:I}", "limit", (json_int_t)limit), err)
                 : 0;
}

int limits_resources(const struct spec_options *options, struct spec *out, json_t **resources,
                     struct husk_error *err)
{
    /* Any node may be made, as mknod(2)'s capability is for; few may be used: the agent adds those
     * of the specification. */
    json_t *object = json_pack("{s:[{s:b, s:s}, {s:b, s:s, s:s}, {s:b, s:s, s:s}]}", "devices",
                               "allow", 0, "access", "rwm", "allow", 1, "type", "c", "access", "m",
                               "allow", 1, "type", "b", "access", "m");
    int ret = object ? 0 : spec_no_memory(err);

    if (!ret)
        ret = set_memory(options->memory, out, object, err);
    if (!ret)
        ret = set_cpus(options->cpus, out, object, err);
    if (!ret)
        ret = set_pids(options->pids_limit, object, err);
    if (ret) {
        json_decref(object);
        return ret;
    }
    *resources = object;
    return 0;
}

enum { LIMIT_NOFILE = 8, LIMIT_NPROC = 9, LIMIT_COUNT = 15 };

static const char *const names[LIMIT_COUNT] = {
    "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
    "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};

struct limit {
    bool given;
    uint64_t soft, hard;
};

static int parse_value(const char *text, uint64_t *out)
{
    if (!strcmp(text, "-1") || !strcasecmp(text, "unlimited")) {
        *out = UNLIMITED;
        return 0;
    }
    return parse_u64(text, 0, INT64_MAX, out);
}

static int parse_ulimit(const char *text, struct limit *limits, struct husk_error *err)
{
    const char *equals = strchr(text, '='), *colon = equals ? strchr(equals, ':') : NULL;
    struct limit limit = {.given = true};
    char soft[32];
    unsigned which = 0;

    if (!equals)
        return spec_refuse(err, EINVAL, "--ulimit", text, "wants NAME=SOFT[:HARD]");
    while (which < LIMIT_COUNT && (strlen(names[which]) != (size_t)(equals - text) ||
                                   strncmp(names[which], text, (size_t)(equals - text)) != 0))
        which++;
    if (which == LIMIT_COUNT)
        return spec_refuse(err, EINVAL, "--ulimit", text, "there is no limit of this name");
    snprintf(soft, sizeof(soft), "%.*s", colon ? (int)(colon - equals - 1) : 31, equals + 1);
    if (strlen(soft) != (colon ? (size_t)(colon - equals - 1) : strlen(equals + 1)) ||
        parse_value(soft, &limit.soft) || parse_value(colon ? colon + 1 : soft, &limit.hard))
        return spec_refuse(err, EINVAL, "--ulimit", text,
                           "wants numbers, or -1 for no limit, as SOFT[:HARD]");
    if (limit.soft > limit.hard)
        return spec_refuse(err, EINVAL, "--ulimit", text, "the soft limit is above the hard one");
    limits[which] = limit;
    return 0;
}

/* 2^64 - 1 is more than a JSON library's integer holds; the agent takes a real number of this size
 * for it (husk/agent.h, "Frames"). */
static json_t *value_json(uint64_t value)
{
    return value == UNLIMITED ? json_real(18446744073709551616.0) : json_integer((json_int_t)value);
}

static json_t *rlimit_json(unsigned which, const struct limit *limit)
{
    char type[24] = "RLIMIT_";

    for (size_t i = 0; names[which][i]; i++)
        type[7 + i] = (char)toupper((unsigned char)names[which][i]);
    return json_pack("{s:s, s:o, s:o}", "type", type, "soft", value_json(limit->soft), "hard",
                     value_json(limit->hard));
}

int limits_rlimits(const struct spec_words *ulimits, json_t **out, struct husk_error *err)
{
    /* The kernel's own are those of its first process, which depend on memory: few files, and few
     * processes in a small machine. --pids-limit is what counts processes. */
    struct limit limits[LIMIT_COUNT] = {
        [LIMIT_NOFILE] = {true, 1024, 524288},
        [LIMIT_NPROC] = {true, UNLIMITED, UNLIMITED},
    };
    json_t *array = json_array();
    int ret = array ? 0 : spec_no_memory(err);

    for (unsigned i = 0; i < ulimits->count && !ret; i++)
        ret = parse_ulimit(ulimits->words[i], limits, err);
    for (unsigned i = 0; i < LIMIT_COUNT && !ret; i++) {
        if (limits[i].given)
            ret = spec_append(array, rlimit_json(i, &limits[i]), err);
    }
    if (ret) {
        json_decref(array);
        return ret;
    }
    *out = array;
    return 0;
}
