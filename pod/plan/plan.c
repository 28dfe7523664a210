// SPDX-License-Identifier: Apache-2.0
/* A pod's plan, put together: see plan.h. No state. */
#include "pod/plan/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "pod/plan/part.h"
#include "pod/plan/volumes.h"
#include "pod/spec/sysctl.h"

/* Kubernetes takes both "net.core.somaxconn" and "net/core/somaxconn"; in the latter a dot is one
 * of a name. */
static char *sysctl_word(const json_t *sysctl)
{
    const char *name = plan_text(sysctl, "name"), *value = plan_text(sysctl, "value");
    char *word = NULL, *separator;
    size_t len = strlen(name);

    if (asprintf(&word, "%s=%s", name, value ? value : "") < 0)
        return NULL;
    separator = strpbrk(word, "./");
    if (separator && *separator == '/' && separator < word + len) {
        for (size_t i = 0; i < len; i++)
            word[i] = word[i] == '/' ? '.' : word[i] == '.' ? '/' : word[i];
    }
    return word;
}

/* Those of the ipc namespace and of the network are all the pod's. */
static int read_sysctls(const struct plan *plan, json_t **out, struct husk_error *err)
{
    const json_t *list = json_object_get(json_object_get(plan->spec, "securityContext"), "sysctls");
    size_t count = json_array_size(list), index;
    char **words = calloc(count + 1, sizeof(*words)), where[PLAN_WHERE_BYTES];
    struct spec_words all = {(const char *const *)words, 0};
    json_t *ipc = NULL, *network = NULL;
    struct husk_error inner = {.code = 0};
    const json_t *sysctl;
    int ret = words ? 0 : -ENOMEM;

    json_array_foreach(list, index, sysctl)
    {
        if (!ret) {
            words[all.count] = sysctl_word(sysctl);
            ret = words[all.count] ? 0 : -ENOMEM;
            all.count += ret == 0;
        }
    }
    if (ret)
        ret = plan_no_memory(err);
    else if (sysctl_json(&all, &ipc, &network, &inner))
        ret = plan_refuse(
            err, inner.code,
            plan_where(where, "spec.securityContext.sysctls%s", inner.where + strlen("--sysctl")),
            "%s", inner.why);
    if (!ret) {
        *out = json_incref(json_object_get(network, "sysctl"));
        if (ipc && json_object_update(*out, ipc)) {
            json_decref(*out);
            ret = plan_no_memory(err);
        }
    }
    for (unsigned i = 0; i < all.count; i++)
        free(words[i]);
    free(words);
    json_decref(ipc);
    json_decref(network);
    return ret;
}

static int ask_pod(struct plan *plan, struct husk_error *err)
{
    bool pid = json_is_true(json_object_get(plan->spec, "shareProcessNamespace"));
    json_t *sysctls = NULL, *share;
    int ret = read_sysctls(plan, &sysctls, err);

    if (ret)
        return ret;
    share = pid ? json_pack("[s, s, s]", "ipc", "uts", "pid") : json_pack("[s, s]", "ipc", "uts");
    return plan_ask(plan->out->pod, "pod.set",
                    json_pack("{s:s, s:o, s:o, s:i}", "hostname", plan->hostname, "share", share,
                              "sysctl", sysctls, "shm_bytes", (int)PLAN_SHM_BYTES),
                    err);
}

static enum plan_kind kind_of(const json_t *container, bool init)
{
    const char *policy = plan_text(container, "restartPolicy");

    if (!init)
        return PLAN_MAIN;
    return policy && !strcmp(policy, "Always") ? PLAN_SIDECAR : PLAN_INIT;
}

static int add_containers(struct plan *plan, const char *list, bool init, struct husk_error *err)
{
    struct pod_plan *out = plan->out;
    const json_t *container;
    size_t index;
    int ret = 0;

    json_array_foreach(json_object_get(plan->spec, list), index, container)
    {
        struct plan_container *next = &out->containers[out->container_count];

        if (ret)
            break;
        if (out->container_count == PLAN_CONTAINERS_MAX)
            return plan_refuse(err, E2BIG, "spec.containers",
                               "are more than %u with initContainers", PLAN_CONTAINERS_MAX);
        snprintf(next->name, sizeof(next->name), "%s", plan_text(container, "name"));
        snprintf(next->field, sizeof(next->field), "spec.%s[%zu]", list, index);
        next->kind = kind_of(container, init);
        out->container_count++;
        ret = plan_container(plan, container, next, err);
    }
    return ret;
}

static int allocate(struct pod_plan *out)
{
    out->machine = calloc(1, sizeof(*out->machine));
    out->pod = json_array();
    out->requests = json_array();
    out->containers = calloc(PLAN_CONTAINERS_MAX, sizeof(*out->containers));
    out->limits = calloc(PLAN_VOLUMES_MAX, sizeof(*out->limits));
    out->warnings = json_array();
    out->payloads = json_array();
    out->host_files = json_object();
    return out->machine && out->pod && out->requests && out->containers && out->limits &&
                   out->warnings && out->payloads && out->host_files
               ? 0
               : -ENOMEM;
}

static int build(struct plan *plan, struct husk_error *err)
{
    const char *kernel = plan->in->kernel ? plan->in->kernel : "";
    int ret;

    if (allocate(plan->out))
        return plan_no_memory(err);
    if (strlen(kernel) >= sizeof(plan->out->machine->kernel))
        return plan_refuse(err, ENAMETOOLONG, "kernel", "the path is too long");
    memcpy(plan->out->machine->kernel, kernel, strlen(kernel) + 1);
    ret = plan_names(plan, err);
    if (!ret)
        ret = plan_size(plan, err);
    if (!ret)
        ret = ask_pod(plan, err);
    if (!ret)
        ret = plan_volumes(plan, err);
    if (!ret)
        ret = plan_files(plan, err);
    if (!ret)
        ret = add_containers(plan, "initContainers", true, err);
    return ret ? ret : add_containers(plan, "containers", false, err);
}

int plan_build(const struct plan_input *input, struct pod_plan *out, struct husk_error *err)
{
    const json_t *spec = json_object_get(input->pod, "spec");
    const json_t *group = json_object_get(json_object_get(spec, "securityContext"), "fsGroup");
    struct plan plan = {
        .in = input,
        .metadata = json_object_get(input->pod, "metadata"),
        .spec = spec,
        .out = out,
        .fs_group = group ? json_integer_value(group) : -1,
    };
    int ret;

    memset(out, 0, sizeof(*out));
    plan.name = plan_text(plan.metadata, "name");
    plan.space = plan_text(plan.metadata, "namespace");
    ret = plan.name && plan.space
              ? build(&plan, err)
              : plan_refuse(err, EINVAL, "metadata", "has no name and namespace");
    if (ret)
        plan_clear(out);
    return ret;
}

void plan_clear(struct pod_plan *plan)
{
    for (unsigned i = 0; i < plan->container_count; i++) {
        json_decref(plan->containers[i].create);
        json_decref(plan->containers[i].before);
        json_decref(plan->containers[i].after);
        json_decref(plan->containers[i].resources);
    }
    free(plan->containers);
    free(plan->limits);
    for (unsigned i = 0; plan->machine && i < plan->machine->disk_count; i++) {
        if (plan->machine->disks[i].held)
            close_fd(&plan->machine->disks[i].fd);
    }
    free(plan->machine);
    json_decref(plan->pod);
    json_decref(plan->requests);
    json_decref(plan->warnings);
    json_decref(plan->payloads);
    json_decref(plan->host_files);
    memset(plan, 0, sizeof(*plan));
}
