// SPDX-License-Identifier: Apache-2.0
/* A container's config.json and what belongs to it, put together: see spec.h. No state. */
#include "pod/spec/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/spec/capabilities.h"
#include "pod/spec/limits.h"
#include "pod/spec/mounts.h"
#include "pod/spec/part.h"
#include "pod/spec/process.h"
#include "pod/spec/security.h"
#include "pod/spec/sysctl.h"
#include "pod/spec/volumes.h"

#define OCI_VERSION   "1.0.2"
#define HOSTNAME_MAX  64u /* sethostname(2); engines take 63 */
#define ID_CHARACTERS 12
#define REQUEST_REST  4096u /* of the frame that "create" is, beside config.json */
#define KERNEL_MAJOR  6     /* docs/agent.md */
#define KERNEL_MINOR  1

/* What of /proc and /sys tells about the machine, or could change it. */
static const char *const masked[] = {
    "/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
    "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",     "/sys/devices/virtual/powercap",
};
static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                       "/proc/sysrq-trigger"};

static int choose_hostname(const struct spec_options *options, char *out, struct husk_error *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    const char *name = options->hostname;
    unsigned max = options->member ? HOSTNAME_MAX : HOSTNAME_MAX - 1;

    if (!name) {
        snprintf(out, HOSTNAME_MAX + 1, "%.*s", ID_CHARACTERS, options->id ? options->id : "husk");
        return 0;
    }
    if (!*name || strlen(name) > max)
        return spec_refuse(err, EINVAL, "--hostname", name, "must have 1 to %u characters", max);
    /* It becomes a line of /etc/hosts. */
    if (strspn(name, letters) != strlen(name) || *name == '-' || *name == '.')
        return spec_refuse(err, EINVAL, "--hostname", name,
                           "wants letters, digits, \"-\", \"_\" and \".\"");
    snprintf(out, HOSTNAME_MAX + 1, "%s", name);
    return 0;
}

static int fill_environment(const struct image_config *image, const struct spec_options *options,
                            const char *hostname, struct process_parts *parts,
                            struct environment *environment, struct husk_error *err)
{
    int ret = process_environment(image, options, hostname, environment, err);

    parts->environment = environment;
    if (!ret)
        ret = process_args(image, options, &parts->args, err);
    if (!ret)
        ret = limits_rlimits(&options->ulimits, &parts->rlimits, err);
    return ret;
}

static int make_process(const struct image_config *image, const struct spec_options *options,
                        const struct security *security, uint64_t capabilities,
                        const char *hostname, json_t **out, struct husk_error *err)
{
    const char *own = image->directory[0] ? image->directory : "/";
    struct process_parts parts = {.directory = options->directory ? options->directory : own,
                                  .tty = options->tty,
                                  .columns = options->columns,
                                  .rows = options->rows,
                                  .no_new_privileges = security->no_new_privileges,
                                  .member = options->member};
    struct environment *environment = environment_new();
    int ret = environment ? 0 : spec_no_memory(err);

    if (!ret)
        ret = process_check_directory(options->directory ? "--workdir" : "the image: WorkingDir",
                                      parts.directory, err);
    if (!ret)
        ret = fill_environment(image, options, hostname, &parts, environment, err);
    if (!ret) {
        parts.capabilities = capabilities_json(capabilities);
        ret = parts.capabilities ? 0 : spec_no_memory(err);
    }
    if (!ret) {
        ret = process_json(&parts, out, err);
    } else {
        json_decref(parts.args);
        json_decref(parts.rlimits);
    }
    environment_free(environment);
    return ret;
}

static json_t *texts(const char *const *list, size_t count)
{
    json_t *array = json_array();
    int ret = array ? 0 : -ENOMEM;

    for (size_t i = 0; i < count && !ret; i++)
        ret = json_array_append_new(array, json_string(list[i]));
    if (ret) {
        json_decref(array);
        return NULL;
    }
    return array;
}

/* The network is the machine's own, which is the container's, or its pod's, alone. */
static json_t *namespaces(const struct spec_member *member)
{
    const char *pid = member && member->share_pid ? HUSK_AGENT_NAMESPACES "/pid" : NULL;
    const char *ipc = member ? HUSK_AGENT_NAMESPACES "/ipc" : NULL;
    const char *uts = member ? HUSK_AGENT_NAMESPACES "/uts" : NULL;

    return json_pack("[{s:s, s:s*}, {s:s, s:s*}, {s:s, s:s*}, {s:s}, {s:s}]", "type", "pid", "path",
                     pid, "type", "ipc", "path", ipc, "type", "uts", "path", uts, "type", "mount",
                     "type", "cgroup");
}

/* Takes the reference of resources; what is given there is put over what there is. */
static int add_resources(const struct spec_member *member, json_t *object, json_t *resources,
                         struct husk_error *err)
{
    int ret = spec_put(object, "resources", resources, err);

    if (!ret && member && member->resources &&
        json_object_update(resources, (json_t *)member->resources))
        ret = spec_no_memory(err);
    /* Whatever node a privileged container makes, it may use. */
    if (!ret && member && member->privileged)
        ret = spec_put(resources, "devices", json_pack("[{s:b, s:s}]", "allow", 1, "access", "rwm"),
                       err);
    return ret;
}

static int make_linux(const struct spec_options *options, const struct security *security,
                      uint64_t capabilities, struct spec *out, json_t **linux_out,
                      struct husk_error *err)
{
    const struct seccomp_context context = {
        .capabilities = capabilities,
        .kernel_major = options->kernel_major ? options->kernel_major : KERNEL_MAJOR,
        .kernel_minor = options->kernel_major ? options->kernel_minor : KERNEL_MINOR,
        .machine = seccomp_machine};
    const struct spec_member *member = options->member;
    bool open = member && (member->privileged || member->unmasked);
    json_t *object = json_pack("{s:o, s:o, s:o}", "namespaces", namespaces(member), "maskedPaths",
                               texts(masked, open ? 0 : ARRAY_SIZE(masked)), "readonlyPaths",
                               texts(readonly, open ? 0 : ARRAY_SIZE(readonly)));
    json_t *resources = NULL, *seccomp = NULL, *sysctls = NULL;
    int ret = object ? limits_resources(options, out, &resources, err) : spec_no_memory(err);

    if (!ret)
        ret = add_resources(member, object, resources, err);
    if (!ret)
        ret = sysctl_json(&options->sysctls, &sysctls, &out->pod, err);
    if (!ret && sysctls)
        ret = spec_put(object, "sysctl", sysctls, err);
    if (!ret)
        ret = security_seccomp(security, &context, &seccomp, err);
    if (!ret && seccomp)
        ret = spec_put(object, "seccomp", seccomp, err);
    if (ret) {
        json_decref(object);
        return ret;
    }
    *linux_out = object;
    return 0;
}

static int make_config(const struct image_config *image, const struct spec_options *options,
                       const struct security *security, const char *hostname, struct spec *out,
                       struct husk_error *err)
{
    json_t *process = NULL, *mounts = NULL, *linux_part = NULL;
    uint64_t capabilities;
    int ret = capabilities_choose(&options->cap_add, &options->cap_drop, &capabilities, err);

    /* A pod's name is that of its namespace, which is there before the container. */
    out->config = json_pack("{s:s, s:s*, s:{s:s, s:b}}", "ociVersion", OCI_VERSION, "hostname",
                            options->member ? NULL : hostname, "root", "path", "rootfs", "readonly",
                            options->read_only);
    if (!ret && !out->config)
        ret = spec_no_memory(err);
    if (!ret && options->member && options->member->privileged)
        capabilities = capabilities_all;
    if (!ret)
        ret = make_process(image, options, security, capabilities, hostname, &process, err);
    if (!ret)
        ret = spec_put(out->config, "process", process, err);
    if (!ret)
        ret = mounts_json(options, out, &mounts, err);
    if (!ret)
        ret = spec_put(out->config, "mounts", mounts, err);
    if (!ret)
        ret = make_linux(options, security, capabilities, out, &linux_part, err);
    if (!ret)
        ret = spec_put(out->config, "linux", linux_part, err);
    return ret;
}

/* "create" is one frame. */
static int check_size(const struct spec *spec, struct husk_error *err)
{
    size_t size = json_dumpb(spec->config, NULL, 0, JSON_COMPACT);

    if (size > HUSK_AGENT_FRAME_MAX - REQUEST_REST)
        return spec_refuse(err, E2BIG, "the command", NULL,
                           "arguments, environment and mounts have %zu bytes in all, more than %u",
                           size, HUSK_AGENT_FRAME_MAX - REQUEST_REST);
    return 0;
}

static int choose_signal(const struct image_config *image, const struct spec_options *options,
                         struct spec *out, struct husk_error *err)
{
    const char *text = options->stop_signal ? options->stop_signal : image->stop_signal;

    if (!*text)
        text = "TERM";
    if (spec_signal_parse(text, &out->stop_signal))
        return spec_refuse(err, EINVAL,
                           options->stop_signal ? "--stop-signal" : "the image: StopSignal", text,
                           "is not a signal");
    return 0;
}

static int check_lists(const struct spec_options *options, struct husk_error *err)
{
    const struct {
        const struct spec_words *list;
        const char *option;
    } lists[] = {{&options->env, "--env"},
                 {&options->env_files, "--env-file"},
                 {&options->volumes, "--volume"},
                 {&options->tmpfs, "--tmpfs"},
                 {&options->cap_add, "--cap-add"},
                 {&options->cap_drop, "--cap-drop"},
                 {&options->ulimits, "--ulimit"},
                 {&options->sysctls, "--sysctl"},
                 {&options->security, "--security-opt"}};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        if (lists[i].list->count > SPEC_LIST_MAX)
            return spec_refuse(err, E2BIG, lists[i].option, NULL, "is there more than %u times",
                               SPEC_LIST_MAX);
    }
    return 0;
}

static int build(const struct image_config *image, const struct spec_options *options,
                 struct spec *out, struct husk_error *err)
{
    char hostname[HOSTNAME_MAX + 1];
    struct security security;
    int ret = check_lists(options, err);

    out->init = options->init;
    if (!ret)
        ret = choose_hostname(options, hostname, err);
    if (!ret)
        ret = process_user(options->user ? "--user" : "the image: User",
                           options->user ? options->user : image->user, out->user, err);
    if (!ret)
        ret = choose_signal(image, options, out, err);
    if (!ret)
        ret = security_parse(&options->security, &security, err);
    if (!ret)
        ret = volumes_parse(image, options, out, err);
    if (!ret && !options->member)
        ret = spec_files(options, hostname, out, err);
    if (!ret)
        ret = make_config(image, options, &security, hostname, out, err);
    if (!ret)
        ret = check_size(out, err);
    return ret;
}

int spec_build(const struct image_config *image, const struct spec_options *options,
               struct spec *out, struct husk_error *err)
{
    int ret;

    memset(out, 0, sizeof(*out));
    ret = build(image, options, out, err);
    if (ret)
        spec_clear(out);
    return ret;
}

void spec_clear(struct spec *spec)
{
    volumes_free(spec);
    for (unsigned i = 0; i < SPEC_FILES; i++)
        free(spec->files[i].text);
    json_decref(spec->config);
    json_decref(spec->pod);
    memset(spec, 0, sizeof(*spec));
}
