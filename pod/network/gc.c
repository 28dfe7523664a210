// SPDX-License-Identifier: Apache-2.0
/* Having CNI networks collect: see gc.h. No state but the notes in gc/ (state.h). */
#include "pod/network/gc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/network/cni.h"
#include "pod/network/cni_conf.h"

#define CACHED_MAX (1u << 20)
#define NOTE_BYTES (MODE_BYTES + 8)

void network_gc_want(const struct network_state *state, const struct network_record *record)
{
    const json_t *list = json_object_get(record->cni, "list");
    char note[NOTE_BYTES];

    if (record->mode.kind != NETWORK_CNI || cni_conf_check(list, RECORD_FILE, NULL) ||
        !cni_can_collect(list) || json_is_true(json_object_get(list, "disableGC")))
        return;
    snprintf(note, sizeof(note), "%s.json", record->mode.name);
    (void)network_state_write_json(state->gc, note, list);
}

/* ---- what is valid ---- */

static int add_valid(json_t *valid, const char *container, const char *interface)
{
    json_t *one = json_pack("{s:s, s:s}", "containerID", container, "ifname", interface);

    return json_array_append_new(valid, one) ? -ENOMEM : 0;
}

/* Records of pods: one of another network is passed over, one that cannot be read is not. */
static int add_record(json_t *valid, int pods, const char *name, const char *network)
{
    struct network_record record;
    int ret = network_record_read(pods, name, &record, NULL);

    if (!ret && record.mode.kind == NETWORK_CNI && !strcmp(record.mode.name, network))
        ret = add_valid(valid, record.id, CNI_INTERFACE);
    network_record_end(&record);
    return ret == -ENOENT ? 0 : ret;
}

/* A file of libcni's cache; what is none of one attachment is passed over. */
static int add_cached(json_t *valid, int results, const char *name, const char *network)
{
    json_t *cached = NULL;
    const char *of = NULL, *container = NULL, *interface = NULL;
    char *bytes;
    size_t len;
    int ret = read_file_at(results, name, CACHED_MAX, &bytes, &len);

    if (ret)
        return ret == -ENOENT ? 0 : ret;
    cached = json_loadb(bytes, len, 0, NULL);
    free(bytes);
    if (!json_unpack(cached, "{s:s, s:s, s:s}", "networkName", &of, "containerId", &container,
                     "ifName", &interface) &&
        !strcmp(of, network))
        ret = add_valid(valid, container, interface);
    json_decref(cached);
    return ret;
}

static int add_all(json_t *valid, int dir, const char *network,
                   int (*add)(json_t *valid, int dir, const char *name, const char *network))
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!list) {
        ret = -errno;
        close_fd(&fd);
        return ret;
    }
    while (!ret && (entry = readdir(list))) {
        if (entry->d_name[0] != '.')
            ret = add(valid, dir, entry->d_name, network);
    }
    closedir(list);
    return ret;
}

json_t *network_gc_valid(int pods, int results, const char *network)
{
    json_t *valid = json_array();
    int ret = valid ? add_all(valid, pods, network, add_record) : -ENOMEM;

    if (!ret && results >= 0)
        ret = add_all(valid, results, network, add_cached);
    if (!ret)
        return valid;
    json_decref(valid);
    return NULL;
}

/* ---- collecting ---- */

static int collect(const struct network_state *state, const json_t *list, struct husk_error *err)
{
    const char *network = json_string_value(json_object_get(list, "name"));
    int results = open(GC_CACHE_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
    json_t *valid = NULL;

    if (results >= 0 || errno == ENOENT)
        valid = network_gc_valid(state->pods, results, network);
    close_fd(&results);
    if (!valid)
        return error_set(err, EIO, network, "cannot collect what is left on the CNI network",
                         "who is on it is not known");
    ret = cni_collect(list, valid, POD_NETWORK_PLUGIN_MS, err);
    json_decref(valid);
    return ret;
}

static int follow_note(const struct network_state *state, const char *name, struct husk_error *err)
{
    json_t *list = NULL;
    int ret = network_state_read_json(state->gc, name, name, &list, err);

    if (!ret)
        ret = cni_conf_check(list, name, err);
    if (!ret)
        ret = collect(state, list, err);
    json_decref(list);
    if (unlinkat(state->gc, name, 0) < 0 && errno != ENOENT && !ret)
        ret = error_set(err, errno, name, "cannot remove the note", NULL);
    return ret;
}

int network_gc(const struct network_state *state, struct husk_error *err)
{
    int fd = openat(state->gc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), first = 0;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    struct husk_error later;
    struct dirent *entry;
    bool alone = false;

    if (!list) {
        close_fd(&fd);
        return 0;
    }
    while ((entry = readdir(list))) {
        int ret;

        if (entry->d_name[0] == '.')
            continue;
        if (!alone && network_state_have_alone(state))
            break;
        alone = true;
        ret = follow_note(state, entry->d_name, first ? &later : err);
        first = first ? first : ret;
    }
    if (alone)
        network_state_unshare(state);
    closedir(list);
    return first;
}
