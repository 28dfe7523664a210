// SPDX-License-Identifier: Apache-2.0
/* Networks of pods that are gone: pod_network_collect() of network.h. No state. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/network/gc.h"
#include "pod/network/network.h"
#include "pod/network/record.h"
#include "pod/network/ways.h"

struct collecting {
    bool (*exists)(void *opaque, const char *id, const char *directory);
    void *opaque;
    const struct network_state *state;
};

/* 1 when it was taken back. */
static int collect_one(const struct collecting *collecting, const char *name,
                       struct husk_error *err)
{
    struct network_record record;
    int ret = network_record_read(collecting->state->pods, name, &record, err);

    if (ret == -ENOENT) /* its pod was faster */
        return 0;
    if (!ret && !collecting->exists(collecting->opaque, record.id, record.directory)) {
        ret = network_hangs(&record, err);
        if (!ret)
            ret = network_take_back(&record, -1, err);
        if (!ret)
            network_gc_want(collecting->state, &record);
        ret = ret ? ret : 1;
    }
    network_record_end(&record);
    return ret;
}

/* What writers that were killed have left of a record: ".ID.json.new", and ".ID.lock" where there
 * is no record of that pod. */
static bool is_unfinished(int pods, const char *name)
{
    char id[STATE_ID_BYTES], record[STATE_ID_BYTES + 8];

    if (name[0] != '.' || strlen(name) <= sizeof(id))
        return false;
    snprintf(id, sizeof(id), "%s", name + 1);
    if (!strcmp(name + sizeof(id), ".json.new"))
        return true;
    snprintf(record, sizeof(record), "%s.json", id);
    return !strcmp(name + sizeof(id), ".lock") &&
           faccessat(pods, record, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* Records are written with the lock held, and a pod's lock comes after its record: with the lock,
 * nobody is at it. Else it is for who looks next. */
static void collect_unfinished(const struct network_state *state, const char *name)
{
    if (!is_unfinished(state->pods, name) || network_state_try_lock(state))
        return;
    if (is_unfinished(state->pods, name))
        (void)unlinkat(state->pods, name, 0);
    network_state_unlock(state);
}

static int collect_all(const struct collecting *collecting, struct husk_error *err)
{
    int fd = openat(collecting->state->pods, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    int count = 0, failed = 0;
    struct husk_error later;
    struct dirent *entry;

    if (!list) {
        failed = error_set(err, errno, STATE_DIRECTORY "/pods", "cannot look for networks", NULL);
        close_fd(&fd);
        return failed;
    }
    while ((entry = readdir(list))) {
        int ret;

        if (entry->d_name[0] == '.') {
            collect_unfinished(collecting->state, entry->d_name);
            continue;
        }
        ret = collect_one(collecting, entry->d_name, failed ? &later : err);
        if (ret < 0 && !failed)
            failed = ret;
        count += ret > 0;
    }
    closedir(list);
    return failed ? failed : count;
}

int pod_network_collect(bool (*exists)(void *opaque, const char *id, const char *directory),
                        void *opaque, struct husk_error *err)
{
    struct network_state state;
    const struct collecting collecting = {.exists = exists, .opaque = opaque, .state = &state};
    struct husk_error later;
    int count, ret;

    if (geteuid() || access(STATE_DIRECTORY, F_OK) < 0)
        return 0;
    ret = network_state_open(&state, err);
    if (ret)
        return ret;
    count = collect_all(&collecting, err);
    ret = network_gc(&state, count < 0 ? &later : err);
    network_state_close(&state);
    return count < 0 || !ret ? count : ret;
}
