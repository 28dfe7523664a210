// SPDX-License-Identifier: Apache-2.0
/*
 * A config.json from anywhere: parsed, compiled (seccomp) and freed. What is accepted must be fit
 * to be carried out without another look.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_process(const struct oci_process *process)
{
    require(process->args && process->args[0] && process->env);
    require(process->cwd && process->cwd[0] == '/');
    for (int i = 0; i < OCI_RLIMITS; i++)
        require(process->rlimits[i].limit.rlim_cur <= process->rlimits[i].limit.rlim_max);
}

static void check(const struct oci_config *config)
{
    check_process(&config->process);
    require(config->namespaces[OCI_NS_MOUNT].given && !config->namespaces[OCI_NS_MOUNT].path);
    require(!config->hostname || config->namespaces[OCI_NS_UTS].given);
    require(!config->cgroups_path || !strstr(config->cgroups_path, "/../"));
    for (size_t i = 0; i < config->mount_count; i++)
        require(config->mounts[i].destination[0] &&
                (config->mounts[i].options.bind ? config->mounts[i].source != NULL
                                                : config->mounts[i].type != NULL));
    for (size_t i = 0; i < config->device_count; i++)
        require(config->devices[i].path[0] == '/');
    require(!config->seccomp.len == !config->seccomp.filter);
}

/* An error is one line that names something. */
static void check_error(const struct husk_error *error)
{
    require(error->code > 0 && error->what[0]);
    for (const char *at = error->why; *at; at++)
        require(*at >= ' ' && *at <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct husk_error error = {.code = 0};
    json_t *json = json_parse_object((const char *)data, size, &error);
    const struct node node = node_root(json, "config");
    struct oci_resources resources;
    struct oci_process process;
    struct oci_config config;

    if (!json) {
        check_error(&error);
        return 0;
    }
    if (oci_parse(&node, false, &config, &error)) {
        check_error(&error);
    } else {
        check(&config);
        oci_free(&config);
    }
    if (!oci_parse_process(&node, &process, &error)) {
        check_process(&process);
        oci_free_process(&process);
    }
    if (!oci_parse_resources(&node, true, &resources, &error)) {
        require(!resources.device_rule_count);
        oci_free_resources(&resources);
    }
    json_decref(json);
    return 0;
}
