// SPDX-License-Identifier: Apache-2.0
/*
 * securityContext: see security.h. The rules are the kubelet's and, for capabilities, containerd's
 * (Kubernetes documentation, "Configure a Security Context for a Pod or Container"). No state.
 */
#include "pod/plan/security.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

struct contexts {
    const json_t *pod, *own;
};

/* The container's, or else the pod's. */
static const json_t *effective(const struct contexts *contexts, const char *name)
{
    const json_t *value = json_object_get(contexts->own, name);

    return value ? value : json_object_get(contexts->pod, name);
}

static void choose_user(const struct contexts *contexts, const struct image_config *image,
                        struct security_plan *out)
{
    const json_t *user = effective(contexts, "runAsUser");
    const json_t *group = effective(contexts, "runAsGroup");
    char name[SPEC_USER_MAX + 1], suffix[24] = "";

    if (user)
        snprintf(name, sizeof(name), "%" JSON_INTEGER_FORMAT, json_integer_value(user));
    else if (group) /* the image's user in another group */
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(image->user, ":"), image->user);
    else
        snprintf(name, sizeof(name), "%s", image->user);
    if (group)
        snprintf(suffix, sizeof(suffix), ":%" JSON_INTEGER_FORMAT, json_integer_value(group));
    snprintf(out->user, sizeof(out->user), "%s%s", name, suffix);
}

/* A name in the image's own /etc/passwd could be root under any other name. */
static int check_not_root(const struct contexts *contexts, const struct image_config *image,
                          const char *field, struct husk_error *err)
{
    const json_t *user = effective(contexts, "runAsUser");
    char where[PLAN_WHERE_BYTES], name[SPEC_USER_MAX + 1];
    uint64_t uid = 0;

    if (!json_is_true(effective(contexts, "runAsNonRoot")))
        return 0;
    plan_where(where, "%s.securityContext.runAsNonRoot", field);
    if (user)
        return json_integer_value(user)
                   ? 0
                   : plan_refuse(err, EINVAL, where, "runAsUser is 0, which is root");
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(image->user, ":"), image->user);
    if (!name[0])
        return plan_refuse(err, EINVAL, where, "the image runs as root, and there is no runAsUser");
    if (parse_u64(name, 0, UINT32_MAX, &uid))
        return plan_refuse(err, EINVAL, where,
                           "the image's user \"%s\" is a name, which may be root's", name);
    return uid ? 0
               : plan_refuse(err, EINVAL, where,
                             "the image runs as root, and there is no runAsUser");
}

static int add_group(struct security_plan *out, json_int_t group, struct husk_error *err)
{
    if (out->group_count == SECURITY_GROUPS_MAX)
        return plan_refuse(err, E2BIG, "spec.securityContext.supplementalGroups",
                           "are more than %u", SECURITY_GROUPS_MAX - 1);
    out->groups[out->group_count++] = (uint32_t)group;
    return 0;
}

static int choose_groups(const struct plan *plan, const struct contexts *contexts,
                         struct security_plan *out, struct husk_error *err)
{
    const json_t *group;
    size_t index;
    int ret = plan->fs_group < 0 ? 0 : add_group(out, plan->fs_group, err);

    json_array_foreach(json_object_get(contexts->pod, "supplementalGroups"), index, group)
    {
        if (!ret && json_integer_value(group) != plan->fs_group)
            ret = add_group(out, json_integer_value(group), err);
    }
    return ret;
}

static const char *plain(const char *capability)
{
    return strncasecmp(capability, "CAP_", 4) ? capability : capability + 4;
}

static bool is_in(const json_t *list, const char *capability)
{
    const json_t *word;
    size_t index;

    json_array_foreach(list, index, word)
    {
        if (!strcasecmp(plain(json_string_value(word)), plain(capability)))
            return true;
    }
    return false;
}

/* What is dropped by its name is not added, and "ALL" is added only where it is not dropped. */
static int choose_capabilities(const struct contexts *contexts, const char *field,
                               struct security_plan *out, struct husk_error *err)
{
    const json_t *lists = json_object_get(contexts->own, "capabilities");
    const json_t *add = json_object_get(lists, "add"), *drop = json_object_get(lists, "drop");
    char where[PLAN_WHERE_BYTES];
    const json_t *word;
    size_t index;

    if (json_array_size(add) > 64 || json_array_size(drop) > 64)
        return plan_refuse(err, E2BIG, plan_where(where, "%s.securityContext.capabilities", field),
                           "are more than 64");
    json_array_foreach(add, index, word)
    {
        if (!is_in(drop, json_string_value(word)))
            out->add[out->add_count++] = json_string_value(word);
    }
    json_array_foreach(drop, index, word)
    {
        out->drop[out->drop_count++] = json_string_value(word);
    }
    return 0;
}

static int choose_seccomp(const struct plan *plan, const struct contexts *contexts,
                          const char *field, struct security_plan *out, struct husk_error *err)
{
    const json_t *profile = effective(contexts, "seccompProfile");
    const char *type = plan_text(profile, "type"), *file = plan_text(profile, "localhostProfile");
    const char *directory =
        plan->in->seccomp_directory ? plan->in->seccomp_directory : PLAN_SECCOMP_DIRECTORY;
    char where[PLAN_WHERE_BYTES];

    if (out->privileged || (type && !strcmp(type, "Unconfined"))) {
        snprintf(out->seccomp, sizeof(out->seccomp), "seccomp=unconfined");
        return 0;
    }
    if (!type || strcmp(type, "Localhost") != 0) {
        snprintf(out->seccomp, sizeof(out->seccomp), "seccomp=builtin");
        return 0;
    }
    plan_where(where, "%s.securityContext.seccompProfile.localhostProfile", field);
    if (!file || file[0] == '/' || !strcmp(file, "..") || !strncmp(file, "../", 3) ||
        strstr(file, "/../") || (strlen(file) > 2 && !strcmp(file + strlen(file) - 3, "/..")))
        return plan_refuse(err, EINVAL, where, "wants a path below %s", directory);
    if (snprintf(out->seccomp, sizeof(out->seccomp), "seccomp=%s/%s", directory, file) >=
        (int)sizeof(out->seccomp))
        return plan_refuse(err, ENAMETOOLONG, where, "is too long");
    return 0;
}

int security_of(const struct plan *plan, const json_t *container, const struct image_config *image,
                const char *field, struct security_plan *out, struct husk_error *err)
{
    const struct contexts contexts = {.pod = json_object_get(plan->spec, "securityContext"),
                                      .own = json_object_get(container, "securityContext")};
    const json_t *escalation = json_object_get(contexts.own, "allowPrivilegeEscalation");
    const char *proc = plan_text(contexts.own, "procMount");
    int ret;

    *out = (struct security_plan){
        .no_new_privileges = json_is_false(escalation),
        .read_only = json_is_true(json_object_get(contexts.own, "readOnlyRootFilesystem")),
        .privileged = json_is_true(json_object_get(contexts.own, "privileged")),
        .unmasked = proc && !strcmp(proc, "Unmasked"),
    };
    choose_user(&contexts, image, out);
    ret = check_not_root(&contexts, image, field, err);
    if (!ret)
        ret = choose_groups(plan, &contexts, out, err);
    if (!ret)
        ret = choose_capabilities(&contexts, field, out, err);
    return ret ? ret : choose_seccomp(plan, &contexts, field, out, err);
}
