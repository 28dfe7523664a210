// SPDX-License-Identifier: Apache-2.0
/* The "linux" member of a config.json (config-linux.md), but for resources and seccomp. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "guest/agent/oci.h"
#include "guest/agent/seccomp.h"
#include "guest/agent/sysctl.h"

/* config-linux.md, "Namespaces". */
static int parse_namespaces(const struct node *node, struct oci_config *out, struct husk_error *err)
{
    static const char *const names[] = {
        [OCI_NS_USER] = "user",   [OCI_NS_PID] = "pid",       [OCI_NS_NETWORK] = "network",
        [OCI_NS_IPC] = "ipc",     [OCI_NS_UTS] = "uts",       [OCI_NS_CGROUP] = "cgroup",
        [OCI_NS_MOUNT] = "mount", [OCI_NS_MOUNT + 1] = "time"};
    struct node array;
    int ret = node_array(node, "namespaces", ARRAY_SIZE(names), &array, err);

    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct node item, type, path;
        unsigned which = 0;

        ret = node_object_at(&array, i, &item, err);
        type = node_member(&item, "type");
        path = node_member(&item, "path");
        if (!ret)
            ret = node_need(&type, err);
        if (!ret)
            ret = node_choice(&item, "type", names, ARRAY_SIZE(names), &which, NULL, err);
        if (ret)
            break;
        if (which >= OCI_NAMESPACES)
            return node_error(&type, ENOTSUP, err, "this agent does not do %s namespaces",
                              names[which]);
        if (out->namespaces[which].given)
            return node_error(&type, EINVAL, err, "%s is there twice", names[which]);
        out->namespaces[which].given = true;
        ret = node_text(&item, "path", 0, OCI_PATH_MAX, &out->namespaces[which].path, err);
        if (!ret && out->namespaces[which].path && out->namespaces[which].path[0] != '/') {
            if (out->namespaces[which].path[0])
                return node_error(&path, EINVAL, err, "is not an absolute path");
            out->namespaces[which].path = NULL;
        }
        if (!ret && which == OCI_NS_MOUNT && out->namespaces[which].path)
            return node_error(&path, ENOTSUP, err, "a root file system needs a new one");
        /* The other namespaces would belong to another user namespace than the process. */
        if (!ret && which == OCI_NS_USER && out->namespaces[which].path)
            return node_error(&path, ENOTSUP, err, "a user namespace cannot be shared");
    }
    return ret;
}

static int parse_id_maps(const struct node *node, const char *key, struct oci_id_map **out,
                         size_t *count, struct husk_error *err)
{
    struct node array;
    int ret = node_array(node, key, OCI_ID_MAPS_MAX, &array, err);

    if (ret || !array.json)
        return ret;
    *out = calloc(node_count(&array) + 1, sizeof(**out));
    if (!*out)
        return node_error(&array, ENOMEM, err, "no memory");
    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        uint64_t inside = 0, outside = 0, size = 0;
        struct node item;

        ret = node_object_at(&array, i, &item, err);
        if (!ret)
            ret = node_unsigned(&item, "containerID", UINT32_MAX - 1, &inside, NULL, err);
        if (!ret)
            ret = node_unsigned(&item, "hostID", UINT32_MAX - 1, &outside, NULL, err);
        if (!ret)
            ret = node_unsigned(&item, "size", UINT32_MAX, &size, NULL, err);
        if (!ret && (size == 0 || inside + size > UINT32_MAX || outside + size > UINT32_MAX))
            ret = node_error(&item, ERANGE, err, "is empty, or leaves 32 bits");
        (*out)[(*count)++] =
            (struct oci_id_map){(uint32_t)inside, (uint32_t)outside, (uint32_t)size};
    }
    return ret;
}

/* config-linux.md, "User namespace mappings": for a new namespace, which is useless without. */
static int parse_user_namespace(const struct node *node, struct oci_config *out,
                                struct husk_error *err)
{
    const struct oci_namespace *user = &out->namespaces[OCI_NS_USER];
    struct node maps = node_member(node, "uidMappings");
    int ret = parse_id_maps(node, "uidMappings", &out->uid_maps, &out->uid_map_count, err);

    if (!ret)
        ret = parse_id_maps(node, "gidMappings", &out->gid_maps, &out->gid_map_count, err);
    if (ret)
        return ret;
    if (user->given && !user->path && (!out->uid_map_count || !out->gid_map_count))
        return node_error(&maps, EINVAL, err, "a new user namespace needs uid and gid mappings");
    if ((!user->given || user->path) && (out->uid_map_count || out->gid_map_count))
        return node_error(&maps, EINVAL, err, "there is no new user namespace to map");
    return 0;
}

static int parse_device(const struct node *node, struct oci_device *out, struct husk_error *err)
{
    static const char *const types[] = {"c", "b", "u", "p"};
    static const mode_t modes[] = {S_IFCHR, S_IFBLK, S_IFCHR, S_IFIFO};
    struct node member = node_member(node, "type"), path = node_member(node, "path");
    uint64_t mode = 0666, uid = 0, gid = 0, numbers[2] = {0, 0};
    bool given[2] = {false, false};
    unsigned type = 0;
    int ret = node_need_text(node, "path", 2, OCI_PATH_MAX, &out->path, err);

    if (!ret)
        ret = node_need(&member, err);
    if (!ret)
        ret = node_choice(node, "type", types, ARRAY_SIZE(types), &type, NULL, err);
    if (!ret)
        ret = node_unsigned(node, "major", 0xfff, &numbers[0], &given[0], err);
    if (!ret)
        ret = node_unsigned(node, "minor", 0xfffff, &numbers[1], &given[1], err);
    if (!ret)
        ret = node_unsigned(node, "fileMode", 0177777, &mode, NULL, err);
    if (!ret)
        ret = node_unsigned(node, "uid", UINT32_MAX - 1, &uid, NULL, err);
    if (!ret)
        ret = node_unsigned(node, "gid", UINT32_MAX - 1, &gid, NULL, err);
    if (ret)
        return ret;
    if (out->path[0] != '/')
        return node_error(&path, EINVAL, err, "is not an absolute path");
    if (modes[type] != S_IFIFO && (!given[0] || !given[1]))
        return node_error(node, EINVAL, err, "needs major and minor");
    out->type = modes[type];
    out->major = (unsigned)numbers[0];
    out->minor = (unsigned)numbers[1];
    out->mode = (mode_t)mode & 07777;
    out->uid = (uid_t)uid;
    out->gid = (gid_t)gid;
    return 0;
}

static int parse_devices(const struct node *node, struct oci_config *out, struct husk_error *err)
{
    struct node array;
    int ret = node_array(node, "devices", OCI_DEVICES_MAX, &array, err);

    if (ret || !array.json)
        return ret;
    out->devices = calloc(node_count(&array) + 1, sizeof(*out->devices));
    if (!out->devices)
        return node_error(&array, ENOMEM, err, "no memory");
    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct node item;

        ret = node_object_at(&array, i, &item, err);
        if (!ret)
            ret = parse_device(&item, &out->devices[out->device_count++], err);
    }
    return ret;
}

static int parse_paths(const struct node *node, const char *key, const char ***out,
                       struct husk_error *err)
{
    struct node array = node_member(node, key);
    int ret = node_texts(node, key, OCI_STRINGS_MAX, OCI_PATH_MAX, out, err);

    for (size_t i = 0; !ret && *out && (*out)[i]; i++) {
        struct node element = node_element(&array, i);

        if ((*out)[i][0] != '/')
            ret = node_error(&element, EINVAL, err, "is not an absolute path");
    }
    return ret;
}

static int parse_propagation(const struct node *node, struct oci_config *out,
                             struct husk_error *err)
{
    static const char *const words[] = {"shared",  "slave",  "private",  "unbindable",
                                        "rshared", "rslave", "rprivate", "runbindable"};
    static const uint64_t flags[] = {MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE};
    bool given = false;
    unsigned word = 0;
    int ret = node_choice(node, "rootfsPropagation", words, ARRAY_SIZE(words), &word, &given, err);

    if (!ret && given)
        out->root_propagation = flags[word % 4] | (word >= 4 ? MS_REC : 0);
    return ret;
}

/* Named one by one: a config that asks for these must not run without them. */
static int refuse_members(const struct node *node, struct husk_error *err)
{
    static const char *const keys[] = {"intelRdt",    "mountLabel", "personality",
                                       "timeOffsets", "netDevices", "memoryPolicy"};
    int ret = 0;

    for (size_t i = 0; i < ARRAY_SIZE(keys) && !ret; i++)
        ret = node_unsupported(node, keys[i], err);
    return ret;
}

/* A path below the agent's cgroup, without "..". */
static int parse_cgroups_path(const struct node *node, struct oci_config *out,
                              struct husk_error *err)
{
    struct node member = node_member(node, "cgroupsPath");
    int ret = node_text(node, "cgroupsPath", 0, 1024, &out->cgroups_path, err);
    const char *at = out->cgroups_path;

    if (ret || !at)
        return ret;
    while (*at) {
        size_t len = strcspn(at, "/");

        if ((len == 1 && at[0] == '.') || (len == 2 && !strncmp(at, "..", 2)) || len > 255)
            return node_error(&member, EINVAL, err, "has a component that is no name");
        at += len + (at[len] == '/');
    }
    if (strspn(out->cgroups_path, "/") == strlen(out->cgroups_path))
        out->cgroups_path = NULL;
    return 0;
}

int oci_parse_linux(const struct node *node, struct oci_config *out, struct husk_error *err)
{
    struct node linux_node, resources, mount;
    int ret = node_object(node, "linux", &linux_node, err);

    if (!ret)
        ret = refuse_members(&linux_node, err);
    if (!ret)
        ret = parse_namespaces(&linux_node, out, err);
    if (!ret)
        ret = parse_user_namespace(&linux_node, out, err);
    if (!ret)
        ret = parse_devices(&linux_node, out, err);
    if (!ret)
        ret = parse_cgroups_path(&linux_node, out, err);
    if (!ret)
        ret = node_object(&linux_node, "resources", &resources, err);
    if (!ret)
        ret = oci_parse_resources(&resources, false, &out->resources, err);
    if (!ret)
        ret = seccomp_parse(&linux_node, &out->seccomp, &out->seccomp_flags, err);
    if (!ret)
        ret = parse_propagation(&linux_node, out, err);
    if (!ret)
        ret = parse_paths(&linux_node, "maskedPaths", &out->masked_paths, err);
    if (!ret)
        ret = parse_paths(&linux_node, "readonlyPaths", &out->readonly_paths, err);
    if (!ret)
        ret = sysctl_parse(&linux_node, out, err);
    /* Without one of its own, a container would change the agent's mounts. */
    mount = node_member(&linux_node, "namespaces");
    if (!ret && !out->namespaces[OCI_NS_MOUNT].given)
        ret = node_error(&mount, EINVAL, err, "has no mount namespace");
    return ret;
}
