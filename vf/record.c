// SPDX-License-Identifier: Apache-2.0
/*
 * The records of bound functions: see record.h. A record appears whole or not at all (rename),
 * and what is read back must be as it is written here, for its words become names of files.
 */
#include "vf/record.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "jail/registry_file.h"

#define HEADER       "husk-vf 1\n"
#define NONE         "-" /* in place of a driver; no driver is called so */
#define RECORD_BYTES 256u
#define NEW_NAME     ".new"
#define LOCK_TRIES   300u /* of 100 ms */

static int take_lock(int fd)
{
    const struct timespec pause = {.tv_nsec = 100000000};

    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return -EBUSY;
}

int vf_records_lock(const char *state, struct husk_error *err)
{
    int parent_fd = registry_open_directory(state, true, err);
    int fd, ret;

    if (parent_fd < 0)
        return parent_fd;
    ret = mkdirat(parent_fd, "vf", 0700) < 0 && errno != EEXIST ? -errno : 0;
    fd = ret ? ret : openat(parent_fd, "vf", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    ret = fd < 0 && !ret ? -errno : ret;
    close_fd(&parent_fd);
    if (ret)
        return error_set(err, -ret, state, "cannot keep records of drivers there", NULL);
    ret = take_lock(fd);
    if (ret) {
        close_fd(&fd);
        return error_set(err, -ret, state, "cannot lock the records of drivers",
                         ret == -EBUSY ? "another `husk vf` is at work and does not end" : NULL);
    }
    (void)unlinkat(fd, NEW_NAME, 0); /* of a writer that was killed */
    return fd;
}

/* A word of a record as a driver's name: never a way out of sysfs. */
static int take_name(const char *word, char out[PCI_DRIVER_SIZE])
{
    size_t len = strlen(word);

    if (!strcmp(word, NONE)) {
        out[0] = '\0';
        return 0;
    }
    if (len == 0 || len >= PCI_DRIVER_SIZE || word[0] == '.')
        return -EPROTO;
    for (const char *at = word; *at; at++) {
        if (!isprint((unsigned char)*at) || *at == '/')
            return -EPROTO;
    }
    memcpy(out, word, len + 1);
    return 0;
}

/* One line "KEY WORD\n" at *at, which it ends and steps over. */
static int take_line(char **at, const char *key, char out[PCI_DRIVER_SIZE])
{
    size_t len = strlen(key);
    char *word = *at + len, *end;

    if (strncmp(*at, key, len))
        return -EPROTO;
    end = strchr(word, '\n');
    if (!end)
        return -EPROTO;
    *end = '\0';
    *at = end + 1;
    return take_name(word, out);
}

int vf_record_read(int records_fd, const char *address, struct vf_record *out)
{
    char text[RECORD_BYTES], *at = text + strlen(HEADER);
    int fd = openat(records_fd, address, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n;
    int ret;

    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof(text) - 1);
    ret = n < 0 ? -errno : 0;
    close_fd(&fd);
    if (ret)
        return ret;
    text[n] = '\0';
    if (strlen(text) != (size_t)n || strncmp(text, HEADER, strlen(HEADER)))
        return -EPROTO;
    ret = take_line(&at, "driver ", out->driver);
    if (ret == 0)
        ret = take_line(&at, "override ", out->override);
    return ret == 0 && *at ? -EPROTO : ret;
}

int vf_record_write(int records_fd, const char *address, const struct vf_record *record)
{
    char text[RECORD_BYTES], name[PCI_DRIVER_SIZE];
    int fd, ret;

    if ((record->driver[0] && take_name(record->driver, name)) ||
        (record->override[0] && take_name(record->override, name)))
        return -EINVAL;
    snprintf(text, sizeof(text), HEADER "driver %s\noverride %s\n",
             record->driver[0] ? record->driver : NONE,
             record->override[0] ? record->override : NONE);
    fd = openat(records_fd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ret = write_full(fd, text, strlen(text));
    close_fd(&fd);
    if (ret == 0 && renameat(records_fd, NEW_NAME, records_fd, address) < 0)
        ret = -errno;
    if (ret)
        unlinkat(records_fd, NEW_NAME, 0);
    return ret;
}

int vf_record_remove(int records_fd, const char *address)
{
    return unlinkat(records_fd, address, 0) < 0 ? -errno : 0;
}
