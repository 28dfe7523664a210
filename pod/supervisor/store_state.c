// SPDX-License-Identifier: Apache-2.0
/*
 * A container's records in its directory: see store.h.
 *
 * A record is never written in place: it is written beside, synced, and renamed over the former.
 * On a full disk that fails. For the one record that must not be lost, how the container ended,
 * there is a file of the same size whose blocks were taken when the container was made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/supervisor/files.h"
#include "pod/supervisor/store_internal.h"

#define STATUS_SUPERVISOR_DIED 255

/* The record as the file has it: filled up with spaces, so that each is as long as the spare. */
static int format_state(const struct container_state *state, uint64_t created_ns,
                        char out[CONTAINER_STATE_BYTES])
{
    json_t *document = container_state_encode(state, created_ns);
    size_t len = document ? json_dumpb(document, out, CONTAINER_STATE_BYTES, JSON_INDENT(1)) : 0;

    json_decref(document);
    if (len == 0 || len >= CONTAINER_STATE_BYTES)
        return len ? -EFBIG : -ENOMEM;
    memset(out + len, ' ', CONTAINER_STATE_BYTES - len);
    out[CONTAINER_STATE_BYTES - 1] = '\n';
    return 0;
}

int container_write_first(int dir, const struct container_spec *spec)
{
    struct container_state state = {.status = CONTAINER_CREATED};
    json_t *document = container_spec_encode(spec);
    char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    char bytes[CONTAINER_STATE_BYTES];
    int ret = text ? 0 : -ENOMEM;

    json_decref(document);
    if (ret == 0 && strlen(text) > CONTAINER_SPEC_MAX)
        ret = -EFBIG;
    if (ret == 0)
        ret = files_write(dir, CONTAINER_SPEC_FILE, text, strlen(text));
    free(text);
    if (ret == 0)
        ret = format_state(&state, spec->created_ns, bytes);
    if (ret == 0)
        ret = files_write(dir, CONTAINER_STATE_FILE, bytes, sizeof(bytes));
    return ret ? ret : files_write(dir, CONTAINER_STATE_SPARE, bytes, sizeof(bytes));
}

/* Over the spare's own blocks. */
static int write_spare(int dir, const char bytes[CONTAINER_STATE_BYTES])
{
    int fd = openat(dir, CONTAINER_STATE_SPARE, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    int ret = fd < 0 ? -errno : write_full(fd, bytes, CONTAINER_STATE_BYTES);

    if (ret == 0 && fsync(fd) < 0)
        ret = -errno;
    close_fd(&fd);
    if (ret == 0 && renameat(dir, CONTAINER_STATE_SPARE, dir, CONTAINER_STATE_FILE) < 0)
        ret = -errno;
    return ret;
}

int container_save_state(const struct container *container, const struct container_state *state,
                         uint64_t created_ns, struct husk_error *err)
{
    char bytes[CONTAINER_STATE_BYTES];
    int ret = format_state(state, created_ns, bytes);

    if (ret == 0) {
        ret = files_write(container->dir, CONTAINER_STATE_NEW, bytes, sizeof(bytes));
        if (ret == 0 &&
            renameat(container->dir, CONTAINER_STATE_NEW, container->dir, CONTAINER_STATE_FILE) < 0)
            ret = -errno;
        if (ret && state->ended && write_spare(container->dir, bytes) == 0)
            ret = 0;
    }
    if (ret == 0 && fsync(container->dir) < 0)
        ret = -errno;
    return ret ? container_error(container, -ret, CONTAINER_STATE_FILE, "cannot be written", err)
               : 0;
}

/* Reading. */

static int read_record(const struct container *container, const char *name, size_t max,
                       char **bytes, size_t *len, struct husk_error *err)
{
    int ret = read_file_at(container->dir, name, max, bytes, len);

    return ret ? container_error(container, -ret, name, "cannot be read", err) : 0;
}

int container_load_spec(const struct container *container, struct container_spec *out,
                        struct husk_error *err)
{
    char where[sizeof(container->path) + sizeof(CONTAINER_SPEC_FILE) + 1], *bytes;
    size_t len;
    int ret = read_record(container, CONTAINER_SPEC_FILE, CONTAINER_SPEC_MAX, &bytes, &len, err);

    if (ret)
        return ret;
    snprintf(where, sizeof(where), "%s/" CONTAINER_SPEC_FILE, container->path);
    ret = container_spec_decode(bytes, len, where, out, err);
    free(bytes);
    return ret;
}

static int read_state(const struct container *container, struct container_state *out,
                      struct husk_error *err)
{
    char where[sizeof(container->path) + sizeof(CONTAINER_STATE_FILE) + 1], *bytes;
    size_t len;
    int ret = read_record(container, CONTAINER_STATE_FILE, 2 * (size_t)CONTAINER_STATE_BYTES,
                          &bytes, &len, err);

    if (ret)
        return ret;
    snprintf(where, sizeof(where), "%s/" CONTAINER_STATE_FILE, container->path);
    ret = container_state_decode(bytes, len, where, out, err);
    free(bytes);
    return ret;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Its process may have ended before the supervisor did: then only the status is out of date. */
static void mark(const struct container *container, struct container_state *state)
{
    struct container_spec spec;

    state->status = CONTAINER_EXITED;
    if (!state->ended) {
        state->ended = true;
        state->exit = (struct container_exit){.status = STATUS_SUPERVISOR_DIED};
        state->finished_ns = now_ns();
        snprintf(state->error, sizeof(state->error), "%s",
                 "the container's supervisor ended without a word: it was killed, or the host "
                 "stopped");
    }
    if (container_load_spec(container, &spec, NULL))
        return;
    /* Where it cannot be written the next one who looks finds the same out. */
    (void)container_save_state(container, state, spec.created_ns, NULL);
    container_spec_clear(&spec);
}

int container_load_state(const struct container *container, struct container_state *out,
                         struct husk_error *err)
{
    bool alive = container_alive(container); /* before: who has ended since has written */
    int ret = read_state(container, out, err);

    if (ret || alive || out->status == CONTAINER_EXITED)
        return ret;
    if (container->lock >= 0)
        ret = container_lock_mark(container->lock);
    if (ret)
        return container_error(container, -ret, CONTAINER_LOCK_FILE, "cannot be locked", err);
    ret = read_state(container, out, err);
    if (ret == 0 && out->status != CONTAINER_EXITED)
        mark(container, out);
    if (container->lock >= 0)
        container_unlock_mark(container->lock);
    return ret;
}
