// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the directory, and makes manifests of it when a byte or a name in it has changed.
 *
 * The texts of the last scan are kept, to see changes by; nothing is concluded from times.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/node/hash.h"
#include "cli/node/source.h"

#define WATCHED                                                                         \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | \
     IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

struct file {
    char *name;
    char *bytes;
    size_t len;
    int code; /* why it could not be read, positive; 0 */
    char error[512];
    struct husk_manifest *manifest;
    bool only_objects;
};

struct source {
    char *directory;
    int inotify_fd;
    struct file *files;
    size_t count;
    struct wanted wanted;
};

static void free_files(struct file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(files[i].name);
        free(files[i].bytes);
        husk_manifest_free(files[i].manifest);
    }
    free(files);
}

static void free_wanted(struct wanted *wanted)
{
    for (size_t i = 0; i < wanted->pod_count; i++)
        free(wanted->pods[i].name);
    for (size_t i = 0; i < wanted->file_count; i++)
        free(wanted->files[i].name);
    free(wanted->pods);
    free(wanted->files);
    *wanted = (struct wanted){0};
}

int source_create(const char *directory, struct source **out)
{
    struct source *source = calloc(1, sizeof(*source));
    int code;

    if (!source)
        return -ENOMEM;
    source->wanted.unknown = true;
    source->directory = strdup(directory);
    source->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (!source->directory || source->inotify_fd < 0) {
        code = source->directory ? errno : ENOMEM;
        source_destroy(source);
        return -code;
    }
    *out = source;
    return 0;
}

void source_destroy(struct source *source)
{
    if (!source)
        return;
    free_files(source->files, source->count);
    free_wanted(&source->wanted);
    close_fd(&source->inotify_fd);
    free(source->directory);
    free(source);
}

int source_fd(const struct source *source)
{
    return source->inotify_fd;
}

void source_clear(struct source *source)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    while (read(source->inotify_fd, events, sizeof(events)) > 0)
        ;
}

bool source_takes(const char *name)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(name);

    for (unsigned i = 0; name[0] != '.' && i < sizeof(ends) / sizeof(*ends); i++) {
        size_t end = strlen(ends[i]);

        if (len > end && !strcmp(name + len - end, ends[i]))
            return true;
    }
    return false;
}

/* ---- the bytes ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static int read_bytes(int fd, struct file *file)
{
    struct stat st;
    size_t room;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > (off_t)SOURCE_FILE_BYTES_MAX)
        return -EFBIG;
    room = (size_t)st.st_size + 1; /* a byte more shows that it grew */
    file->bytes = malloc(room);
    if (!file->bytes)
        return -ENOMEM;
    while (file->len < room) {
        ssize_t n = read(fd, file->bytes + file->len, room - file->len);

        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -errno;
        file->len += n > 0 ? (size_t)n : 0;
    }
    return file->len == room ? -EAGAIN : 0;
}

static void read_file(int dir, struct file *file)
{
    int fd = openat(dir, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int ret = fd < 0 ? -errno : read_bytes(fd, file);

    file->code = -ret;
    if (ret)
        file->len = 0;
    close_fd(&fd);
}

static int read_names(DIR *dir, struct file **files, size_t *count)
{
    struct dirent *entry;

    *files = calloc(SOURCE_FILES_MAX, sizeof(**files));
    if (!*files)
        return -ENOMEM;
    for (*count = 0; errno = 0, (entry = readdir(dir));) {
        if (!source_takes(entry->d_name))
            continue;
        if (*count == SOURCE_FILES_MAX)
            return -E2BIG;
        (*files)[*count].name = strdup(entry->d_name);
        if (!(*files)[(*count)++].name)
            return -ENOMEM;
    }
    return -errno;
}

static int read_directory(struct source *source, struct file **files, size_t *count)
{
    DIR *dir;
    int ret;

    *files = NULL;
    *count = 0;
    /* The same directory is watched once however often it is asked for; a new one of the name is
     * another. What changes from here on wakes the next round. */
    inotify_add_watch(source->inotify_fd, source->directory, WATCHED | IN_ONLYDIR);
    dir = opendir(source->directory);
    if (!dir)
        return -errno;
    ret = read_names(dir, files, count);
    if (!ret)
        qsort(*files, *count, sizeof(**files), by_name);
    for (size_t i = 0; !ret && i < *count; i++)
        read_file(dirfd(dir), &(*files)[i]);
    closedir(dir);
    return ret;
}

static bool is_same(const struct file *a, const struct file *b)
{
    return !strcmp(a->name, b->name) && a->code == b->code && a->len == b->len &&
           (!a->len || !memcmp(a->bytes, b->bytes, a->len));
}

static bool has_changed(const struct source *source, const struct file *files, size_t count)
{
    if (count != source->count || source->wanted.unknown)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (!is_same(&files[i], &source->files[i]))
            return true;
    }
    return false;
}

/* ---- what they mean ---- */

static void set_broken(struct file *file, const struct husk_error *err)
{
    error_format(err, file->error, sizeof(file->error));
    husk_manifest_free(file->manifest);
    file->manifest = NULL;
}

static int parse(const struct file *file, struct husk_manifest **out, struct husk_error *err)
{
    return husk_manifest_read(file->name, file->bytes, file->len, NULL, out, err);
}

static void read_manifest(struct file *file)
{
    struct husk_error err = {0};

    if (file->code == EINVAL)
        error_set(&err, EINVAL, file->name, "cannot read the manifest", "it is no regular file");
    else if (file->code)
        error_set(&err, file->code, file->name, "cannot read the manifest", NULL);
    else if (!file->len)
        error_set(&err, EINVAL, file->name, "cannot read the manifest", "it is empty");
    else
        parse(file, &file->manifest, &err);
    if (!file->manifest)
        set_broken(file, &err);
    else
        file->only_objects = husk_manifest_pods(file->manifest) == 0;
}

/* The same text once more: joining empties it. */
static int join(const struct file *from, struct husk_manifest *to, struct husk_error *err)
{
    struct husk_manifest *copy = NULL;
    int ret = parse(from, &copy, err);

    if (!ret)
        ret = husk_manifest_join(to, copy, err);
    husk_manifest_free(copy);
    return ret;
}

/* Two files without pods that have the same object: the later by name is broken. */
static int check_objects(struct file *files, size_t count, struct husk_error *err)
{
    struct husk_manifest *all = NULL;
    int ret = 0;

    for (size_t i = 0; !ret && i < count; i++) {
        struct file *file = &files[i];
        struct husk_error why = {0};

        if (!file->only_objects)
            continue;
        if (!all) {
            ret = parse(file, &all, err);
        } else if (join(file, all, &why)) {
            file->only_objects = false;
            set_broken(file, &why);
        }
    }
    husk_manifest_free(all);
    return ret;
}

static void add_objects(struct file *file, const struct file *files, size_t count)
{
    struct husk_error err = {0};

    for (size_t i = 0; i < count; i++) {
        if (!files[i].only_objects || !join(&files[i], file->manifest, &err))
            continue;
        set_broken(file, &err);
        return;
    }
}

static int add_pods(struct wanted *wanted, size_t index, const struct file *file)
{
    unsigned pods = file->manifest ? husk_manifest_pods(file->manifest) : 0;
    struct wanted_pod *grown =
        realloc(wanted->pods, (wanted->pod_count + pods + 1) * sizeof(*wanted->pods));

    if (!grown)
        return -ENOMEM;
    wanted->pods = grown;
    for (unsigned i = 0; i < pods; i++) {
        struct wanted_pod *pod = &grown[wanted->pod_count];

        *pod = (struct wanted_pod){.file = index, .index = i};
        pod->name = strdup(husk_manifest_pod_name(file->manifest, i));
        if (!pod->name)
            return -ENOMEM;
        wanted->pod_count++;
        if (hash_pod(file->manifest, i, pod->hash))
            return -ENOMEM;
    }
    return 0;
}

static int describe(const struct file *files, size_t count, struct wanted *wanted)
{
    int ret = 0;

    wanted->files = calloc(count + 1, sizeof(*wanted->files));
    if (!wanted->files)
        return -ENOMEM;
    for (size_t i = 0; !ret && i < count; i++) {
        wanted->files[i].name = strdup(files[i].name);
        if (!wanted->files[i].name)
            return -ENOMEM;
        wanted->file_count++;
        wanted->files[i].broken = files[i].error[0];
        if (!files[i].only_objects)
            ret = add_pods(wanted, i, &files[i]);
    }
    return ret;
}

static int understand(struct file *files, size_t count, struct wanted *wanted,
                      struct husk_error *err)
{
    int ret;

    for (size_t i = 0; i < count; i++)
        read_manifest(&files[i]);
    ret = check_objects(files, count, err);
    if (ret)
        return ret;
    for (size_t i = 0; i < count; i++) {
        if (files[i].manifest && !files[i].only_objects)
            add_objects(&files[i], files, count);
    }
    ret = describe(files, count, wanted);
    return ret ? error_set(err, -ret, "", "cannot read the manifests", NULL) : 0;
}

int source_scan(struct source *source, struct husk_error *err)
{
    struct wanted wanted = {0};
    struct file *files;
    size_t count;
    int ret = read_directory(source, &files, &count);

    if (ret == -E2BIG)
        error_set(err, E2BIG, source->directory, "cannot read the directory of manifests",
                  "it has more than %u", SOURCE_FILES_MAX);
    else if (ret)
        error_set(err, -ret, source->directory, "cannot read the directory of manifests", NULL);
    else if (!has_changed(source, files, count))
        ret = 1; /* nothing new */
    else
        ret = understand(files, count, &wanted, err);
    if (ret) {
        free_files(files, count);
        free_wanted(&wanted);
        source->wanted.unknown = ret < 0;
        return ret < 0 ? ret : 0;
    }
    free_files(source->files, source->count);
    free_wanted(&source->wanted);
    source->files = files;
    source->count = count;
    source->wanted = wanted;
    return 0;
}

const struct wanted *source_wanted(const struct source *source)
{
    return &source->wanted;
}

const char *source_error(const struct source *source, size_t file)
{
    return source->files[file].error;
}

struct husk_manifest *source_manifest(const struct source *source, size_t file)
{
    return source->files[file].manifest;
}
