// SPDX-License-Identifier: Apache-2.0
/*
 * --config-file: the sections of GET /vm/config, applied as if each had been put. Null sections are
 * none; what husk does not have must be null, absent or empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "vmm/api/state.h"

#define FILE_MAX_BYTES (1u << 20)
#define PATIENCE_MS    10000 /* with a pipe whose writer is silent */

struct section {
    const char *name;
    bool required;
    bool is_list;    /* apply to each element */
    api_handler put; /* NULL: nothing of the kind is supported */
};

/* In the order in which they are applied: the log first, so that it tells of the rest. */
static const struct section sections_known[] = {
    {.name = "logger", .put = logger_put},
    {.name = "metrics", .put = metrics_put},
    {.name = "machine-config", .put = machine_put},
    {.name = "cpu-config", .put = cpu_put},
    {.name = "boot-source", .put = boot_put, .required = true},
    {.name = "drives", .put = drive_put, .required = true, .is_list = true},
    {.name = "network-interfaces", .put = net_put, .is_list = true},
    {.name = "vfio", .put = vfio_put, .is_list = true},
    {.name = "vsock", .put = vsock_put},
    {.name = "entropy", .put = entropy_put},
    {.name = "serial", .put = serial_put},
    {.name = "balloon"},
    {.name = "mmds-config"},
    {.name = "memory-hotplug"},
    {.name = "pmem"},
};

static const struct section *find_section(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(sections_known); i++) {
        if (!strcmp(sections_known[i].name, name))
            return &sections_known[i];
    }
    return NULL;
}

static int apply_value(struct api *api, const struct section *section, const json_t *value,
                       struct api_fault *fault)
{
    struct api_call call = {.body = value};

    return section->put(api, &call, fault) ? api_fault_prefix(fault, section->name) : 0;
}

static int apply_section(struct api *api, const struct section *section, const json_t *value,
                         struct api_fault *fault)
{
    int ret = 0;

    if (!section->put)
        return json_array_size(value) == 0 && json_is_array(value)
                   ? 0
                   : api_fault_set(fault, "%s: not supported", section->name);
    if (!section->is_list)
        return apply_value(api, section, value, fault);
    if (!json_is_array(value))
        return api_fault_set(fault, "invalid type of field `%s`: %s, expected an array",
                             section->name, json_type_name(value));
    for (size_t i = 0; !ret && i < json_array_size(value); i++)
        ret = apply_value(api, section, json_array_get(value, i), fault);
    return ret;
}

int config_apply(struct api *api, const json_t *sections, struct api_fault *fault)
{
    const char *key;
    json_t *value;
    int ret = 0;

    if (!json_is_object(sections))
        return api_fault_set(fault, "invalid type: %s, expected an object",
                             json_type_name(sections));
    json_object_foreach((json_t *)sections, key, value)
    {
        if (!find_section(key))
            return api_fault_set(fault, "unknown field `%.64s`", key);
    }
    for (unsigned i = 0; !ret && i < ARRAY_SIZE(sections_known); i++) {
        const struct section *section = &sections_known[i];

        value = json_object_get(sections, section->name);
        if (value && !json_is_null(value))
            ret = apply_section(api, section, value, fault);
        else if (section->required)
            ret = api_fault_set(fault, "missing field `%s`", section->name);
    }
    return ret;
}

/* Waits for the other end of a pipe, but not for ever: the caller may have signals blocked. */
static ssize_t read_some(int fd, char *out, size_t size)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n = read(fd, out, size);

    if (n >= 0 || errno != EAGAIN)
        return n;
    if (poll(&ready, 1, PATIENCE_MS) == 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    return read(fd, out, size);
}

/* The whole of a file that is no larger than it may be. Returns its length or -errno. */
static ssize_t read_file(const char *path, char **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t len = 0;
    ssize_t n = -1;
    char *text;
    int code;

    if (fd < 0)
        return -errno;
    text = malloc(FILE_MAX_BYTES + 1);
    while (text && len <= FILE_MAX_BYTES &&
           (n = read_some(fd, text + len, FILE_MAX_BYTES + 1 - len)) > 0)
        len += (size_t)n;
    code = !text ? ENOMEM : len > FILE_MAX_BYTES ? EFBIG : n < 0 ? errno : 0;
    close(fd);
    if (code) {
        free(text);
        return -code;
    }
    *out = text;
    return (ssize_t)len;
}

/* "cpu-config" may be the path of a file with the template instead of the template. */
static int resolve_cpu_config(json_t *sections, struct api_fault *fault)
{
    const char *path = json_string_value(json_object_get(sections, "cpu-config"));
    char *text = NULL;
    ssize_t len;
    json_t *template;

    if (!path)
        return 0;
    len = read_file(path, &text);
    if (len < 0)
        return api_fault_set(fault, "cpu-config: %s: %s", path, strerror((int)-len));
    template = json_parse(text, (size_t)len, fault);
    free(text);
    if (!template)
        return api_fault_prefix(fault, "cpu-config");
    return json_put(sections, "cpu-config", template) ? api_fault_set(fault, "out of memory") : 0;
}

int api_load_config_file(struct api *api, const char *path, struct husk_error *err)
{
    struct api_fault fault = {0};
    char *text = NULL;
    ssize_t len = read_file(path, &text);
    json_t *sections;
    int ret;

    if (len < 0)
        return error_set(err, (int)-len, path, "cannot read the configuration file", NULL);
    sections = json_parse(text, (size_t)len, &fault);
    free(text);
    ret = sections ? resolve_cpu_config(sections, &fault) : -EINVAL;
    if (!ret)
        ret = config_apply(api, sections, &fault);
    json_decref(sections);
    if (ret)
        return error_set(err, EINVAL, path, "Configuration for VMM from one single json failed",
                         "%s", fault.text);
    if (start_vm(api, &fault))
        return error_set(err, EIO, path, "Could not Start MicroVM from one single json", "%s",
                         fault.text);
    log_print(&api->log, HUSK_LOG_INFO,
              "Successfully started microvm that was configured from one single json");
    return 0;
}
