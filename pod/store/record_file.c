// SPDX-License-Identifier: Apache-2.0
/*
 * An entry's records in its directory: see store.h.
 *
 * A record is never written in place: it is written beside, synced, and renamed over the former.
 * On a full disk that fails. For the one record that must not be lost, how it ended, there is a
 * file of the same size whose blocks were taken when the entry was made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/store/files.h"
#include "pod/store/store_internal.h"

int entry_error(const struct entry *entry, int code, const char *name, const char *what,
                struct husk_error *err)
{
    char where[sizeof(entry->path) + 64];

    snprintf(where, sizeof(where), "%s%s%s", entry->path, name ? "/" : "", name ? name : "");
    return error_set(err, code, where, what, NULL);
}

/* The record as the file has it: filled up with spaces, so that each is as long as the spare. The
 * bytes are the caller's. */
static int format_state(const struct entry_kind *kind, const json_t *state, char **out)
{
    char *bytes = malloc(kind->state_bytes);
    size_t len = bytes ? json_dumpb(state, bytes, kind->state_bytes, JSON_INDENT(1)) : 0;

    if (len >= kind->state_bytes)
        len = json_dumpb(state, bytes, kind->state_bytes, JSON_COMPACT);
    if (len == 0 || len >= kind->state_bytes) {
        free(bytes);
        return len ? -EFBIG : -ENOMEM;
    }
    memset(bytes + len, ' ', kind->state_bytes - len);
    bytes[kind->state_bytes - 1] = '\n';
    *out = bytes;
    return 0;
}

static int write_spec(int dir, const char *name, const json_t *spec, size_t max)
{
    char *text = json_dumps(spec, JSON_INDENT(1));
    int ret = text ? 0 : -ENOMEM;

    if (ret == 0 && strlen(text) > max)
        ret = -EFBIG;
    if (ret == 0)
        ret = files_write(dir, name, text, strlen(text));
    free(text);
    return ret;
}

int entry_write_first(int dir, const struct entry_kind *kind, const struct entry_first *first)
{
    char *bytes = NULL;
    int ret = write_spec(dir, ENTRY_SPEC_FILE, first->spec, first->spec_max);

    if (ret == 0)
        ret = format_state(kind, first->state, &bytes);
    if (ret == 0)
        ret = files_write(dir, ENTRY_STATE_FILE, bytes, kind->state_bytes);
    if (ret == 0)
        ret = files_write(dir, ENTRY_STATE_SPARE, bytes, kind->state_bytes);
    free(bytes);
    return ret;
}

int entry_write_spare(const struct entry *entry)
{
    char *bytes;
    int ret;

    if (faccessat(entry->dir, ENTRY_STATE_SPARE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    bytes = malloc(entry->kind->state_bytes);
    if (!bytes)
        return -ENOMEM;
    memset(bytes, ' ', entry->kind->state_bytes);
    ret = files_write(entry->dir, ENTRY_STATE_SPARE, bytes, entry->kind->state_bytes);
    free(bytes);
    return ret;
}

/* Over the spare's own blocks. */
static int use_spare(int dir, const char *bytes, size_t len)
{
    int fd = openat(dir, ENTRY_STATE_SPARE, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    int ret = fd < 0 ? -errno : write_full(fd, bytes, len);

    if (ret == 0 && fsync(fd) < 0)
        ret = -errno;
    close_fd(&fd);
    if (ret == 0 && renameat(dir, ENTRY_STATE_SPARE, dir, ENTRY_STATE_FILE) < 0)
        ret = -errno;
    return ret;
}

int entry_write_state(const struct entry *entry, const json_t *state, bool last,
                      struct husk_error *err)
{
    size_t len = entry->kind->state_bytes;
    char *bytes = NULL;
    int ret = format_state(entry->kind, state, &bytes);

    if (ret == 0) {
        ret = files_write(entry->dir, ENTRY_STATE_NEW, bytes, len);
        if (ret == 0 && renameat(entry->dir, ENTRY_STATE_NEW, entry->dir, ENTRY_STATE_FILE) < 0)
            ret = -errno;
        if (ret && last && use_spare(entry->dir, bytes, len) == 0)
            ret = 0;
    }
    free(bytes);
    if (ret == 0 && fsync(entry->dir) < 0)
        ret = -errno;
    return ret ? entry_error(entry, -ret, ENTRY_STATE_FILE, "cannot be written", err) : 0;
}

int entry_write_spec(const struct entry *entry, const json_t *spec, size_t max,
                     struct husk_error *err)
{
    int ret = write_spec(entry->dir, ENTRY_SPEC_NEW, spec, max);

    if (ret == 0 && renameat(entry->dir, ENTRY_SPEC_NEW, entry->dir, ENTRY_SPEC_FILE) < 0)
        ret = -errno;
    if (ret == 0 && fsync(entry->dir) < 0)
        ret = -errno;
    return ret ? entry_error(entry, -ret, ENTRY_SPEC_FILE, "cannot be written", err) : 0;
}

/* Reading. */

int entry_read(const struct entry *entry, const char *name, size_t max, char **bytes, size_t *len,
               struct husk_error *err)
{
    int ret = read_file_at(entry->dir, name, max, bytes, len);

    return ret ? entry_error(entry, -ret, name, "cannot be read", err) : 0;
}

int entry_read_state(const struct entry *entry, const struct entry_reader *reader, void *arg,
                     struct husk_error *err)
{
    bool alive = entry_alive(entry); /* before: who has ended since has written */
    int ret = reader->read(entry, arg, err);

    if (ret || alive || reader->is_final(entry, arg))
        return ret;
    if (entry->lock >= 0)
        ret = entry_lock_mark(entry->lock);
    if (ret)
        return entry_error(entry, -ret, ENTRY_LOCK_FILE, "cannot be locked", err);
    ret = reader->read(entry, arg, err);
    if (ret == 0 && !entry_alive(entry) && !reader->is_final(entry, arg))
        reader->mark(entry, arg);
    if (entry->lock >= 0)
        entry_unlock_mark(entry->lock);
    return ret;
}
