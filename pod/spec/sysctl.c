// SPDX-License-Identifier: Apache-2.0
/* --sysctl: see sysctl.h. No state. */
#include "pod/spec/sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "pod/spec/part.h"

#define NAME_MAX_LENGTH  200 /* the agent's */
#define VALUE_MAX_LENGTH 1024

static bool is_network(const char *name)
{
    return !strncmp(name, "net.", 4) && name[4];
}

/* Those of a namespace, as engines have it: others are the kernel's, whose container this is not.
 */
static bool is_ipc(const char *name)
{
    static const char *const names[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                        "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                        "kernel.shmmni", "kernel.shm_rmid_forced"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(name, names[i]))
            return true;
    }
    return !strncmp(name, "fs.mqueue.", 10) && name[10];
}

static int parse_one(const char *option, json_t *container, json_t *network, struct husk_error *err)
{
    const char *equals = strchr(option, '=');
    char name[NAME_MAX_LENGTH + 1];
    json_t *value;
    int ret;

    if (!equals || equals == option)
        return spec_refuse(err, EINVAL, "--sysctl", option, "wants NAME=VALUE");
    if ((size_t)(equals - option) >= sizeof(name) || strlen(equals + 1) > VALUE_MAX_LENGTH)
        return spec_refuse(err, E2BIG, "--sysctl", option, "is too long");
    snprintf(name, sizeof(name), "%.*s", (int)(equals - option), option);
    if (strstr(name, "..") || strchr(name, '/') || name[strlen(name) - 1] == '.')
        return spec_refuse(err, EINVAL, "--sysctl", option, "is not the name of a parameter");
    if (!is_network(name) && !is_ipc(name))
        return spec_refuse(
            err, EINVAL, "--sysctl", option,
            "is none of the container's own (net., fs.mqueue., kernel.shm, msg, sem)");
    ret = spec_text("--sysctl", name, &value, err);
    if (ret)
        return ret;
    json_decref(value);
    ret = spec_text("--sysctl", equals + 1, &value, err);
    return ret ? ret : spec_put(is_network(name) ? network : container, name, value, err);
}

int sysctl_json(const struct spec_words *sysctls, json_t **container, json_t **pod,
                struct husk_error *err)
{
    /* Low ports and ICMP for whoever the process is, as in every engine's containers. */
    json_t *network = json_pack("{s:s, s:s}", "net.ipv4.ip_unprivileged_port_start", "0",
                                "net.ipv4.ping_group_range", "0 2147483647");
    json_t *object = json_object();
    int ret = network && object ? 0 : spec_no_memory(err);

    for (unsigned i = 0; i < sysctls->count && !ret; i++)
        ret = parse_one(sysctls->words[i], object, network, err);
    if (!ret) {
        *pod = json_pack("{s:O}", "sysctl", network);
        ret = *pod ? 0 : spec_no_memory(err);
    }
    json_decref(network);
    if (ret || !json_object_size(object)) {
        json_decref(object);
        object = NULL;
    }
    *container = object;
    return ret;
}
