// SPDX-License-Identifier: Apache-2.0
/* The record of a pod's network: see record.h. */
#include "pod/network/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

#define VERSION     1
#define NAME_DIGITS 12 /* of the id, in names of interfaces and namespaces */
#define COPY_BYTES  (STATE_ID_BYTES + 8)
#define PAUSE_MS    5
#define RETRY_S     600u /* after what took too long; doubled each time */
#define RETRY_MAX_S 86400u
#define TIMES_MAX   1000u

static const char wrong[] = "cannot record the pod's network";

static int name_things(struct network_record *record, const char *where, struct husk_error *err)
{
    if (strlen(record->id) != STATE_ID_BYTES - 1 ||
        strspn(record->id, "0123456789abcdef") != STATE_ID_BYTES - 1)
        return error_set(err, EINVAL, where, wrong, "the id is none");
    snprintf(record->tap, sizeof(record->tap), "hk%.*s", NAME_DIGITS, record->id);
    snprintf(record->netns, sizeof(record->netns), "husk-%.*s", NAME_DIGITS, record->id);
    return 0;
}

/* By which the host's copy knows whose it is. */
static void find_directory(int dir, char path[RECORD_PATH_BYTES])
{
    char link[64];
    ssize_t len;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    len = readlink(link, path, RECORD_PATH_BYTES);
    if (len < 0 || len == (ssize_t)RECORD_PATH_BYTES)
        len = 0;
    path[len] = '\0';
}

int network_record_begin(const struct pod_network_request *request, struct network_record *out,
                         struct husk_error *err)
{
    int ret;

    *out = (struct network_record){.cni = NULL};
    ret = network_mode_parse(request->mode, &out->mode, err);
    if (ret)
        return ret;
    memcpy(out->mode_text, request->mode, strlen(request->mode) + 1);
    snprintf(out->id, sizeof(out->id), "%s", request->id);
    if (strcmp(out->id, request->id) != 0)
        return error_set(err, EINVAL, "id", wrong, "it is too long");
    find_directory(request->dir, out->directory);
    return name_things(out, "id", err);
}

void network_record_end(struct network_record *record)
{
    json_decref(record->cni);
    json_decref(record->vf);
    record->cni = record->vf = NULL;
}

static int decode_hung(const json_t *document, const char *where, struct network_record *out,
                       struct husk_error *err)
{
    const json_t *hung;
    uint64_t times = 0;
    int ret = image_json_member(document, "hung", JSON_OBJECT, false, &hung, where, err);

    if (ret || !hung)
        return ret;
    ret = image_json_u64(hung, "at", INT64_MAX, &out->hung_at_s, where, err);
    if (!ret)
        ret = image_json_u64(hung, "times", TIMES_MAX, &times, where, err);
    out->hung_times = (unsigned)times;
    return ret;
}

int network_record_decode(const json_t *document, const char *where, struct network_record *out,
                          struct husk_error *err)
{
    const json_t *cni = NULL, *vf = NULL;
    uint64_t version;
    int ret;

    *out = (struct network_record){.cni = NULL};
    ret = image_json_u64(document, "version", INT32_MAX, &version, where, err);
    if (!ret && version != VERSION)
        ret = error_set(err, EPROTONOSUPPORT, where, wrong, "version %llu is not known",
                        (unsigned long long)version);
    if (!ret)
        ret = image_json_text(document, "id", true, out->id, sizeof(out->id), where, err);
    if (!ret)
        ret = name_things(out, where, err);
    if (!ret)
        ret = image_json_text(document, "mode", true, out->mode_text, sizeof(out->mode_text), where,
                              err);
    if (!ret)
        ret = network_mode_parse(out->mode_text, &out->mode, err);
    if (!ret)
        ret = image_json_text(document, "directory", false, out->directory, sizeof(out->directory),
                              where, err);
    if (!ret)
        ret = image_json_member(document, "cni", JSON_OBJECT, out->mode.kind == NETWORK_CNI, &cni,
                                where, err);
    if (!ret)
        ret = image_json_member(document, "vf", JSON_OBJECT, false, &vf, where, err);
    if (!ret)
        ret = decode_hung(document, where, out, err);
    if (!ret) {
        out->cni = json_incref((json_t *)cni);
        out->vf = json_incref((json_t *)vf);
    }
    return ret;
}

int network_record_read(int dir, const char *name, struct network_record *out,
                        struct husk_error *err)
{
    json_t *document;
    int ret = network_state_read_json(dir, name, name, &document, err);

    *out = (struct network_record){.cni = NULL};
    if (!ret)
        ret = network_record_decode(document, name, out, err);
    json_decref(document);
    return ret;
}

static int open_lock(const struct network_record *record, const struct network_state *state)
{
    char name[COPY_BYTES];
    int fd;

    snprintf(name, sizeof(name), ".%s.lock", record->id);
    fd = openat(state->pods, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

int network_record_hold(const struct network_record *record, const struct network_state *state)
{
    int fd = open_lock(record, state);

    if (fd >= 0 && flock(fd, LOCK_SH) < 0) {
        int ret = -errno;

        close_fd(&fd);
        return ret;
    }
    return fd;
}

int network_record_have_alone(const struct network_record *record,
                              const struct network_state *state)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
    int fd = open_lock(record, state);

    for (unsigned i = 0; fd >= 0 && i < STATE_LOCK_MS / PAUSE_MS; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            break;
        nanosleep(&pause, NULL);
    }
    return fd;
}

static void copy_name(const struct network_record *record, char name[COPY_BYTES])
{
    snprintf(name, COPY_BYTES, "%s.json", record->id);
}

static uint64_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec;
}

bool network_record_hangs(const struct network_record *record)
{
    uint64_t wait_s = RETRY_S, now = now_s();

    for (unsigned i = 1; i < record->hung_times && wait_s < RETRY_MAX_S; i++)
        wait_s *= 2;
    if (wait_s > RETRY_MAX_S)
        wait_s = RETRY_MAX_S;
    /* A clock that was set back says nothing. */
    return record->hung_times && now >= record->hung_at_s && now - record->hung_at_s < wait_s;
}

/* Under the lock, for who removes what killed writers have left (collect.c). */
static int save_copy(const char *name, const json_t *document, const struct network_state *state,
                     struct husk_error *err)
{
    int ret = network_state_lock(state, err);

    if (ret)
        return ret;
    ret = network_state_write_json(state->pods, name, document);
    network_state_unlock(state);
    return ret ? error_set(err, -ret, RECORD_FILE, wrong, NULL) : 0;
}

/* NULL without memory. */
static json_t *encode(const struct network_record *record)
{
    json_t *hung = record->hung_times ? json_pack("{s:I, s:i}", "at", (json_int_t)record->hung_at_s,
                                                  "times", (int)record->hung_times)
                                      : NULL;

    return json_pack("{si ss ss ss* sO* sO* so*}", "version", VERSION, "id", record->id, "mode",
                     record->mode_text, "directory",
                     record->directory[0] ? record->directory : NULL, "cni", record->cni, "vf",
                     record->vf, "hung", hung);
}

int network_record_save(const struct network_record *record, const struct network_state *state,
                        int dir, struct husk_error *err)
{
    json_t *document = encode(record);
    char copy[COPY_BYTES];
    int ret;

    if (!document)
        return error_set(err, ENOMEM, RECORD_FILE, wrong, NULL);
    copy_name(record, copy);
    /* The host's first: what the pod's directory tells is then always found without it, too. */
    ret = save_copy(copy, document, state, err);
    if (!ret && dir >= 0) {
        ret = network_state_write_json(dir, RECORD_FILE, document);
        if (ret)
            error_set(err, -ret, RECORD_FILE, wrong, NULL);
    }
    json_decref(document);
    return ret;
}

void network_record_note_hung(const struct network_record *record,
                              const struct network_state *state, int dir)
{
    struct network_record noted = *record; /* what it has stays the other's */

    noted.hung_at_s = now_s();
    noted.hung_times += noted.hung_times < TIMES_MAX;
    (void)network_record_save(&noted, state, dir, NULL);
}

int network_record_remove(const struct network_record *record, const struct network_state *state,
                          int dir, struct husk_error *err)
{
    char copy[COPY_BYTES];
    int ret = 0;

    copy_name(record, copy);
    if (dir >= 0)
        ret = network_state_remove(dir, RECORD_FILE);
    if (!ret)
        ret = network_state_remove(state->pods, copy);
    snprintf(copy, sizeof(copy), ".%s.lock", record->id);
    if (!ret)
        ret = network_state_remove(state->pods, copy);
    return ret ? error_set(err, -ret, RECORD_FILE, "cannot remove the record of a network", NULL)
               : 0;
}
