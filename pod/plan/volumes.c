// SPDX-License-Identifier: Apache-2.0
/*
 * spec.volumes: the agent's volumes "volume-0" and so on, by their place in the list; and the one
 * in which containers leave their termination messages. No state.
 */
#include "pod/plan/volumes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/checked.h"
#include "base/io.h"
#include "pod/manifest/quantity.h"
#include "pod/plan/payload.h"

#define FILE_NAME      "file" /* what a copied file is called in its volume */
#define MESSAGES_BYTES (1u << 20)

const char *volume_name(size_t index, char name[VOLUME_NAME_BYTES])
{
    snprintf(name, VOLUME_NAME_BYTES, "volume-%zu", index);
    return name;
}

/* Owner and mode of a volume's root that any user may write to, and certainly the pod's group. */
static int add_volume(struct plan *plan, json_t *params, struct husk_error *err)
{
    int ret = params ? 0 : plan_no_memory(err);

    if (!ret)
        ret = plan_put(params, "mode", json_integer(plan->fs_group < 0 ? 0777 : 02777), err);
    if (!ret && plan->fs_group >= 0)
        ret = plan_put(params, "gid", json_integer(plan->fs_group), err);
    if (ret) {
        json_decref(params);
        return ret;
    }
    return plan_ask(plan->out->requests, "volume.add", params, err);
}

static int add_empty(struct plan *plan, const json_t *volume, const char *name, const char *field,
                     struct husk_error *err)
{
    const json_t *source = json_object_get(volume, "emptyDir");
    const char *medium = plan_text(source, "medium"), *text = plan_text(source, "sizeLimit");
    struct plan_limit *limit = &plan->out->limits[plan->out->limit_count];
    uint64_t bytes = 0, memory = pod_machine_memory_left(plan->out->machine->memory_bytes);
    char where[PLAN_WHERE_BYTES];

    if (text && quantity_bytes(text, &bytes))
        return plan_refuse(err, EINVAL, plan_where(where, "%s.emptyDir.sizeLimit", field),
                           "\"%s\" is no quantity in its range", text);
    if (medium && !strcmp(medium, "Memory")) {
        bytes = bytes ? min_u64(bytes, memory) : memory;
        return add_volume(
            plan, json_pack("{s:s, s:I}", "volume", name, "tmpfs_bytes", (json_int_t)bytes), err);
    }
    if (bytes) {
        snprintf(limit->volume, sizeof(limit->volume), "%s", name);
        snprintf(limit->name, sizeof(limit->name), "%s", plan_text(volume, "name"));
        limit->limit_bytes = bytes;
        plan->out->limit_count++;
    }
    return add_volume(plan, json_pack("{s:s, s:s}", "volume", name, "directory", "scratch"), err);
}

static int add_payload(struct plan *plan, const json_t *volume, const char *name, const char *field,
                       struct husk_error *err)
{
    json_t *payload;
    int ret = add_volume(
        plan, json_pack("{s:s, s:i}", "volume", name, "tmpfs_bytes", (int)PAYLOAD_TMPFS_BYTES),
        err);

    if (!ret)
        ret = payload_build(plan, volume, name, field, &payload, err);
    if (ret)
        return ret;
    ret = payload_fill(payload, plan->out->requests, err);
    if (ret) {
        json_decref(payload);
        return ret;
    }
    return plan_append(plan->out->payloads, payload, err);
}

/* ---- hostPath ---- */

/* A disk is written to when one of the containers may. */
static bool is_readonly(const struct plan *plan, const char *volume)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const json_t *container, *mount;
    size_t i, j;

    for (size_t list = 0; list < ARRAY_SIZE(lists); list++) {
        json_array_foreach(json_object_get(plan->spec, lists[list]), i, container)
        {
            json_array_foreach(json_object_get(container, "volumeMounts"), j, mount)
            {
                if (!strcmp(plan_text(mount, "name"), volume) &&
                    !json_is_true(json_object_get(mount, "readOnly")))
                    return false;
            }
        }
    }
    return true;
}

/* The plan has its descriptor on success. */
static int add_disk(struct plan *plan, const json_t *volume, const struct plan_host_path *host,
                    const char *name, const char *where, struct husk_error *err)
{
    struct pod_machine_options *machine = plan->out->machine;
    struct pod_machine_disk *disk = &machine->disks[machine->disk_count];

    if (machine->disk_count == POD_MACHINE_DISKS_MAX)
        return plan_refuse(err, ENOSPC, where, "a machine has at most %u such disks",
                           POD_MACHINE_DISKS_MAX);
    snprintf(disk->volume, sizeof(disk->volume), "%s", name);
    memcpy(disk->path, host->path, sizeof(disk->path));
    disk->held = host->held;
    disk->fd = host->fd;
    snprintf(disk->type, sizeof(disk->type), "%.15s", host->fstype);
    disk->read_only = host->readonly || is_readonly(plan, plan_text(volume, "name"));
    machine->disk_count++;
    return 0;
}

static int add_file(struct plan *plan, const struct plan_host_path *host, const char *name,
                    struct husk_error *err)
{
    json_t *owner = json_pack("{s:i, s:I, s:I}", "mode", (int)host->mode, "uid",
                              (json_int_t)host->uid, "gid", (json_int_t)host->gid);
    char *base64 = malloc(BASE64_LEN(host->len) + 1);
    int ret = owner && base64 ? 0 : plan_no_memory(err);

    if (!ret)
        ret = plan_ask(plan->out->requests, "volume.add",
                       json_pack("{s:s, s:s}", "volume", name, "directory", "scratch"), err);
    if (!ret) {
        base64_encode(host->bytes, host->len, base64);
        ret = payload_write(plan->out->requests, name, FILE_NAME, base64, owner, err);
    }
    free(base64);
    json_decref(owner);
    return ret;
}

static int add_host_path(struct plan *plan, const json_t *volume, const char *name,
                         const char *field, struct husk_error *err)
{
    const json_t *source = json_object_get(volume, "hostPath");
    const struct plan_input *in = plan->in;
    struct plan_host_path *host = calloc(1, sizeof(*host));
    char where[PLAN_WHERE_BYTES];
    int ret;

    if (!host)
        return plan_no_memory(err);
    plan_where(where, "%s.hostPath.path", field);
    ret = (in->host_path ? in->host_path : plan_host_path)(
        in->arg, plan_text(source, "path"), plan_text(source, "type"), where, host, err);
    if (!ret && host->kind == PLAN_HOST_DISK) {
        ret = add_disk(plan, volume, host, name, where, err);
        if (ret && host->held)
            close_fd(&host->fd);
    } else if (!ret) {
        ret = add_file(plan, host, name, err);
        if (!ret)
            ret = plan_put(plan->out->host_files, plan_text(volume, "name"), json_true(), err);
    }
    free(host->bytes);
    free(host);
    return ret;
}

/* ---- all ---- */

int plan_volumes(struct plan *plan, struct husk_error *err)
{
    const json_t *volumes = json_object_get(plan->spec, "volumes"), *volume;
    char name[VOLUME_NAME_BYTES], field[PLAN_WHERE_BYTES];
    size_t index;
    int ret = plan_ask(
        plan->out->requests, "volume.add",
        json_pack("{s:s, s:i}", "volume", PLAN_MESSAGES, "tmpfs_bytes", (int)MESSAGES_BYTES), err);

    if (json_array_size(volumes) > PLAN_VOLUMES_MAX)
        return plan_refuse(err, E2BIG, "spec.volumes", "are more than %u", PLAN_VOLUMES_MAX);
    json_array_foreach(volumes, index, volume)
    {
        if (ret)
            break;
        volume_name(index, name);
        plan_where(field, "spec.volumes[%zu]", index);
        if (json_object_get(volume, "emptyDir"))
            ret = add_empty(plan, volume, name, field, err);
        else if (json_object_get(volume, "hostPath"))
            ret = add_host_path(plan, volume, name, field, err);
        else if (payload_is(volume))
            ret = add_payload(plan, volume, name, field, err);
        else
            ret = plan_refuse(err, ENOTSUP, field, "is of a kind that husk does not have");
    }
    return ret;
}

int volume_find(const struct plan *plan, const char *name, size_t *index)
{
    const json_t *volume;
    size_t i;

    json_array_foreach(json_object_get(plan->spec, "volumes"), i, volume)
    {
        if (!strcmp(plan_text(volume, "name"), name)) {
            *index = i;
            return 0;
        }
    }
    return -ENOENT;
}

const json_t *volume_at(const struct plan *plan, size_t index)
{
    return json_array_get(json_object_get(plan->spec, "volumes"), index);
}

const char *volume_file(const struct plan *plan, const char *name)
{
    return json_object_get(plan->out->host_files, name) ? FILE_NAME : NULL;
}
