// SPDX-License-Identifier: Apache-2.0
/* The directory of all containers: opening it, and finding one. See store.h. */
#include "pod/supervisor/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/supervisor/files.h"
#include "pod/supervisor/store_internal.h"

#define CONTAINERS_MAX 65536u
#define ID_DIGITS_MIN  4u

static const char version_text[] = "husk-containers 1\n";

int container_store_default(char *path, size_t size, struct husk_error *err)
{
    const char *given = secure_getenv("HUSK_STATE"), *data = secure_getenv("XDG_DATA_HOME");
    const char *home = secure_getenv("HOME");
    int len;

    if (given && given[0])
        len = snprintf(path, size, "%s", given);
    else if (geteuid() == 0)
        len = snprintf(path, size, "/var/lib/husk/containers");
    else if (data && data[0] == '/')
        len = snprintf(path, size, "%s/husk/containers", data);
    else if (home && home[0] == '/')
        len = snprintf(path, size, "%s/.local/share/husk/containers", home);
    else
        return error_set(err, ENOENT, "HOME", "is not set",
                         "HUSK_STATE names the containers' directory");
    if (len < 0 || (size_t)len >= size)
        return error_set(err, ENAMETOOLONG, "the containers' directory",
                         "has a name that is too long", NULL);
    return 0;
}

int store_flock(int fd, int how)
{
    int ret;

    do
        ret = flock(fd, how);
    while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

int store_temp_name(const char *prefix, char out[STORE_TEMP_BYTES], struct husk_error *err)
{
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_set(err, errno, NULL, "has no random name for a directory", NULL);
    snprintf(out, STORE_TEMP_BYTES, "%s%016llx", prefix, (unsigned long long)random);
    return 0;
}

/* Every missing directory of a path, private to this user. */
static int make_path(const char *path)
{
    char part[4096];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i])
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static DIR *list_directory(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);

    if (!list && fd >= 0)
        close_fd(&fd);
    return list;
}

/* Whether nothing is there but what somebody who makes a store at this moment has put there. */
static bool is_empty(int dir)
{
    DIR *list = list_directory(dir);
    struct dirent *entry;
    bool empty = list != NULL;

    while (list && empty && (entry = readdir(list)))
        empty = entry->d_name[0] == '.' || !strcmp(entry->d_name, STORE_LOCK) ||
                !strcmp(entry->d_name, STORE_VERSION);
    if (list)
        closedir(list);
    return empty;
}

static int make_store(struct container_store *store, struct husk_error *err)
{
    char name[STORE_TEMP_BYTES];
    int ret;

    if (!is_empty(store->dir))
        return error_set(err, ENOTEMPTY, store->path, "is not a directory for containers",
                         "it has other files in it");
    ret = store_temp_name(STORE_NEW_PREFIX, name, err);
    if (ret)
        return ret;
    ret = files_write(store->dir, name, version_text, sizeof(version_text) - 1);
    if (ret == 0 && renameat(store->dir, name, store->dir, STORE_VERSION) < 0)
        ret = -errno;
    return ret ? error_set(err, -ret, store->path, "cannot be made", NULL) : 0;
}

static int check_store(struct container_store *store, bool create, struct husk_error *err)
{
    struct stat st;
    char *text;
    size_t len;
    int ret;

    if (fstat(store->dir, &st) < 0)
        return error_set(err, errno, store->path, "cannot be read", NULL);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return error_set(err, EPERM, store->path, "is not a safe place for containers",
                         "it must belong to you, and nobody else may write to it");
    ret = read_file_at(store->dir, STORE_VERSION, 256, &text, &len);
    if (ret == -ENOENT && create)
        return make_store(store, err);
    if (ret == -ENOENT)
        return error_set(err, ENOENT, store->path, "is not a directory for containers",
                         "it has no file `version`");
    if (ret)
        return error_set(err, -ret, store->path, "has a file `version` that cannot be read", NULL);
    if (strcmp(text, version_text) != 0)
        ret = error_set(err, ENOTSUP, store->path, "belongs to another version of husk",
                        "this one wants \"%.*s\"", (int)sizeof(version_text) - 2, version_text);
    free(text);
    return ret;
}

int container_store_open(const char *path, bool create, struct container_store **out,
                         struct husk_error *err)
{
    struct container_store *store = calloc(1, sizeof(*store));
    int ret = 0;

    if (!store)
        return error_set(err, ENOMEM, path, "cannot be opened", NULL);
    store->dir = store->lock = -1;
    if (snprintf(store->path, sizeof(store->path), "%s", path) >= (int)sizeof(store->path))
        ret = -ENAMETOOLONG;
    if (ret == 0 && create)
        ret = make_path(path);
    if (ret == 0) {
        store->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ret = store->dir < 0 ? -errno : 0;
    }
    if (ret)
        error_set(err, -ret, path, "cannot be opened as the containers' directory", NULL);
    if (ret == 0)
        ret = check_store(store, create, err);
    if (ret == 0) {
        store->lock =
            openat(store->dir, STORE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (store->lock < 0)
            ret = error_set(err, errno, path, "has a file `lock` that cannot be opened", NULL);
    }
    if (ret) {
        container_store_close(store);
        return ret;
    }
    *out = store;
    return 0;
}

void container_store_close(struct container_store *store)
{
    if (!store)
        return;
    close_fd(&store->lock);
    close_fd(&store->dir);
    free(store);
}

const char *container_store_path(const struct container_store *store)
{
    return store->path;
}

/* Finding. */

struct names {
    char (*list)[CONTAINER_NAME_BYTES];
    unsigned count, space;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add_name(struct names *names, const char *name)
{
    if (names->count == names->space) {
        unsigned space = names->space ? 2 * names->space : 32;
        void *more =
            space > CONTAINERS_MAX ? NULL : reallocarray(names->list, space, sizeof(*names->list));

        if (!more)
            return -ENOMEM;
        names->list = more;
        names->space = space;
    }
    snprintf(names->list[names->count++], CONTAINER_NAME_BYTES, "%.64s", name);
    return 0;
}

/* The list is the caller's to free, also on failure. */
static int list_names(struct container_store *store, struct names *names, struct husk_error *err)
{
    DIR *list = list_directory(store->dir);
    struct dirent *entry;
    int ret = list ? 0 : -errno;

    while (ret == 0 && (entry = readdir(list))) {
        struct stat st;

        if (container_name_valid(entry->d_name) &&
            fstatat(store->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode))
            ret = add_name(names, entry->d_name);
    }
    if (list)
        closedir(list);
    if (ret)
        return error_set(err, -ret, store->path, "cannot be read", NULL);
    if (names->count)
        qsort(names->list, names->count, sizeof(*names->list), compare_names);
    return 0;
}

int container_each(struct container_store *store,
                   int (*each)(void *arg, struct container *container), void *arg,
                   struct husk_error *err)
{
    struct names names = {.list = NULL};
    int ret = list_names(store, &names, err);

    for (unsigned i = 0; ret == 0 && i < names.count; i++) {
        struct container *container = NULL;

        ret = container_open_at(store, names.list[i], &container, err);
        if (ret == 0)
            ret = each(arg, container);
        else if (ret == -ENOENT)
            ret = 0; /* removed meanwhile */
        container_close(container);
    }
    free(names.list);
    return ret;
}

struct search {
    const char *digits;
    char name[CONTAINER_NAME_BYTES];
    unsigned found;
};

static int match_id(void *arg, struct container *container)
{
    struct search *search = arg;
    struct container_spec spec;

    if (container_load_spec(container, &spec, NULL))
        return 0;
    if (!strncmp(spec.id, search->digits, strlen(search->digits))) {
        memcpy(search->name, container->name, sizeof(search->name));
        search->found++;
    }
    container_spec_clear(&spec);
    return 0;
}

static int find_id(struct container_store *store, struct search *search, struct husk_error *err)
{
    size_t len = strlen(search->digits);
    int ret;

    if (len < ID_DIGITS_MIN || len >= CONTAINER_ID_BYTES ||
        search->digits[strspn(search->digits, "0123456789abcdef")])
        return 0;
    ret = container_each(store, match_id, search, err);
    if (ret == 0 && search->found > 1)
        ret = error_set(err, ENOTUNIQ, search->digits,
                        "is the beginning of several containers' ids", "give more of its digits");
    return ret;
}

int container_open(struct container_store *store, const char *text, struct container **out,
                   struct husk_error *err)
{
    struct search search = {.digits = text};
    int ret = -ENOENT;

    if (container_name_valid(text))
        ret = container_open_at(store, text, out, err);
    if (ret != -ENOENT)
        return ret;
    ret = find_id(store, &search, err);
    if (ret)
        return ret;
    ret = search.found ? container_open_at(store, search.name, out, err) : -ENOENT;
    return ret == -ENOENT
               ? error_set(err, ENOENT, text, "is no container", "`husk ps -a` lists all")
               : ret;
}
