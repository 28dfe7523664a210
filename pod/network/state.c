// SPDX-License-Identifier: Apache-2.0
/* What husk keeps of networks for the whole host: see state.h. No state of its own. */
#include "pod/network/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

#define NEW_NAME      ".new"
#define DOCUMENT_MAX  IMAGE_JSON_BYTES_MAX
#define LOCK_PAUSE_MS 5

static const char wrong[] = "cannot keep the records of networks";

/* ---- the directory ---- */

static int open_below(int parent, const char *name)
{
    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    parent = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return parent < 0 ? -errno : parent;
}

int network_state_open(struct network_state *state, struct husk_error *err)
{
    const struct {
        const char *name;
        int *fd;
    } parts[] = {{"leases", &state->leases},       {"ports", &state->ports}, {"vfs", &state->vfs},
                 {"addresses", &state->addresses}, {"pods", &state->pods},   {"gc", &state->gc}};
    int run = -1, ret = 0;

    *state = (struct network_state){
        .dir = -1, .leases = -1, .ports = -1, .vfs = -1, .addresses = -1, .pods = -1, .gc = -1};
    if (mkdir("/run/husk", 0700) < 0 && errno != EEXIST)
        ret = -errno;
    if (!ret && (run = open("/run/husk", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        ret = -errno;
    if (!ret && (state->dir = open_below(run, "network")) < 0)
        ret = state->dir;
    for (size_t i = 0; !ret && i < ARRAY_SIZE(parts); i++) {
        *parts[i].fd = open_below(state->dir, parts[i].name);
        ret = *parts[i].fd < 0 ? *parts[i].fd : 0;
    }
    close_fd(&run);
    if (!ret)
        return 0;
    network_state_close(state);
    return error_set(err, -ret, STATE_DIRECTORY, wrong, NULL);
}

void network_state_close(struct network_state *state)
{
    close_fd(&state->dir);
    close_fd(&state->leases);
    close_fd(&state->ports);
    close_fd(&state->vfs);
    close_fd(&state->addresses);
    close_fd(&state->pods);
    close_fd(&state->gc);
}

static int lock(int fd, int how, struct husk_error *err)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000};

    for (unsigned i = 0; i < STATE_LOCK_MS / LOCK_PAUSE_MS; i++) {
        if (flock(fd, how | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set(err, errno, STATE_DIRECTORY, wrong, "they cannot be locked");
        nanosleep(&pause, NULL);
    }
    return error_set(err, ETIMEDOUT, STATE_DIRECTORY, wrong, "another process has them locked");
}

int network_state_lock(const struct network_state *state, struct husk_error *err)
{
    return lock(state->dir, LOCK_EX, err);
}

int network_state_try_lock(const struct network_state *state)
{
    return flock(state->dir, LOCK_EX | LOCK_NB) < 0 ? -EBUSY : 0;
}

int network_state_share(const struct network_state *state, struct husk_error *err)
{
    return lock(state->pods, LOCK_SH, err);
}

int network_state_have_alone(const struct network_state *state)
{
    return flock(state->pods, LOCK_EX | LOCK_NB) < 0 ? -EBUSY : 0;
}

void network_state_unshare(const struct network_state *state)
{
    (void)flock(state->pods, LOCK_UN);
}

void network_state_unlock(const struct network_state *state)
{
    (void)flock(state->dir, LOCK_UN);
}

/* ---- files ---- */

/* Where a file is written until it is whole; a killed writer leaves it. */
static int new_name(char *out, size_t size, const char *name)
{
    return (size_t)snprintf(out, size, ".%s" NEW_NAME, name) >= size ? -ENAMETOOLONG : 0;
}

int network_state_write(int dir, const char *name, const char *text)
{
    char beside[NAME_MAX + 1];
    int fd, ret = new_name(beside, sizeof(beside), name);

    if (ret)
        return ret;
    fd = openat(dir, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ret = write_full(fd, text, strlen(text));
    if (!ret)
        ret = write_full(fd, "\n", 1);
    if (!ret && fsync(fd) < 0)
        ret = -errno;
    close_fd(&fd);
    if (!ret && renameat(dir, beside, dir, name) < 0)
        ret = -errno;
    if (ret)
        (void)unlinkat(dir, beside, 0);
    else if (fsync(dir) < 0)
        ret = -errno;
    return ret;
}

int network_state_remove(int dir, const char *name)
{
    char beside[NAME_MAX + 1];
    int ret = new_name(beside, sizeof(beside), name);

    if (!ret && unlinkat(dir, beside, 0) < 0 && errno != ENOENT)
        ret = -errno;
    if (!ret && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        ret = -errno;
    return ret;
}

int network_state_write_json(int dir, const char *name, const json_t *document)
{
    char *text = json_dumps(document, JSON_INDENT(1));
    int ret = text ? network_state_write(dir, name, text) : -ENOMEM;

    free(text);
    return ret;
}

int network_state_read_json(int dir, const char *name, const char *where, json_t **out,
                            struct husk_error *err)
{
    char *bytes;
    size_t len;
    int ret = read_file_at(dir, name, DOCUMENT_MAX, &bytes, &len);

    *out = NULL;
    if (ret)
        return error_set(err, -ret, where, "cannot read the record of a network", NULL);
    *out = image_json_parse(bytes, len, where, err);
    free(bytes);
    return *out ? 0 : -EINVAL;
}

/* ---- claims ---- */

/* Who has it: "" when it is nobody's. */
static void owner_of(int dir, const char *name, char id[STATE_ID_BYTES])
{
    char *bytes;
    size_t len;

    id[0] = '\0';
    if (read_file_at(dir, name, STATE_ID_BYTES, &bytes, &len))
        return;
    if (len > 0 && bytes[len - 1] == '\n')
        len--;
    if (len < STATE_ID_BYTES) {
        memcpy(id, bytes, len);
        id[len] = '\0';
    }
    free(bytes);
}

bool network_claimed(int dir, const char *name, const char *id)
{
    char owner[STATE_ID_BYTES];

    owner_of(dir, name, owner);
    return owner[0] && strcmp(owner, id) != 0;
}

int network_claim(int dir, const char *name, const char *id)
{
    return network_claimed(dir, name, id) ? -EEXIST : network_state_write(dir, name, id);
}

int network_claims(int dir, const char *id, int (*take)(void *opaque, const char *name),
                   void *opaque)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    char owner[STATE_ID_BYTES];
    struct dirent *entry;

    if (!list) {
        ret = -errno;
        close_fd(&fd);
        return ret;
    }
    while (!ret && (entry = readdir(list))) {
        if (entry->d_name[0] == '.')
            continue;
        owner_of(dir, entry->d_name, owner);
        if (id ? !strcmp(owner, id) : owner[0] != '\0')
            ret = take(opaque, entry->d_name);
    }
    closedir(list);
    return ret;
}

static int unclaim(void *opaque, const char *name)
{
    const int *dir = opaque;

    return unlinkat(*dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int network_unclaim(int dir, const char *id)
{
    return network_claims(dir, id, unclaim, &dir);
}
