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
        ret = network_take_back(&record, -1, err);
        if (!ret)
            network_gc_want(collecting->state, &record);
        ret = ret ? ret : 1;
    }
    network_record_end(&record);
    return ret;
}

/* A record that was being written (".ID.json.new") when its writer was killed; of which pod's
 * directory is not known. */
static void collect_unfinished(const struct collecting *collecting, const char *name)
{
    char id[STATE_ID_BYTES];

    snprintf(id, sizeof(id), "%s", name + 1);
    if (strlen(id) == sizeof(id) - 1 && !strcmp(name + sizeof(id), ".json.new") &&
        !collecting->exists(collecting->opaque, id, ""))
        (void)unlinkat(collecting->state->pods, name, 0);
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
            collect_unfinished(collecting, entry->d_name);
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
