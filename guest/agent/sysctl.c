// SPDX-License-Identifier: Apache-2.0
/* Kernel parameters: see sysctl.h. No state. */
#include "guest/agent/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"

#define NAME_MAX_LEN 200

/* sysctl(8): with slashes where the first separator is one, else dots separate. */
static void as_path(const char *name, char *out, size_t size)
{
    const char *first = strpbrk(name, "./");
    bool dotted = !first || *first == '.';
    size_t i = 0;

    for (; name[i] && i + 1 < size; i++) {
        out[i] = name[i];
        if (dotted && name[i] == '.')
            out[i] = '/';
        else if (dotted && name[i] == '/')
            out[i] = '.';
    }
    out[i] = '\0';
}

static bool is_one_of(const char *name, const char *const *paths, size_t count)
{
    char path[NAME_MAX_LEN + 1];

    as_path(name, path, sizeof(path));
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(paths[i]);

        if (!strcmp(path, paths[i]) || (paths[i][len - 1] == '/' && !strncmp(path, paths[i], len)))
            return true;
    }
    return false;
}

bool sysctl_in_network(const char *name)
{
    static const char *const paths[] = {"net/"};

    return is_one_of(name, paths, ARRAY_SIZE(paths));
}

bool sysctl_in_ipc(const char *name)
{
    static const char *const paths[] = {"kernel/msgmax", "kernel/msgmnb",          "kernel/msgmni",
                                        "kernel/sem",    "kernel/shmall",          "kernel/shmmax",
                                        "kernel/shmmni", "kernel/shm_rmid_forced", "fs/mqueue/"};

    return is_one_of(name, paths, ARRAY_SIZE(paths));
}

bool sysctl_in_uts(const char *name)
{
    static const char *const paths[] = {"kernel/domainname", "kernel/hostname"};

    return is_one_of(name, paths, ARRAY_SIZE(paths));
}

bool sysctl_is_plain(const char *name)
{
    char path[NAME_MAX_LEN + 1];

    if (!name[0] || strlen(name) > NAME_MAX_LEN)
        return false;
    as_path(name, path, sizeof(path));
    return path[0] != '/' && !strstr(path, "//") && !strstr(path, "..");
}

static int check(const struct node *member, const struct oci_config *config, struct husk_error *err)
{
    const char *name = member->key;

    if (!sysctl_is_plain(name))
        return node_error(member, EINVAL, err, "is not the name of a parameter");
    if (sysctl_in_network(name) && config->namespaces[OCI_NS_NETWORK].given)
        return 0;
    if (sysctl_in_ipc(name) && config->namespaces[OCI_NS_IPC].given)
        return 0;
    if (sysctl_in_uts(name) && config->namespaces[OCI_NS_UTS].given)
        return 0;
    return node_error(member, EINVAL, err, "belongs to no namespace of the container");
}

int sysctl_parse(const struct node *node, struct oci_config *out, struct husk_error *err)
{
    struct node object;
    const char *key;
    json_t *value;
    int ret = node_object(node, "sysctl", &object, err);

    if (ret || !node_count(&object))
        return ret;
    if (node_count(&object) > OCI_SYSCTLS_MAX)
        return node_error(&object, E2BIG, err, "has more than %d members", OCI_SYSCTLS_MAX);
    out->sysctls = calloc(node_count(&object), sizeof(*out->sysctls));
    if (!out->sysctls)
        return node_error(&object, ENOMEM, err, "no memory");
    json_object_foreach((json_t *)object.json, key, value)
    {
        struct node member = {.json = value, .up = &object, .key = key};
        struct oci_sysctl *sysctl = &out->sysctls[out->sysctl_count];

        ret = check(&member, out, err);
        if (!ret)
            ret = node_text_value(&member, 0, 1024, &sysctl->value, err);
        if (ret)
            return ret;
        sysctl->name = key;
        out->sysctl_count++;
    }
    return 0;
}

int sysctl_write(const struct oci_sysctl *sysctl, const char *field, struct husk_error *err)
{
    char path[NAME_MAX_LEN + 1], file[NAME_MAX_LEN + 16], where[NAME_MAX_LEN + 64];
    int fd, ret;

    as_path(sysctl->name, path, sizeof(path));
    snprintf(file, sizeof(file), "/proc/sys/%s", path);
    snprintf(where, sizeof(where), "%s.%s", field, sysctl->name);
    fd = open(file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_set(err, errno, where, "cannot be set", NULL);
    ret = write_full(fd, sysctl->value, strlen(sysctl->value));
    close(fd);
    return ret ? error_set(err, -ret, where, "cannot be set", NULL) : 0;
}
