// SPDX-License-Identifier: Apache-2.0
/* The files of a container's log: see reader.h. */
#include "pod/log/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define FILES_MAX      101u
#define LINE_MAX_BYTES (1u << 20)
#define READ_BYTES     (64u << 10)

void log_reader_init(struct log_reader *reader, int dir, const char *name)
{
    *reader = (struct log_reader){.dir = dir, .fd = -1};
    snprintf(reader->name, sizeof(reader->name), "%s", name);
}

void log_reader_close(struct log_reader *reader)
{
    close_fd(&reader->fd);
    free(reader->buffer);
    reader->buffer = NULL;
}

#define FILE_NAME_BYTES (LOG_READER_NAME_MAX + 12)

static void name_of(const struct log_reader *reader, unsigned number, char name[FILE_NAME_BYTES])
{
    if (number)
        snprintf(name, FILE_NAME_BYTES, "%s.%u", reader->name, number);
    else
        snprintf(name, FILE_NAME_BYTES, "%s", reader->name);
}

/* The highest number of a file of the log, or -1 when there is none. */
static int oldest(const struct log_reader *reader)
{
    int found = -1;

    for (unsigned i = 0; i < FILES_MAX; i++) {
        char name[FILE_NAME_BYTES];
        struct stat st;

        name_of(reader, i, name);
        if (fstatat(reader->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            found = (int)i;
        else if (i > 0)
            break;
    }
    return found;
}

/* The number that the file being read has by now, or -1 when it has been removed. */
static int number_now(const struct log_reader *reader)
{
    for (unsigned i = 0; i < FILES_MAX; i++) {
        char name[FILE_NAME_BYTES];
        struct stat st;

        name_of(reader, i, name);
        if (fstatat(reader->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == reader->dev &&
            st.st_ino == reader->ino)
            return (int)i;
    }
    return -1;
}

/* Opens file `number`. 1, 0 when it is not there, -errno. */
static int open_number(struct log_reader *reader, int number)
{
    char name[FILE_NAME_BYTES];
    struct stat st;
    int fd;

    name_of(reader, (unsigned)number, name);
    fd = openat(reader->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    close_fd(&reader->fd);
    reader->fd = fd;
    reader->dev = st.st_dev;
    reader->ino = st.st_ino;
    reader->start = reader->end = 0;
    reader->renamed = false;
    return 1;
}

/* The file after the one that has been read. 1, 0 when there is none yet, -errno. */
static int open_next(struct log_reader *reader)
{
    int number;

    if (reader->fd < 0) {
        number = oldest(reader);
        return number < 0 ? 0 : open_number(reader, number);
    }
    number = number_now(reader);
    if (number == 0)
        return 0;
    if (number > 0)
        return open_number(reader, number - 1);
    /* Removed: what has been kept begins after it. Or the whole container has gone. */
    number = oldest(reader);
    return number < 0 ? 0 : open_number(reader, number);
}

/* Reads on into the buffer, whose first *searched bytes hold no newline. Returns the number of
 * bytes, 0 at the end, -errno. */
static ssize_t read_on(struct log_reader *reader, size_t *searched)
{
    ssize_t n;

    if (reader->buffer && reader->start > 0) {
        memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    if (reader->end >= LINE_MAX_BYTES) { /* no supervisor writes such a line */
        reader->end = 0;
        reader->damaged++;
        *searched = 0;
    }
    if (reader->size - reader->end < READ_BYTES) {
        size_t size = reader->end + 2 * READ_BYTES;
        char *buffer = realloc(reader->buffer, size);

        if (!buffer)
            return -ENOMEM;
        reader->buffer = buffer;
        reader->size = size;
    }
    n = read(reader->fd, reader->buffer + reader->end, READ_BYTES);
    if (n < 0)
        return -errno;
    reader->end += (size_t)n;
    return n;
}

int log_reader_next(struct log_reader *reader, struct log_line *out)
{
    size_t searched = 0;

    for (;;) {
        char *at = reader->buffer ? reader->buffer + reader->start : NULL;
        size_t len = reader->end - reader->start;
        char *newline = at && len > searched ? memchr(at + searched, '\n', len - searched) : NULL;
        ssize_t n = 0;
        int ret;

        if (newline) {
            reader->start += (size_t)(newline - at) + 1;
            searched = 0;
            if (log_line_parse(at, (size_t)(newline - at), out) == 0)
                return 1;
            reader->damaged++;
            continue;
        }
        searched = len;
        if (reader->fd >= 0)
            n = read_on(reader, &searched);
        if (n < 0)
            return (int)n;
        if (n > 0)
            continue;
        /* What comes after it counts only when it has been read to its end after its renaming: then
         * nobody writes to it any more. */
        if (reader->fd >= 0 && !reader->renamed) {
            if (number_now(reader) == 0)
                return 0;
            reader->renamed = true;
            continue;
        }
        ret = open_next(reader);
        if (ret <= 0)
            return ret;
        searched = 0;
    }
}
