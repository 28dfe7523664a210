// SPDX-License-Identifier: Apache-2.0
/*
 * Profiles made into "linux.seccomp": see seccomp.h. The conditions go, the rules that hold stay.
 * Which words are actions, operators and system calls the agent knows and says; here is checked
 * what would be lost on the way to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "pod/image/json.h"
#include "pod/spec/capabilities.h"
#include "pod/spec/part.h"
#include "pod/spec/seccomp.h"

#define RULES_MAX  1024 /* the agent's limits */
#define NAMES_MAX  1024
#define ARCHES_MAX 32

#if defined(__x86_64__)
const char seccomp_machine[] = "amd64";
#elif defined(__aarch64__)
const char seccomp_machine[] = "arm64";
#else
const char seccomp_machine[] = ""; /* profiles have no line for it: the agent's own alone */
#endif

static const struct {
    const char *machine, *architecture;
} machines[] = {{"amd64", "SCMP_ARCH_X86_64"}, {"arm64", "SCMP_ARCH_AARCH64"}};

/* Where in which profile. */
struct place {
    const struct seccomp_context *context;
    const char *file;
    size_t rule;
};

static int wrong(const struct place *place, const char *member, const char *why,
                 struct husk_error *err)
{
    return spec_refuse(err, EINVAL, "--security-opt seccomp=", place->file, "syscalls[%zu]%s: %s",
                       place->rule, member, why);
}

static int wrong_head(const struct place *place, const char *member, const char *why,
                      struct husk_error *err)
{
    return spec_refuse(err, EINVAL, "--security-opt seccomp=", place->file, "%s: %s", member, why);
}

/* That every element of an array, which may be absent, is a text. */
static bool are_texts(const json_t *array, size_t max)
{
    if (!array || json_is_null(array))
        return true;
    if (!json_is_array(array) || json_array_size(array) > max)
        return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i)))
            return false;
    }
    return true;
}

static bool has_text(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!strcmp(json_string_value(json_array_get(array, i)), text))
            return true;
    }
    return false;
}

/* "4.8": whether the guest's kernel is that or newer. */
static int kernel_reaches(const struct place *place, const char *text, bool *out)
{
    char major[8];
    const char *dot = strchr(text, '.');
    uint64_t numbers[2];

    if (!dot || (size_t)(dot - text) >= sizeof(major))
        return -EINVAL;
    memcpy(major, text, (size_t)(dot - text));
    major[dot - text] = '\0';
    if (parse_u64(major, 0, 1000, &numbers[0]) || parse_u64(dot + 1, 0, 1000, &numbers[1]))
        return -EINVAL;
    *out =
        place->context->kernel_major > numbers[0] ||
        (place->context->kernel_major == numbers[0] && place->context->kernel_minor >= numbers[1]);
    return 0;
}

/* How many of the capabilities the container has, and how many there are. */
static int count_capabilities(const struct place *place, const json_t *caps, size_t *has,
                              struct husk_error *err)
{
    *has = 0;
    for (size_t i = 0; i < json_array_size(caps); i++) {
        int number = capability_number(json_string_value(json_array_get(caps, i)));

        if (number < 0)
            return wrong(place, ": caps", "there is no such capability", err);
        *has += place->context->capabilities >> number & 1;
    }
    return 0;
}

/* Whether the rule holds here: it has all that "includes" lists, and nothing of "excludes". */
static int applies(const struct place *place, const json_t *rule, const char *key, bool *out,
                   struct husk_error *err)
{
    const json_t *filter = json_object_get(rule, key), *caps, *arches, *kernel;
    bool including = !strcmp(key, "includes"), reached = false;
    size_t has;
    int ret;

    if (!filter || json_is_null(filter))
        return 0;
    if (!json_is_object(filter))
        return wrong(place, ": includes and excludes", "must be objects", err);
    caps = json_object_get(filter, "caps");
    arches = json_object_get(filter, "arches");
    kernel = json_object_get(filter, "minKernel");
    if (!are_texts(caps, 64) || !are_texts(arches, ARCHES_MAX))
        return wrong(place, ": caps and arches", "must be lists of texts", err);
    ret = count_capabilities(place, caps, &has, err);
    if (ret)
        return ret;
    if (including ? has < json_array_size(caps) : has > 0)
        *out = false;
    if (json_array_size(arches) && has_text(arches, place->context->machine) != including)
        *out = false;
    if (!kernel || json_is_null(kernel) ||
        (json_string_length(kernel) == 0 && json_is_string(kernel)))
        return 0;
    if (!json_is_string(kernel) || kernel_reaches(place, json_string_value(kernel), &reached))
        return wrong(place, ": minKernel", "must be a version such as \"4.8\"", err);
    if (reached != including)
        *out = false;
    return 0;
}

static int copy_names(const struct place *place, const json_t *rule, json_t *out,
                      struct husk_error *err)
{
    json_t *name = json_object_get(rule, "name"), *names = json_object_get(rule, "names");

    if (json_is_string(name) && json_string_length(name)) {
        if (json_array_size(names))
            return wrong(place, "", "has both name and names", err);
        return spec_put(out, "names", json_pack("[O]", name), err);
    }
    if (!json_is_array(names) || !json_array_size(names) || !are_texts(names, NAMES_MAX))
        return wrong(place, ".names", "must be a list of names of system calls", err);
    return spec_put(out, "names", json_incref(names), err);
}

/* All members of one comparison are numbers that survive the way. */
static bool is_comparison(const json_t *item)
{
    static const char *const numbers[] = {"index", "value", "valueTwo"};

    if (!json_is_object(item) || !json_is_string(json_object_get(item, "op")))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        const json_t *number = json_object_get(item, numbers[i]);

        if (number && !json_is_null(number) &&
            (!json_is_integer(number) || json_integer_value(number) < 0))
            return false;
    }
    return true;
}

static int copy_arguments(const struct place *place, const json_t *rule, json_t *out,
                          struct husk_error *err)
{
    json_t *args = json_object_get(rule, "args");

    if (!args || json_is_null(args) || (json_is_array(args) && !json_array_size(args)))
        return 0;
    if (!json_is_array(args) || json_array_size(args) > 6)
        return wrong(place, ".args", "must be a list of at most 6 comparisons", err);
    for (size_t i = 0; i < json_array_size(args); i++) {
        if (!is_comparison(json_array_get(args, i)))
            return wrong(place, ".args", "must be index, value, valueTwo (below 2^63) and op", err);
    }
    return spec_put(out, "args", json_incref(args), err);
}

static int copy_rule(const struct place *place, const json_t *rule, json_t *list,
                     struct husk_error *err)
{
    json_t *action = json_object_get(rule, "action"), *number = json_object_get(rule, "errnoRet");
    json_t *out = json_object();
    int ret = out ? copy_names(place, rule, out, err) : spec_no_memory(err);

    if (!ret)
        ret = copy_arguments(place, rule, out, err);
    if (!ret && !json_is_string(action))
        ret = wrong(place, ".action", "is missing", err);
    if (!ret)
        ret = spec_put(out, "action", json_incref(action), err);
    if (!ret && number && !json_is_null(number)) {
        if (!json_is_integer(number) || json_integer_value(number) < 0)
            ret = wrong(place, ".errnoRet", "must be an error's number", err);
        else
            ret = spec_put(out, "errnoRet", json_incref(number), err);
    }
    if (ret) {
        json_decref(out);
        return ret;
    }
    return spec_append(list, out, err);
}

static int copy_rules(const json_t *profile, struct place *place, json_t *out,
                      struct husk_error *err)
{
    const json_t *rules = json_object_get(profile, "syscalls");
    json_t *list = json_array();
    int ret = list ? spec_put(out, "syscalls", list, err) : spec_no_memory(err);

    if (ret || !rules || json_is_null(rules))
        return ret;
    if (!json_is_array(rules) || json_array_size(rules) > RULES_MAX)
        return wrong_head(place, "syscalls", "must be a list of at most 1024 rules", err);
    for (place->rule = 0; place->rule < json_array_size(rules) && !ret; place->rule++) {
        const json_t *rule = json_array_get(rules, place->rule);
        bool holds = true;

        if (!json_is_object(rule))
            return wrong(place, "", "must be an object", err);
        ret = applies(place, rule, "includes", &holds, err);
        if (!ret)
            ret = applies(place, rule, "excludes", &holds, err);
        if (!ret && holds)
            ret = copy_rule(place, rule, list, err);
        if (ret)
            return ret;
    }
    return ret;
}

/* The line of archMap for this machine: itself, and what else its processor runs. */
static int map_architectures(const struct place *place, const json_t *map, json_t *out,
                             struct husk_error *err)
{
    const char *native = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
        if (!strcmp(machines[i].machine, place->context->machine))
            native = machines[i].architecture;
    }
    for (size_t i = 0; i < json_array_size(map); i++) {
        const json_t *line = json_array_get(map, i);
        json_t *name = json_object_get(line, "architecture");
        const json_t *others = json_object_get(line, "subArchitectures");
        int ret;

        if (!json_is_string(name) || !are_texts(others, ARCHES_MAX))
            return wrong_head(place, "archMap", "must be architecture and subArchitectures", err);
        if (!native || strcmp(json_string_value(name), native) != 0)
            continue;
        ret = spec_append(out, json_incref(name), err);
        for (size_t j = 0; j < json_array_size(others) && !ret; j++)
            ret = spec_append(out, json_incref(json_array_get(others, j)), err);
        return ret;
    }
    return 0;
}

static int copy_architectures(const json_t *profile, const struct place *place, json_t *out,
                              struct husk_error *err)
{
    json_t *given = json_object_get(profile, "architectures");
    const json_t *map = json_object_get(profile, "archMap");
    json_t *list = json_array();
    int ret = list ? spec_put(out, "architectures", list, err) : spec_no_memory(err);

    if (ret)
        return ret;
    if (!are_texts(given, ARCHES_MAX))
        return wrong_head(place, "architectures", "must be a list of texts", err);
    if (map && !json_is_null(map) && !json_is_array(map))
        return wrong_head(place, "archMap", "must be a list", err);
    if (json_array_size(given) && json_array_size(map))
        return wrong_head(place, "architectures", "cannot be there beside archMap", err);
    if (json_array_size(given))
        return spec_put(out, "architectures", json_incref(given), err);
    return map_architectures(place, map, list, err);
}

/* What stays as it is; the agent judges it. */
static int copy_head(const json_t *profile, const struct place *place, json_t *out,
                     struct husk_error *err)
{
    static const char *const keys[] = {"defaultAction", "defaultErrnoRet", "flags", "listenerPath"};
    int ret = 0;

    if (!json_is_string(json_object_get(profile, "defaultAction")))
        return wrong_head(place, "defaultAction", "is missing", err);
    for (size_t i = 0; i < ARRAY_SIZE(keys) && !ret; i++) {
        json_t *value = json_object_get(profile, keys[i]);

        if (value && !json_is_null(value))
            ret = spec_put(out, keys[i], json_incref(value), err);
    }
    return ret;
}

int seccomp_compile(const json_t *profile, const struct seccomp_context *context, const char *where,
                    json_t **out, struct husk_error *err)
{
    struct place place = {.context = context, .file = where};
    json_t *seccomp = json_object();
    int ret = seccomp ? copy_head(profile, &place, seccomp, err) : spec_no_memory(err);

    if (!ret)
        ret = copy_architectures(profile, &place, seccomp, err);
    if (!ret)
        ret = copy_rules(profile, &place, seccomp, err);
    if (ret) {
        json_decref(seccomp);
        return ret;
    }
    *out = seccomp;
    return 0;
}

int seccomp_parse(const void *bytes, size_t len, const struct seccomp_context *context,
                  const char *where, json_t **out, struct husk_error *err)
{
    json_t *profile = image_json_parse(bytes, len, where, err);
    int ret;

    if (!profile)
        return -EINVAL;
    ret = seccomp_compile(profile, context, where, out, err);
    json_decref(profile);
    return ret;
}

int seccomp_file(const char *path, const struct seccomp_context *context, json_t **out,
                 struct husk_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
    char *bytes = NULL;
    struct stat info = {.st_size = 0};

    if (fd < 0 || fstat(fd, &info) < 0)
        ret = -errno;
    else if (!S_ISREG(info.st_mode))
        ret = -EINVAL;
    else if (info.st_size > IMAGE_JSON_BYTES_MAX)
        ret = -EFBIG;
    if (!ret) {
        bytes = malloc((size_t)info.st_size + 1);
        ret = bytes ? pread_full(fd, bytes, (size_t)info.st_size, 0) : -ENOMEM;
    }
    close_fd(&fd);
    if (ret)
        ret = spec_refuse(err, -ret, "--security-opt seccomp=", path, "%s", error_text(-ret));
    else
        ret = seccomp_parse(bytes, (size_t)info.st_size, context, path, out, err);
    free(bytes);
    return ret;
}
