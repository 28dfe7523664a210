// SPDX-License-Identifier: Apache-2.0
/* The top of a config.json: see oci.h. The rest is in oci_process.c, oci_mounts.c and oci_linux.c.
 */
#include "guest/agent/oci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* config.md, "Specification version": semantic versioning; what 1.x adds is optional. */
static int check_version(const struct node *node, struct husk_error *err)
{
    struct node member = node_member(node, "ociVersion");
    const char *version = NULL;
    int ret = node_need_text(node, "ociVersion", 1, 64, &version, err);

    if (ret)
        return ret;
    if (strncmp(version, "1.", 2) != 0)
        return node_error(&member, ENOTSUP, err, "this agent reads versions 1.x, not %s", version);
    return 0;
}

/* config.md, "Root". */
static int parse_root(const struct node *node, bool need_root, struct oci_config *out,
                      struct husk_error *err)
{
    struct node root;
    int ret = node_object(node, "root", &root, err);

    if (!ret && need_root)
        ret = node_need(&root, err);
    if (ret || !root.json)
        return ret;
    ret = need_root ? node_need_text(&root, "path", 1, OCI_PATH_MAX, &out->root_path, err)
                    : node_text(&root, "path", 0, OCI_PATH_MAX, &out->root_path, err);
    if (!ret)
        ret = node_flag(&root, "readonly", &out->root_readonly, err);
    return ret;
}

/* Both need a namespace of the container's own, or they would change the whole guest's. */
static int parse_names(const struct node *node, struct oci_config *out, struct husk_error *err)
{
    struct node member;
    int ret = node_text(node, "hostname", 0, 64, &out->hostname, err);

    if (!ret)
        ret = node_text(node, "domainname", 0, 64, &out->domainname, err);
    if (ret || out->namespaces[OCI_NS_UTS].given)
        return ret;
    member = node_member(node, out->hostname ? "hostname" : "domainname");
    if (member.json)
        return node_error(&member, EINVAL, err, "needs a uts namespace in linux.namespaces");
    return 0;
}

/* Platforms that this is not, and programs that would run beside the agent. */
static int refuse_others(const struct node *node, struct husk_error *err)
{
    static const char *const foreign[] = {"solaris", "windows", "vm", "zos"};
    static const char *const hooks[] = {"prestart",       "createRuntime", "createContainer",
                                        "startContainer", "poststart",     "poststop"};
    struct node member;
    int ret = 0;

    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]) && !ret; i++)
        ret = node_unsupported(node, foreign[i], err);
    if (!ret)
        ret = node_object(node, "hooks", &member, err);
    for (size_t i = 0; !ret && member.json && i < sizeof(hooks) / sizeof(hooks[0]); i++)
        ret = node_unsupported(&member, hooks[i], err);
    return ret;
}

/* config.md, "Annotations": texts by names. */
static int check_annotations(const struct node *node, struct husk_error *err)
{
    struct node annotations;
    const char *key;
    json_t *value;
    int ret = node_object(node, "annotations", &annotations, err);

    if (ret || !annotations.json)
        return ret;
    json_object_foreach((json_t *)annotations.json, key, value)
    {
        struct node member = {.json = value, .up = &annotations, .key = key};

        if (!key[0] || !json_is_string(value))
            return node_error(&member, EINVAL, err, "wants a name and a text");
    }
    return 0;
}

static int parse_all(const struct node *node, bool need_root, struct oci_config *out,
                     struct husk_error *err)
{
    struct node process;
    int ret = check_version(node, err);

    if (!ret)
        ret = refuse_others(node, err);
    if (!ret)
        ret = check_annotations(node, err);
    if (!ret)
        ret = parse_root(node, need_root, out, err);
    if (!ret)
        ret = node_object(node, "process", &process, err);
    if (!ret)
        ret = node_need(&process, err);
    if (!ret)
        ret = oci_parse_process(&process, &out->process, err);
    if (!ret)
        ret = oci_parse_mounts(node, out, err);
    if (!ret)
        ret = oci_parse_linux(node, out, err);
    if (!ret)
        ret = parse_names(node, out, err);
    return ret;
}

int oci_parse(const struct node *node, bool need_root, struct oci_config *out,
              struct husk_error *err)
{
    int ret;

    memset(out, 0, sizeof(*out));
    out->document = json_incref((json_t *)node->json);
    ret = parse_all(node, need_root, out, err);
    if (ret)
        oci_free(out);
    return ret;
}

void oci_free(struct oci_config *config)
{
    oci_free_process(&config->process);
    for (size_t i = 0; i < config->mount_count; i++)
        free(config->mounts[i].options.data);
    free(config->mounts);
    free(config->uid_maps);
    free(config->gid_maps);
    free(config->devices);
    free(config->masked_paths);
    free(config->readonly_paths);
    free(config->sysctls);
    free(config->seccomp.filter);
    oci_free_resources(&config->resources);
    json_decref(config->document);
    memset(config, 0, sizeof(*config));
}
