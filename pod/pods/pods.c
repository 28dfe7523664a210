// SPDX-License-Identifier: Apache-2.0
/* The pods of this host, and their records in their directories: see pods.h. */
#include "pod/pods/pods.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/network/network.h"
#include "pod/pods/lost.h"
#include "pod/store/files.h"
#include "pod/store/kinds.h"
#include "pod/store/spawn.h"

#define NETWORK_FILE "network.json"
#define LEAVE_TRIES  2000u /* looks at a supervisor whose pod has ended */
#define LEAVE_NS     5000000

static int read_id(const struct entry *pod, char id[ENTRY_ID_BYTES])
{
    struct pod_record record;
    int ret = pod_load_record(pod, &record, NULL);

    if (ret)
        return ret;
    memcpy(id, record.uid, ENTRY_ID_BYTES);
    pod_record_clear(&record);
    return 0;
}

_Static_assert(POD_UID_BYTES == ENTRY_ID_BYTES, "ids are of one length");
_Static_assert(POD_KEY_BYTES <= ENTRY_NAME_BYTES, "a key fits into an entry");

const struct entry_kind pod_kind = {
    .one = "pod",
    .many = "pods",
    .format = PODS_FORMAT,
    .variable = PODS_VARIABLE,
    .leaf = PODS_LEAF,
    .verb = "supervise-pod",
    .starter = "`husk pod start`",
    .list_hint = "`husk pod ps` lists all",
    .taken_hint = "`husk pod rm` removes it, or give this one another name",
    .name_rule = "a name, or NAMESPACE_NAME, each 1 to 63 of a-z 0-9 . -",
    .state_bytes = POD_STATE_BYTES,
    .name_valid = pod_key_valid,
    .read_id = read_id,
};

int pod_store_default(char *path, size_t size, struct husk_error *err)
{
    return entry_store_default(&pod_kind, path, size, err);
}

int pod_store_open(const char *path, bool create, struct entry_store **out, struct husk_error *err)
{
    return entry_store_open(&pod_kind, path, create, out, err);
}

/* ---- spec.json ---- */

int pod_create(struct entry_store *store, const struct pod_record *record, struct entry **out,
               struct husk_error *err)
{
    struct pod_state state = {.status = json_pack("{s:s}", "phase", "Pending")};
    json_t *record_json = pod_record_encode(record), *state_json = pod_state_encode(&state);
    const struct entry_first first = {
        .name = record->key, .spec = record_json, .spec_max = POD_RECORD_MAX, .state = state_json};
    struct entry *pod = NULL;
    int ret = record_json && state_json
                  ? entry_create(store, &first, &pod, err)
                  : error_set(err, ENOMEM, record->key, "cannot be made", NULL);

    json_decref(record_json);
    json_decref(state_json);
    pod_state_clear(&state);
    if (out)
        *out = pod;
    else
        entry_close(pod);
    return ret;
}

int pod_load_record_of(const struct entry *pod, const char *file, struct pod_record *out,
                       struct husk_error *err)
{
    char where[sizeof(pod->path) + 64], *bytes;
    size_t len;
    int ret = entry_read(pod, file, POD_RECORD_MAX, &bytes, &len, err);

    if (ret)
        return ret;
    snprintf(where, sizeof(where), "%s/%.60s", pod->path, file);
    ret = pod_record_decode(bytes, len, where, out, err);
    free(bytes);
    return ret;
}

int pod_load_record(const struct entry *pod, struct pod_record *out, struct husk_error *err)
{
    return pod_load_record_of(pod, ENTRY_SPEC_FILE, out, err);
}

int pod_save_record(const struct entry *pod, const struct pod_record *record,
                    struct husk_error *err)
{
    json_t *json = pod_record_encode(record);
    int ret = json ? entry_write_spec(pod, json, POD_RECORD_MAX, err)
                   : entry_error(pod, ENOMEM, ENTRY_SPEC_FILE, "cannot be written", err);

    json_decref(json);
    return ret;
}

/* ---- state.json ---- */

int pod_save_state(const struct entry *pod, const struct pod_state *state, struct husk_error *err)
{
    json_t *json = pod_state_encode(state);
    int ret = json ? entry_write_state(pod, json, pod_state_ended(state), err)
                   : entry_error(pod, ENOMEM, ENTRY_STATE_FILE, "cannot be written", err);

    json_decref(json);
    return ret;
}

static int read_state(const struct entry *pod, void *arg, struct husk_error *err)
{
    char where[sizeof(pod->path) + sizeof(ENTRY_STATE_FILE) + 1], *bytes;
    struct pod_state *state = arg;
    size_t len;
    int ret = entry_read(pod, ENTRY_STATE_FILE, 2 * (size_t)POD_STATE_BYTES, &bytes, &len, err);

    if (ret)
        return ret;
    snprintf(where, sizeof(where), "%s/" ENTRY_STATE_FILE, pod->path);
    pod_state_clear(state);
    ret = pod_state_decode(bytes, len, where, state, err);
    free(bytes);
    return ret;
}

/* It has ended, or has removed itself. */
static bool end_is_recorded(const struct entry *pod)
{
    struct pod_state state = {.status = NULL};
    int ret = read_state(pod, &state, NULL);
    bool ended = ret == -ENOENT || (!ret && pod_state_ended(&state));

    pod_state_clear(&state);
    return ended;
}

bool pod_is_over(const struct entry *pod)
{
    const struct timespec moment = {.tv_nsec = LEAVE_NS};

    for (unsigned i = 0; entry_alive(pod); i++) {
        if (i == LEAVE_TRIES || !end_is_recorded(pod))
            return false;
        nanosleep(&moment, NULL);
    }
    return true;
}

static bool has_network(const struct entry *pod)
{
    return faccessat(pod->dir, NETWORK_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* One that no supervisor has, and that has nothing on the host. */
static bool is_at_rest(const struct entry *pod, const void *arg)
{
    const struct pod_state *state = arg;

    return (state->supervisor_pid == 0 || pod_state_ended(state)) && !has_network(pod);
}

/* For who holds the lock that marks. What cannot be taken back keeps network.json there, and with
 * it the reason to come here again. */
static int take_back(const struct entry *pod, struct pod_state *state, bool only_looks,
                     struct husk_error *err)
{
    int ret = only_looks ? pod_network_tidy(pod->dir, err) : pod_network_down(pod->dir, err);

    (void)unlinkat(pod->dir, "scratch.img", 0);
    if (state->supervisor_pid == 0 || pod_state_ended(state))
        return ret;
    state->machine_pid = 0;
    if (lost_mark(state))
        return error_set(err, ENOMEM, pod->name, "cannot be marked", NULL);
    /* Where it cannot be written the next one who looks finds the same out. */
    (void)pod_save_state(pod, state, NULL);
    return ret;
}

static void mark(const struct entry *pod, void *arg)
{
    (void)take_back(pod, arg, true, NULL);
}

int pod_load_state(const struct entry *pod, struct pod_state *out, struct husk_error *err)
{
    static const struct entry_reader reader = {
        .read = read_state, .is_final = is_at_rest, .mark = mark};

    memset(out, 0, sizeof(*out));
    return entry_read_state(pod, &reader, out, err);
}

/* ---- start and removal ---- */

struct starting {
    bool remove;
};

/* Before it is alive: what the last supervisor left is taken back, or a new one would be stopped by
 * it. */
static int before_start(struct entry *pod, void *arg, struct husk_error *err)
{
    const struct starting *starting = arg;
    struct pod_record record = {.remove = false};
    struct pod_state state = {.status = NULL};
    int ret = read_state(pod, &state, err);

    if (ret == 0)
        ret = take_back(pod, &state, false, err);
    pod_state_clear(&state);
    if (ret == 0)
        ret = pod_load_record(pod, &record, err);
    if (ret == 0 && record.remove != starting->remove) {
        record.remove = starting->remove;
        ret = pod_save_record(pod, &record, err);
    }
    pod_record_clear(&record);
    return ret;
}

int pod_start(struct entry_store *store, struct entry *pod, bool remove, const char *program,
              struct husk_error *err)
{
    struct starting starting = {.remove = remove};
    int ret;

    (void)pod_is_over(pod); /* else it is refused next */
    ret = entry_revive(store, pod, before_start, &starting, err);
    return ret ? ret : entry_spawn(pod, program, err);
}

/* A plugin that fails keeps the pod, unless it is to go without. */
static int leave_network(const struct entry *pod, struct pod_left *left, struct husk_error *err)
{
    struct husk_error why = {.code = 0};
    char text[sizeof(why.what) + sizeof(why.why)];
    int ret;

    if (!left) {
        ret = pod_network_down(pod->dir, &why);
        return ret ? error_set(err, -ret, pod->name,
                               "still has its network; removed by force it leaves that behind",
                               "%s", error_format(&why, text, sizeof(text)))
                   : 0;
    }
    ret = pod_network_abandon(pod->dir, &why, err);
    if (ret > 0) {
        left->some = true;
        left->why = why;
    }
    return ret < 0 ? ret : 0;
}

int pod_remove(struct entry_store *store, struct entry *pod, struct pod_left *left,
               struct husk_error *err)
{
    struct pod_state state = {.status = NULL};
    int ret = 0;

    if (pod_is_over(pod) && has_network(pod)) {
        /* Marks it, for that it stays; plugins that may hang are asked once less without. */
        if (!left && pod_load_state(pod, &state, NULL) == 0)
            pod_state_clear(&state);
        if (has_network(pod))
            ret = leave_network(pod, left, err);
    }
    return ret ? ret : entry_remove(store, pod, err);
}

static int tidy_one(void *arg, struct entry *pod)
{
    struct entry_store *store = arg;
    struct pod_state state;
    struct pod_record record;

    if (entry_alive(pod) || pod_load_state(pod, &state, NULL))
        return 0;
    if (pod_state_ended(&state) && pod_load_record(pod, &record, NULL) == 0) {
        if (record.remove)
            (void)pod_remove(store, pod, NULL, NULL);
        pod_record_clear(&record);
    }
    pod_state_clear(&state);
    return 0;
}

/* Whether the pod of a network's record is still there. One of another directory is its users'
 * matter, as is one of which that cannot be told. */
static bool is_there(void *opaque, const char *id, const char *directory)
{
    const char *store = opaque, *slash = strrchr(directory, '/');
    char path[PATH_MAX], *bytes;
    const char *uid;
    json_t *record;
    size_t len;
    bool there;
    int ret;

    if (!slash || (size_t)(slash - directory) != strlen(store) ||
        strncmp(directory, store, strlen(store)) != 0)
        return true;
    snprintf(path, sizeof(path), "%s/" ENTRY_SPEC_FILE, directory);
    ret = read_file_at(AT_FDCWD, path, POD_RECORD_MAX, &bytes, &len);
    if (ret)
        return ret != -ENOENT && ret != -ENOTDIR;
    record = json_loadb(bytes, len, 0, NULL);
    uid = json_string_value(json_object_get(record, "uid"));
    there = !uid || !strcmp(uid, id);
    json_decref(record);
    free(bytes);
    return there;
}

int pod_store_tidy(struct entry_store *store, struct husk_error *err)
{
    int ret = entry_store_tidy(store, tidy_one, store, err);
    char path[PATH_MAX];

    /* What cannot be taken back is tried again by the next who looks. */
    if (!ret && realpath(entry_store_path(store), path))
        (void)pod_network_collect(is_there, path, NULL);
    return ret;
}
