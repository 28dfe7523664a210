// SPDX-License-Identifier: Apache-2.0
/* The mounts of a config.json (config.md, "Mounts" and "Linux mount options"). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/checked.h"
#include "guest/agent/oci.h"

#define OPTIONS_MAX 64

/* Options that are attributes of the mount; those of access times are one field of four values. */
static const struct attribute {
    const char *name;
    uint64_t set, clear;
} attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"norelatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
};

static const struct propagation {
    const char *name;
    uint64_t flag;
} propagations[] = {
    {"shared", MS_SHARED},
    {"slave", MS_SLAVE},
    {"private", MS_PRIVATE},
    {"unbindable", MS_UNBINDABLE},
};

static bool find_attribute(const char *word, struct oci_mount_options *out)
{
    int last = word[0] == 'r' ? 1 : 0;

    for (int recursive = 0; recursive <= last; recursive++) {
        for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
            const struct attribute *attribute = &attributes[i];
            uint64_t *set = recursive ? &out->recursive_set : &out->attr_set;
            uint64_t *clear = recursive ? &out->recursive_clear : &out->attr_clear;

            if (strcmp(word + recursive, attribute->name) != 0)
                continue;
            *set = (*set & ~(attribute->set | attribute->clear)) | attribute->set;
            *clear = (*clear & ~attribute->set) | attribute->clear;
            return true;
        }
    }
    return false;
}

static bool find_propagation(const char *word, struct oci_mount_options *out)
{
    bool recursive = word[0] == 'r';

    for (size_t i = 0; i < ARRAY_SIZE(propagations); i++) {
        if (strcmp(word + recursive, propagations[i].name) == 0) {
            out->propagation = propagations[i].flag;
            out->propagation_recursive = recursive;
            return true;
        }
    }
    return false;
}

/* What is none of these is for the file system. */
static bool find_other(const char *word, struct oci_mount_options *out)
{
    if (!strcmp(word, "bind")) {
        out->bind = true;
    } else if (!strcmp(word, "rbind")) {
        out->bind = out->recursive_bind = true;
    } else {
        /* Words that mean what happens anyway. */
        return !strcmp(word, "defaults") || !word[0] || !strcmp(word, "nomand") ||
               !strcmp(word, "async") || !strcmp(word, "noiversion") || !strcmp(word, "loud");
    }
    return true;
}

/* Where the meaning is another than any file system's, and would be lost. */
static bool is_unsupported(const char *word)
{
    static const char *const words[] = {"remount", "idmap",    "ridmap",
                                        "mand",    "iversion", "tmpcopyup"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!strcmp(word, words[i]))
            return true;
    }
    return false;
}

static int parse_options(const struct node *mount, struct oci_mount_options *out,
                         struct husk_error *err)
{
    struct node member = node_member(mount, "options");
    size_t kept = 0;
    int ret = node_texts(mount, "options", OPTIONS_MAX, OCI_PATH_MAX, &out->data, err);

    for (size_t i = 0; !ret && out->data && out->data[i]; i++) {
        struct node element = node_element(&member, i);
        const char *word = out->data[i];

        if (is_unsupported(word))
            ret = node_error(&element, ENOTSUP, err, "this agent does not do \"%s\"", word);
        else if (!find_attribute(word, out) && !find_propagation(word, out) &&
                 !find_other(word, out))
            out->data[kept++] = word;
    }
    if (!ret && out->data)
        out->data[kept] = NULL;
    return ret;
}

static int parse_mount(const struct node *node, struct oci_mount *out, struct husk_error *err)
{
    struct node destination = node_member(node, "destination"), source;
    int ret = node_need_text(node, "destination", 1, OCI_PATH_MAX, &out->destination, err);

    if (!ret)
        ret = node_text(node, "type", 0, 64, &out->type, err);
    if (!ret)
        ret = node_text(node, "source", 0, OCI_PATH_MAX, &out->source, err);
    if (!ret)
        ret = node_unsupported(node, "uidMappings", err);
    if (!ret)
        ret = node_unsupported(node, "gidMappings", err);
    if (!ret)
        ret = parse_options(node, &out->options, err);
    if (ret)
        return ret;
    /* config.md: absolute, but older engines wrote relative ones, which start at the root. */
    if (!strcmp(out->destination, "/"))
        return node_error(&destination, EINVAL, err, "is the root itself");
    if (!out->type || !strcmp(out->type, "bind") || !strcmp(out->type, "none"))
        out->options.bind = true;
    source = node_member(node, "source");
    if (out->options.bind && (!out->source || !out->source[0]))
        return node_error(&source, EINVAL, err, "is missing");
    if (out->options.bind && out->options.data && out->options.data[0]) {
        struct node options = node_member(node, "options");

        return node_error(&options, EINVAL, err, "\"%s\" means nothing for a bind mount",
                          out->options.data[0]);
    }
    return 0;
}

int oci_parse_mounts(const struct node *node, struct oci_config *out, struct husk_error *err)
{
    struct node array;
    int ret = node_array(node, "mounts", OCI_MOUNTS_MAX, &array, err);

    if (ret || !array.json)
        return ret;
    out->mounts = calloc(node_count(&array) + 1, sizeof(*out->mounts));
    if (!out->mounts)
        return node_error(&array, ENOMEM, err, "no memory");
    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct node element;

        ret = node_object_at(&array, i, &element, err);
        if (!ret) {
            out->mount_count++;
            ret = parse_mount(&element, &out->mounts[i], err);
        }
    }
    return ret;
}
