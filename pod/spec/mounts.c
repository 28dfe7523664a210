// SPDX-License-Identifier: Apache-2.0
/* Mounts: see mounts.h. No state. */
#include "pod/spec/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/spec/limits.h"
#include "pod/spec/part.h"
#include "pod/spec/volumes.h"

#define SHM_BYTES (64ull << 20)

struct mount {
    char *destination; /* ours */
    json_t *json;
};

struct list {
    struct mount *mounts;
    unsigned count, capacity;
};

static void list_free(struct list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        free(list->mounts[i].destination);
        json_decref(list->mounts[i].json);
    }
    free(list->mounts);
}

/* Takes options, which may be NULL for want of memory. */
static int list_add(struct list *list, const char *destination, const char *type,
                    const char *source, json_t *options, struct husk_error *err)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:o}", "destination", destination, "type", type,
                             "source", source, "options", options);
    char *copy = json ? strdup(destination) : NULL;

    if (!copy || list->count == list->capacity) {
        free(copy);
        json_decref(json);
        return spec_no_memory(err);
    }
    list->mounts[list->count++] = (struct mount){copy, json};
    return 0;
}

static struct mount *list_find(const struct list *list, const char *destination)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (!strcmp(list->mounts[i].destination, destination))
            return &list->mounts[i];
    }
    return NULL;
}

/* config-linux.md, "Default Filesystems", with the options of every engine. A privileged
 * container may write to /sys. */
static int add_system(const struct list *users, uint64_t shm_bytes, bool privileged,
                      struct list *list, struct husk_error *err)
{
    char size[32];
    const struct {
        const char *destination, *type, *source, *options[7];
    } system[] = {
        {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
        {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
        {"/dev/pts",
         "devpts",
         "devpts",
         {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
        {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", size}},
        {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
        {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
        {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
    };
    bool own_dev = list_find(users, "/dev") != NULL;
    int ret = 0;

    snprintf(size, sizeof(size), "size=%llu", (unsigned long long)shm_bytes);
    for (size_t i = 0; i < ARRAY_SIZE(system) && !ret; i++) {
        json_t *options;

        if (list_find(users, system[i].destination) ||
            (own_dev && !strncmp(system[i].destination, "/dev/", 5)))
            continue;
        options = json_array();
        for (size_t j = 0; system[i].options[j] && !ret; j++)
            ret = privileged && !strcmp(system[i].options[j], "ro")
                      ? 0
                      : spec_append(options, json_string(system[i].options[j]), err);
        if (ret)
            json_decref(options);
        else
            ret = list_add(list, system[i].destination, system[i].type, system[i].source, options,
                           err);
    }
    return ret;
}

/* A word of --tmpfs that the kernel's tmpfs or mount(8) knows. */
static bool is_tmpfs_option(const char *word)
{
    static const char *const flags[] = {"ro",       "rw",         "exec",        "noexec",
                                        "suid",     "nosuid",     "dev",         "nodev",
                                        "atime",    "noatime",    "diratime",    "nodiratime",
                                        "relatime", "norelatime", "strictatime", "nostrictatime",
                                        "sync",     "async",      "dirsync",     "defaults"};
    static const char *const values[] = {
        "size=", "mode=", "uid=", "gid=", "mpol=", "nr_blocks=", "nr_inodes="};

    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        if (!strcmp(word, flags[i]))
            return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        if (!strncmp(word, values[i], strlen(values[i])) && word[strlen(values[i])])
            return true;
    }
    return false;
}

/* The later of "exec" and "noexec" counts, for the agent as for mount(8). */
static int tmpfs_options(const char *value, char *words, json_t *options, struct husk_error *err)
{
    static const char *const first[] = {"noexec", "nosuid", "nodev"};
    int ret = 0;

    for (size_t i = 0; i < ARRAY_SIZE(first) && !ret; i++)
        ret = spec_append(options, json_string(first[i]), err);
    while (words && !ret) {
        const char *word = strsep(&words, ",");

        if (!is_tmpfs_option(word))
            return spec_refuse(err, EINVAL, "--tmpfs", value, "\"%.60s\" is no option of a tmpfs",
                               word);
        ret = spec_append_text(options, "--tmpfs", word, err);
    }
    return ret;
}

static int add_tmpfs(const char *value, const struct spec *spec, struct list *list,
                     struct husk_error *err)
{
    char destination[SPEC_PATH_SIZE], *copy = strdup(value), *words = copy;
    json_t *options = json_array();
    const char *path;
    int ret = copy && options ? 0 : spec_no_memory(err);

    if (!ret) {
        path = strsep(&words, ":");
        ret = volumes_check_destination("--tmpfs", value, path, destination, err);
    }
    if (!ret && (volumes_find(spec, destination) || list_find(list, destination)))
        ret = spec_refuse(err, EINVAL, "--tmpfs", value, "there is another mount at this place");
    if (!ret)
        ret = tmpfs_options(value, words, options, err);
    if (ret)
        json_decref(options);
    else
        ret = list_add(list, destination, "tmpfs", "tmpfs", options, err);
    free(copy);
    return ret;
}

static json_t *bind_options(bool readonly)
{
    return readonly ? json_pack("[s,s,s]", "rbind", "rprivate", "ro")
                    : json_pack("[s,s]", "rbind", "rprivate");
}

static int add_volumes(const struct spec *spec, struct list *list, struct husk_error *err)
{
    char source[128];
    int ret = 0;

    for (unsigned i = 0; i < spec->volume_count && !ret; i++) {
        const struct spec_volume *volume = &spec->volumes[i];

        if (volume->kind == SPEC_VOLUME_FILE)
            continue;
        snprintf(source, sizeof(source), "%s/%s", HUSK_AGENT_VOLUMES, volume->name);
        ret = list_add(list, volume->destination, "bind", source, bind_options(volume->readonly),
                       err);
    }
    return ret;
}

/* Those of a pod; they may be where the system's are. */
static int add_members(const struct spec_member *member, const struct spec *spec, struct list *list,
                       struct husk_error *err)
{
    char destination[SPEC_PATH_SIZE];
    int ret = 0;

    for (unsigned i = 0; member && i < member->mount_count && !ret; i++) {
        const struct spec_mount *mount = &member->mounts[i];

        ret = volumes_check_destination("mount", mount->destination, mount->destination,
                                        destination, err);
        if (!ret && (volumes_find(spec, destination) || list_find(list, destination)))
            ret = spec_refuse(err, EINVAL, "mount", mount->destination,
                              "there is another mount at this place");
        if (!ret)
            ret = list_add(list, destination, "bind", mount->source, bind_options(mount->readonly),
                           err);
    }
    if (!ret && member && !list_find(list, "/dev/shm") && !list_find(list, "/dev"))
        ret = list_add(list, "/dev/shm", "bind", HUSK_AGENT_SHM,
                       json_pack("[s,s,s,s,s]", "rbind", "rprivate", "nosuid", "noexec", "nodev"),
                       err);
    return ret;
}

static int add_files(const struct spec *spec, bool readonly, struct list *list,
                     struct husk_error *err)
{
    char source[64], destination[32];
    int ret = 0;

    for (unsigned i = 0; i < SPEC_FILES && !ret; i++) {
        if (!spec->files[i].text)
            continue;
        snprintf(source, sizeof(source), "%s/%s", HUSK_AGENT_FILES, spec->files[i].name);
        snprintf(destination, sizeof(destination), "/etc/%s", spec->files[i].name);
        if (list_find(list, destination))
            continue;
        ret = list_add(list, destination, "bind", source, bind_options(readonly), err);
    }
    return ret;
}

static int compare(const void *a, const void *b)
{
    const struct mount *left = a, *right = b;
    unsigned depths[] = {volumes_depth(left->destination), volumes_depth(right->destination)};

    if (depths[0] != depths[1])
        return depths[0] < depths[1] ? -1 : 1;
    return strcmp(left->destination, right->destination);
}

static int parse_shm(const char *text, uint64_t *bytes, struct husk_error *err)
{
    *bytes = SHM_BYTES;
    if (!text)
        return 0;
    if (limits_parse_size(text, bytes) || *bytes > INT64_MAX)
        return spec_refuse(err, EINVAL, "--shm-size", text, "is not a size such as 64m or 1.5g");
    if (*bytes == 0)
        return spec_refuse(err, ERANGE, "--shm-size", text, "must be more than 0");
    return 0;
}

static int collect(const struct spec_options *options, const struct spec *spec, struct list *users,
                   struct list *system, struct husk_error *err)
{
    uint64_t shm_bytes;
    int ret = parse_shm(options->shm_size, &shm_bytes, err);

    for (unsigned i = 0; i < options->tmpfs.count && !ret; i++)
        ret = add_tmpfs(options->tmpfs.words[i], spec, users, err);
    if (!ret)
        ret = add_volumes(spec, users, err);
    if (!ret)
        ret = add_files(spec, options->read_only, users, err);
    if (!ret)
        ret = add_members(options->member, spec, users, err);
    if (!ret)
        ret = add_system(users, shm_bytes, options->member && options->member->privileged, system,
                         err);
    if (!ret)
        qsort(users->mounts, users->count, sizeof(users->mounts[0]), compare);
    return ret;
}

int mounts_json(const struct spec_options *options, const struct spec *spec, json_t **out,
                struct husk_error *err)
{
    const unsigned tmpfs_max = 64, system_max = 16;
    struct list users = {.capacity = tmpfs_max + 2 * SPEC_VOLUMES_MAX + SPEC_FILES + 1};
    struct list system = {.capacity = system_max};
    json_t *array = json_array();
    int ret = 0;

    if (options->member && options->member->mount_count > SPEC_VOLUMES_MAX)
        ret = spec_refuse(err, E2BIG, "mount", NULL, "there are more than %u", SPEC_VOLUMES_MAX);
    if (options->tmpfs.count > tmpfs_max)
        ret = spec_refuse(err, E2BIG, "--tmpfs", NULL, "there are more than %u", tmpfs_max);
    users.mounts = calloc(users.capacity, sizeof(*users.mounts));
    system.mounts = calloc(system.capacity, sizeof(*system.mounts));
    if (!array || !users.mounts || !system.mounts)
        ret = spec_no_memory(err);
    else if (!ret)
        ret = collect(options, spec, &users, &system, err);
    for (unsigned i = 0; i < system.count && !ret; i++)
        ret = spec_append(array, json_incref(system.mounts[i].json), err);
    for (unsigned i = 0; i < users.count && !ret; i++)
        ret = spec_append(array, json_incref(users.mounts[i].json), err);
    list_free(&users);
    list_free(&system);
    if (ret) {
        json_decref(array);
        return ret;
    }
    *out = array;
    return 0;
}
