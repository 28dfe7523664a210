// SPDX-License-Identifier: Apache-2.0
/* The containers of this host, and their records in their directories: see containers.h. */
#include "pod/supervisor/containers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "pod/machine/scratch.h"
#include "pod/store/kinds.h"
#include "pod/store/spawn.h"

#define STATUS_SUPERVISOR_DIED 255

static int read_id(const struct entry *container, char id[ENTRY_ID_BYTES])
{
    struct container_spec spec;
    int ret = container_load_spec(container, &spec, NULL);

    if (ret)
        return ret;
    memcpy(id, spec.id, ENTRY_ID_BYTES);
    container_spec_clear(&spec);
    return 0;
}

_Static_assert(CONTAINER_ID_BYTES == ENTRY_ID_BYTES, "ids are of one length");
_Static_assert(CONTAINER_NAME_BYTES <= ENTRY_NAME_BYTES, "a name fits into an entry");

const struct entry_kind container_kind = {
    .one = "container",
    .many = "containers",
    .format = CONTAINERS_FORMAT,
    .variable = CONTAINERS_VARIABLE,
    .leaf = CONTAINERS_LEAF,
    .verb = "supervise",
    .starter = "`husk run`",
    .list_hint = "`husk ps -a` lists all",
    .taken_hint = "`husk rm` removes it, or give this one another name",
    .name_rule = "1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit",
    .state_bytes = 4096,
    .name_valid = container_name_valid,
    .read_id = read_id,
};

int container_store_default(char *path, size_t size, struct husk_error *err)
{
    return entry_store_default(&container_kind, path, size, err);
}

int container_store_open(const char *path, bool create, struct entry_store **out,
                         struct husk_error *err)
{
    return entry_store_open(&container_kind, path, create, out, err);
}

int container_create(struct entry_store *store, const struct container_spec *spec, bool alive,
                     struct entry **out, struct husk_error *err)
{
    struct container_state state = {.status = CONTAINER_CREATED};
    json_t *spec_json = container_spec_encode(spec);
    json_t *state_json = container_state_encode(&state, spec->created_ns);
    const struct entry_first first = {.name = spec->name,
                                      .spec = spec_json,
                                      .spec_max = CONTAINER_SPEC_MAX,
                                      .state = state_json,
                                      .alive = alive};
    int ret = spec_json && state_json ? entry_create(store, &first, out, err)
                                      : error_set(err, ENOMEM, spec->name, "cannot be made", NULL);

    json_decref(spec_json);
    json_decref(state_json);
    return ret;
}

int container_save_state(const struct entry *container, const struct container_state *state,
                         uint64_t created_ns, struct husk_error *err)
{
    json_t *json = container_state_encode(state, created_ns);
    int ret = json ? entry_write_state(container, json, state->ended, err)
                   : entry_error(container, ENOMEM, ENTRY_STATE_FILE, "cannot be written", err);

    json_decref(json);
    return ret;
}

/* Reading. */

int container_load_spec(const struct entry *container, struct container_spec *out,
                        struct husk_error *err)
{
    char where[sizeof(container->path) + sizeof(ENTRY_SPEC_FILE) + 1], *bytes;
    size_t len;
    int ret = entry_read(container, ENTRY_SPEC_FILE, CONTAINER_SPEC_MAX, &bytes, &len, err);

    if (ret)
        return ret;
    snprintf(where, sizeof(where), "%s/" ENTRY_SPEC_FILE, container->path);
    ret = container_spec_decode(bytes, len, where, out, err);
    free(bytes);
    return ret;
}

static int read_state(const struct entry *container, void *arg, struct husk_error *err)
{
    char where[sizeof(container->path) + sizeof(ENTRY_STATE_FILE) + 1], *bytes;
    size_t len;
    int ret = entry_read(container, ENTRY_STATE_FILE, 2 * container->kind->state_bytes, &bytes,
                         &len, err);

    if (ret)
        return ret;
    snprintf(where, sizeof(where), "%s/" ENTRY_STATE_FILE, container->path);
    ret = container_state_decode(bytes, len, where, arg, err);
    free(bytes);
    return ret;
}

/* One that has ended, or that nobody has started yet. */
static bool is_at_rest(const struct entry *container, const void *arg)
{
    const struct container_state *state = arg;

    return state->status == CONTAINER_EXITED ||
           (state->status == CONTAINER_CREATED && !entry_was_alive(container));
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Its process may have ended before the supervisor did: then only the status is out of date. The
 * disk of a machine that was cut off is never mounted again. */
static void mark(const struct entry *container, void *arg)
{
    struct container_state *state = arg;
    struct container_spec spec;

    (void)unlinkat(container->dir, SCRATCH_FILE, 0);
    state->status = CONTAINER_EXITED;
    state->machine_pid = 0;
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

int container_load_state(const struct entry *container, struct container_state *out,
                         struct husk_error *err)
{
    static const struct entry_reader reader = {
        .read = read_state, .is_final = is_at_rest, .mark = mark};

    return entry_read_state(container, &reader, out, err);
}

/* Before it is alive: what its last supervisor did not get to say, and what is left of its disk. */
static int before_start(struct entry *container, void *arg, struct husk_error *err)
{
    bool *fresh = arg;
    struct container_state state;
    int ret = read_state(container, &state, err);

    if (ret)
        return ret;
    if (!is_at_rest(container, &state))
        mark(container, &state);
    *fresh = faccessat(container->dir, SCRATCH_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
    return 0;
}

int container_start(struct entry_store *store, struct entry *container, const char *program,
                    bool *fresh, struct husk_error *err)
{
    int ret = entry_revive(store, container, before_start, fresh, err);

    return ret ? ret : entry_spawn(container, program, err);
}

static int tidy_one(void *arg, struct entry *container)
{
    struct entry_store *store = arg;
    struct container_state state;
    struct container_spec spec;

    if (entry_alive(container) || container_load_state(container, &state, NULL) ||
        container_load_spec(container, &spec, NULL))
        return 0;
    if (spec.remove && state.status == CONTAINER_EXITED)
        (void)entry_remove(store, container, NULL);
    container_spec_clear(&spec);
    return 0;
}

int container_store_tidy(struct entry_store *store, struct husk_error *err)
{
    return entry_store_tidy(store, tidy_one, store, err);
}
