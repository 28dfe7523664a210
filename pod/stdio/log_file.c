// SPDX-License-Identifier: Apache-2.0
/* A container's log: see log_file.h. */
#include "pod/stdio/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define BATCH_BYTES  (64u << 10)
#define TIME_BYTES   31u /* with the space behind it */
#define PREFIX_BYTES 48u /* "2026-11-29T02:00:00.000000000Z stdout F " */
#define NAME_BYTES   (LOG_FILE_NAME_MAX + 12u)

/* The line that a stream is in the middle of. */
struct line {
    char bytes[LOG_FILE_LINE_MAX];
    size_t len;
};

struct log_file {
    int dir, fd;
    char name[LOG_FILE_NAME_MAX + 1];
    uint64_t file_bytes, size;
    unsigned files;
    struct line lines[2];
    /* Whole lines that wait to be written with one call. */
    char batch[BATCH_BYTES];
    size_t batch_len;
    unsigned batch_lines;
    uint64_t lost, lost_unsaid;
    int code;
};

static const char *const stream_names[] = {[LOG_STDOUT] = "stdout", [LOG_STDERR] = "stderr"};

int log_file_open(int dir, const char *name, uint64_t file_bytes, unsigned files,
                  struct log_file **out)
{
    struct log_file *log = calloc(1, sizeof(*log));

    if (!log)
        return -ENOMEM;
    log->dir = dir;
    snprintf(log->name, sizeof(log->name), "%s", name);
    log->fd = -1;
    log->file_bytes = file_bytes;
    log->files = files;
    *out = log;
    return 0;
}

void log_file_close(struct log_file *log)
{
    if (!log)
        return;
    close_fd(&log->fd);
    free(log);
}

uint64_t log_file_lost(const struct log_file *log, int *code)
{
    *code = log->code;
    return log->lost;
}

/* ---- the file ---- */

/*
 * The file's end is no line's: its writer was killed, or the host stopped, in the middle. What is
 * there of the line becomes a part of one; what is there of less than its prefix is nothing.
 */
static int mend(struct log_file *log)
{
    char tail[PREFIX_BYTES + LOG_FILE_LINE_MAX];
    size_t len = log->size < sizeof(tail) ? (size_t)log->size : sizeof(tail), torn = 0, tag;
    ssize_t got = pread(log->fd, tail, len, (off_t)(log->size - len));
    const char *space;

    if (got < 0 || (size_t)got != len)
        return got < 0 ? -errno : -EIO;
    while (torn < len && tail[len - 1 - torn] != '\n')
        torn++;
    if (torn == 0)
        return 0;
    space =
        torn > TIME_BYTES ? memchr(tail + len - torn + TIME_BYTES, ' ', torn - TIME_BYTES) : NULL;
    tag = space ? (size_t)(space + 1 - (tail + len - torn)) : torn;
    log->size -= torn;
    if (ftruncate(log->fd, (off_t)log->size) < 0)
        return -errno;
    if (tag + 2 >= torn)
        return 0;
    tail[len - torn + tag] = 'P';
    log->size += torn + 1;
    if (write_full(log->fd, tail + len - torn, torn) || write_full(log->fd, "\n", 1))
        return -EIO;
    return 0;
}

static int open_file(struct log_file *log)
{
    struct stat st;
    int ret;

    if (log->fd >= 0)
        return 0;
    log->fd = openat(log->dir, log->name,
                     O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (log->fd < 0)
        return -errno;
    if (fstat(log->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close_fd(&log->fd);
        return -EINVAL;
    }
    log->size = (uint64_t)st.st_size;
    ret = mend(log);
    if (ret)
        close_fd(&log->fd);
    return ret;
}

static void file_name(const struct log_file *log, unsigned number, char out[NAME_BYTES])
{
    if (number)
        snprintf(out, NAME_BYTES, "%s.%u", log->name, number);
    else
        snprintf(out, NAME_BYTES, "%s", log->name);
}

/* Everything moves up by one; what has no place any more is replaced. */
static int rotate(struct log_file *log)
{
    char from[NAME_BYTES], to[NAME_BYTES];

    for (unsigned number = log->files - 1; number > 0; number--) {
        file_name(log, number - 1, from);
        file_name(log, number, to);
        if (renameat(log->dir, from, log->dir, to) < 0 && errno != ENOENT)
            return -errno;
    }
    if (log->files == 1 && unlinkat(log->dir, log->name, 0) < 0 && errno != ENOENT)
        return -errno;
    close_fd(&log->fd);
    return open_file(log);
}

/* All or nothing: a line that is cut in the middle would spoil the next one. */
static int append(struct log_file *log, const char *bytes, size_t len)
{
    int ret = open_file(log);

    if (ret == 0 && log->size && log->size + len > log->file_bytes)
        ret = rotate(log);
    if (ret == 0)
        ret = write_full(log->fd, bytes, len);
    if (ret == 0)
        log->size += len;
    else if (log->fd >= 0 && ftruncate(log->fd, (off_t)log->size) < 0)
        close_fd(&log->fd); /* its size is looked at again */
    return ret;
}

/* ---- lines ---- */

static size_t put_prefix(char out[PREFIX_BYTES], enum log_stream stream, bool whole)
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    return (size_t)snprintf(out, PREFIX_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ %s %c ",
                            (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                            tm.tm_min, tm.tm_sec, now.tv_nsec % 1000000000, stream_names[stream],
                            whole ? 'F' : 'P');
}

/* What is missing is said before what follows it. */
static int say_lost(struct log_file *log)
{
    char text[PREFIX_BYTES + 160];
    size_t len;
    int ret;

    if (!log->lost_unsaid)
        return 0;
    len = put_prefix(text, LOG_STDERR, true);
    len += (size_t)snprintf(text + len, sizeof(text) - len,
                            "husk: %llu lines could not be written here: %s\n",
                            (unsigned long long)log->lost_unsaid, error_text(log->code));
    ret = append(log, text, len);
    if (ret == 0)
        log->lost_unsaid = 0;
    return ret;
}

static void flush(struct log_file *log)
{
    int ret;

    if (!log->batch_len)
        return;
    ret = say_lost(log);
    if (ret == 0)
        ret = append(log, log->batch, log->batch_len);
    if (ret) {
        log->code = -ret;
        log->lost += log->batch_lines;
        log->lost_unsaid += log->batch_lines;
    }
    log->batch_len = 0;
    log->batch_lines = 0;
}

static void end_line(struct log_file *log, enum log_stream stream, bool whole)
{
    struct line *line = &log->lines[stream];
    size_t len = PREFIX_BYTES + line->len + 1;

    if (log->batch_len + len > BATCH_BYTES || log->batch_len + len > log->file_bytes)
        flush(log);
    log->batch_len += put_prefix(log->batch + log->batch_len, stream, whole);
    memcpy(log->batch + log->batch_len, line->bytes, line->len);
    log->batch_len += line->len;
    log->batch[log->batch_len++] = '\n';
    log->batch_lines++;
    line->len = 0;
}

void log_file_write(struct log_file *log, enum log_stream stream, const void *bytes, size_t len)
{
    struct line *line = &log->lines[stream];
    const char *at = bytes, *end = at + len;

    if (!log->files)
        return;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t part = (size_t)((newline ? newline : end) - at);
        size_t room = LOG_FILE_LINE_MAX - line->len;

        if (part > room) {
            part = room;
            newline = NULL;
        }
        memcpy(line->bytes + line->len, at, part);
        line->len += part;
        at += part;
        if (newline) {
            end_line(log, stream, true);
            at++;
        } else if (at < end) {
            end_line(log, stream, false);
        }
    }
    flush(log);
}

void log_file_end(struct log_file *log, enum log_stream stream)
{
    if (log->files && log->lines[stream].len)
        end_line(log, stream, false);
    flush(log);
}
