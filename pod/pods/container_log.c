// SPDX-License-Identifier: Apache-2.0
/*
 * The logs of a container: logs/NAME/N.log for its Nth run, from 0. The files are the count of
 * runs, too: whatever else is lost with a supervisor, a run never writes to the log of another. Old
 * ones are removed when all of a container's have more than LOGS_BYTES, or are more than LOGS_MAX;
 * the newest two stay in any case.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "pod/pods/container.h"
#include "pod/pods/pod.h"

#define LOGS_MAX   100u
#define LOGS_BYTES (UINT64_C(30) << 20)
#define TAIL_BYTES 32768u
#define TAIL_LINES 80u

/* "N.log" or "N.log.M". */
static bool read_name(const char *name, unsigned *number)
{
    unsigned long value;
    char *end;

    if (name[0] < '0' || name[0] > '9')
        return false;
    value = strtoul(name, &end, 10);
    *number = (unsigned)value;
    return value < 1000000000 && !strncmp(end, ".log", 4) && (!end[4] || end[4] == '.');
}

struct logs {
    unsigned newest, oldest; /* of those that are not the newest two */
    unsigned count;          /* of files */
    uint64_t bytes;
};

static int look(int dir, struct logs *out)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    *out = (struct logs){.newest = 0, .oldest = UINT32_MAX};
    if (!list) {
        close_fd(&fd);
        return -errno;
    }
    while ((entry = readdir(list))) {
        struct stat st;
        unsigned number;

        if (!read_name(entry->d_name, &number) ||
            fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (number >= out->newest)
            out->newest = number;
        if (number < out->oldest)
            out->oldest = number;
        out->count++;
        out->bytes += (uint64_t)st.st_size;
    }
    closedir(list);
    return 0;
}

static void remove_run(int dir, unsigned number)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!list) {
        close_fd(&fd);
        return;
    }
    while ((entry = readdir(list))) {
        unsigned one;

        if (read_name(entry->d_name, &one) && one == number)
            (void)unlinkat(dir, entry->d_name, 0);
    }
    closedir(list);
}

static int make_directory(int dir, const char *name)
{
    int fd;

    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int container_log_directory(struct container *c)
{
    int all = make_directory(c->pod->entry->dir, POD_LOGS);
    struct logs logs;
    int ret;

    if (all < 0)
        return all;
    c->logs = make_directory(all, c->status.name);
    close_fd(&all);
    if (c->logs < 0)
        return c->logs;
    ret = look(c->logs, &logs);
    c->run = ret == 0 && logs.count ? logs.newest + 1 : 0;
    return ret;
}

int container_log_begin(struct container *c)
{
    char name[32];
    struct logs logs;
    int fd;

    while (look(c->logs, &logs) == 0 && (logs.count >= LOGS_MAX || logs.bytes > LOGS_BYTES) &&
           logs.oldest + 1 < logs.newest)
        remove_run(c->logs, logs.oldest);
    snprintf(name, sizeof(name), "%u.log", c->run);
    fd = openat(c->logs, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? 0
                                                  : -errno; /* log_file.h: it costs lines only */
    close_fd(&fd);
    return 0;
}

/* ---- its last lines ---- */

/* The text behind the time, the stream and the tag of a line. */
static const char *text_of(const char *line, const char *end)
{
    for (unsigned fields = 0; fields < 3; fields++) {
        line = memchr(line, ' ', (size_t)(end - line));
        if (!line)
            return end;
        line++;
    }
    return line;
}

void container_log_tail(struct container *c, char *text, size_t size)
{
    char name[32], *bytes = malloc(TAIL_BYTES + 1), *at, *line;
    struct stat st = {.st_size = 0};
    size_t start = size - 1;
    ssize_t len = -1;
    unsigned lines = 0;
    int fd;

    text[0] = '\0';
    snprintf(name, sizeof(name), "%u.log", c->run);
    fd = openat(c->logs, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (bytes && fd >= 0 && fstat(fd, &st) == 0)
        len = pread(fd, bytes, TAIL_BYTES,
                    st.st_size > (off_t)TAIL_BYTES ? st.st_size - (off_t)TAIL_BYTES : 0);
    close_fd(&fd);
    /* From the last line backwards, as many as there is room for. */
    for (at = bytes + (len > 0 ? len : 0); len > 0 && at > bytes && lines < TAIL_LINES; at = line) {
        const char *from;

        line = at - 1;
        while (line > bytes && line[-1] != '\n')
            line--;
        from = text_of(line, at);
        if ((size_t)(at - from) > start)
            break;
        start -= (size_t)(at - from);
        memcpy(text + start, from, (size_t)(at - from));
        lines++;
    }
    memmove(text, text + start, size - 1 - start);
    text[size - 1 - start] = '\0';
    free(bytes);
}
