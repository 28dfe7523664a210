// SPDX-License-Identifier: Apache-2.0
/* The directory of all entries: opening it, and finding one. See store.h. */
#include "pod/store/store.h"

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
#include "pod/store/files.h"
#include "pod/store/store_internal.h"

#define ENTRIES_MAX   65536u
#define ID_DIGITS_MIN 4u

int store_error_about(struct husk_error *err, int code, const char *where, const char *before,
                      const char *noun, const char *after, const char *why)
{
    char what[sizeof(err->what)];

    snprintf(what, sizeof(what), "%s%s%s", before, noun, after);
    return why ? error_set(err, code, where, what, "%s", why)
               : error_set(err, code, where, what, NULL);
}

int entry_store_default(const struct entry_kind *kind, char *path, size_t size,
                        struct husk_error *err)
{
    const char *given = secure_getenv(kind->variable), *data = secure_getenv("XDG_DATA_HOME");
    const char *home = secure_getenv("HOME");
    int len;

    if (given && given[0])
        len = snprintf(path, size, "%s", given);
    else if (geteuid() == 0)
        len = snprintf(path, size, "/var/lib/husk/%s", kind->leaf);
    else if (data && data[0] == '/')
        len = snprintf(path, size, "%s/husk/%s", data, kind->leaf);
    else if (home && home[0] == '/')
        len = snprintf(path, size, "%s/.local/share/husk/%s", home, kind->leaf);
    else
        return error_set(err, ENOENT, "HOME", "is not set", "%s names the directory of %s",
                         kind->variable, kind->many);
    if (len < 0 || (size_t)len >= size)
        return store_error_about(err, ENAMETOOLONG, "", "the directory of ", kind->many,
                                 " has a name that is too long", NULL);
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

static int make_store(struct entry_store *store, struct husk_error *err)
{
    char name[STORE_TEMP_BYTES];
    int ret;

    if (!is_empty(store->dir))
        return store_error_about(err, ENOTEMPTY, store->path, "is not a directory for ",
                                 store->kind->many, "", "it has other files in it");
    ret = store_temp_name(STORE_NEW_PREFIX, name, err);
    if (ret)
        return ret;
    ret = files_write(store->dir, name, store->kind->format, strlen(store->kind->format));
    if (ret == 0 && renameat(store->dir, name, store->dir, STORE_VERSION) < 0)
        ret = -errno;
    return ret ? error_set(err, -ret, store->path, "cannot be made", NULL) : 0;
}

static int check_store(struct entry_store *store, bool create, struct husk_error *err)
{
    struct stat st;
    char *text;
    size_t len;
    int ret;

    if (fstat(store->dir, &st) < 0)
        return error_set(err, errno, store->path, "cannot be read", NULL);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return store_error_about(err, EPERM, store->path, "is not a safe place for ",
                                 store->kind->many, "",
                                 "it must belong to you, and nobody else may write to it");
    ret = read_file_at(store->dir, STORE_VERSION, 256, &text, &len);
    if (ret == -ENOENT && create)
        return make_store(store, err);
    if (ret == -ENOENT)
        return store_error_about(err, ENOENT, store->path, "is not a directory for ",
                                 store->kind->many, "", "it has no file `version`");
    if (ret)
        return error_set(err, -ret, store->path, "has a file `version` that cannot be read", NULL);
    if (strcmp(text, store->kind->format) != 0)
        ret = error_set(err, ENOTSUP, store->path, "belongs to another version of husk",
                        "this one wants \"%.*s\"", (int)strlen(store->kind->format) - 1,
                        store->kind->format);
    free(text);
    return ret;
}

int entry_store_open(const struct entry_kind *kind, const char *path, bool create,
                     struct entry_store **out, struct husk_error *err)
{
    struct entry_store *store = calloc(1, sizeof(*store));
    int ret = 0;

    if (!store)
        return error_set(err, ENOMEM, path, "cannot be opened", NULL);
    store->kind = kind;
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
        store_error_about(err, -ret, path, "cannot be opened as the directory of ", kind->many, "",
                          NULL);
    if (ret == 0)
        ret = check_store(store, create, err);
    if (ret == 0) {
        store->lock =
            openat(store->dir, STORE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (store->lock < 0)
            ret = error_set(err, errno, path, "has a file `lock` that cannot be opened", NULL);
    }
    if (ret) {
        entry_store_close(store);
        return ret;
    }
    *out = store;
    return 0;
}

void entry_store_close(struct entry_store *store)
{
    if (!store)
        return;
    close_fd(&store->lock);
    close_fd(&store->dir);
    free(store);
}

const char *entry_store_path(const struct entry_store *store)
{
    return store->path;
}

/* Finding. */

struct names {
    char (*list)[ENTRY_NAME_BYTES];
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
            space > ENTRIES_MAX ? NULL : reallocarray(names->list, space, sizeof(*names->list));

        if (!more)
            return -ENOMEM;
        names->list = more;
        names->space = space;
    }
    snprintf(names->list[names->count++], ENTRY_NAME_BYTES, "%.*s", (int)ENTRY_NAME_BYTES - 1,
             name);
    return 0;
}

/* The list is the caller's to free, also on failure. */
static int list_names(struct entry_store *store, struct names *names, struct husk_error *err)
{
    DIR *list = list_directory(store->dir);
    struct dirent *entry;
    int ret = list ? 0 : -errno;

    while (ret == 0 && (entry = readdir(list))) {
        struct stat st;

        if (store->kind->name_valid(entry->d_name) &&
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

int entry_each(struct entry_store *store, int (*each)(void *arg, struct entry *entry), void *arg,
               struct husk_error *err)
{
    struct names names = {.list = NULL};
    int ret = list_names(store, &names, err);

    for (unsigned i = 0; ret == 0 && i < names.count; i++) {
        struct entry *entry = NULL;

        ret = entry_open_at(store, names.list[i], &entry, err);
        if (ret == 0)
            ret = each(arg, entry);
        else if (ret == -ENOENT)
            ret = 0; /* removed meanwhile */
        entry_close(entry);
    }
    free(names.list);
    return ret;
}

struct search {
    const char *digits;
    char name[ENTRY_NAME_BYTES];
    unsigned found;
};

static int match_id(void *arg, struct entry *entry)
{
    struct search *search = arg;
    char id[ENTRY_ID_BYTES];

    if (entry->kind->read_id(entry, id) == 0 &&
        !strncmp(id, search->digits, strlen(search->digits))) {
        memcpy(search->name, entry->name, sizeof(search->name));
        search->found++;
    }
    return 0;
}

static int find_id(struct entry_store *store, struct search *search, struct husk_error *err)
{
    size_t len = strlen(search->digits);
    int ret;

    if (len < ID_DIGITS_MIN || len >= ENTRY_ID_BYTES ||
        search->digits[strspn(search->digits, "0123456789abcdef")])
        return 0;
    ret = entry_each(store, match_id, search, err);
    if (ret == 0 && search->found > 1)
        ret = store_error_about(err, ENOTUNIQ, search->digits,
                                "is the beginning of the ids of several ", store->kind->many, "",
                                "give more of its digits");
    return ret;
}

int entry_find(struct entry_store *store, const char *text, struct entry **out,
               struct husk_error *err)
{
    struct search search = {.digits = text};
    int ret = -ENOENT;

    if (store->kind->name_valid(text))
        ret = entry_open_at(store, text, out, err);
    if (ret != -ENOENT)
        return ret;
    ret = find_id(store, &search, err);
    if (ret)
        return ret;
    ret = search.found ? entry_open_at(store, search.name, out, err) : -ENOENT;
    return ret == -ENOENT ? store_error_about(err, ENOENT, text, "is no ", store->kind->one, "",
                                              store->kind->list_hint)
                          : ret;
}
