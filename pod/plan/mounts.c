// SPDX-License-Identifier: Apache-2.0
/* volumeMounts: see mounts.h. No state. */
#include "pod/plan/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/plan/expand.h"
#include "pod/plan/volumes.h"
#include "pod/spec/volumes.h"

void mounts_clear(struct mounts_plan *mounts)
{
    for (unsigned i = 0; i < mounts->count; i++)
        free(mounts->sources[i]);
}

/* Takes `source`, which may be NULL for want of memory. */
static int add(struct mounts_plan *mounts, const char *destination, char *source, bool readonly,
               const char *where, struct husk_error *err)
{
    char clean[SPEC_PATH_SIZE], other[SPEC_PATH_SIZE];

    if (!source)
        return plan_no_memory(err);
    if (mounts->count == SPEC_VOLUMES_MAX || volumes_clean_path(destination, clean)) {
        free(source);
        return mounts->count == SPEC_VOLUMES_MAX
                   ? plan_refuse(err, E2BIG, where, "there are more than %u", SPEC_VOLUMES_MAX)
                   : plan_refuse(err, EINVAL, where, "is not an absolute path");
    }
    for (unsigned i = 0; i < mounts->count; i++) {
        if (!volumes_clean_path(mounts->list[i].destination, other) && !strcmp(other, clean)) {
            free(source);
            return plan_refuse(err, EINVAL, where, "there is another mount at this place");
        }
    }
    mounts->sources[mounts->count] = source;
    mounts->list[mounts->count++] =
        (struct spec_mount){.destination = destination, .source = source, .readonly = readonly};
    return 0;
}

static bool is_taken(const struct mounts_plan *mounts, const char *destination)
{
    char other[SPEC_PATH_SIZE];

    for (unsigned i = 0; i < mounts->count; i++) {
        if (!volumes_clean_path(mounts->list[i].destination, other) && !strcmp(other, destination))
            return true;
    }
    return false;
}

static bool leads_out(const char *path)
{
    if (path[0] == '/')
        return true;
    while (*path) {
        size_t len = strcspn(path, "/");

        if (len == 2 && !strncmp(path, "..", 2))
            return true;
        path += len + (path[len] == '/');
    }
    return false;
}

/* subPath, or subPathExpr with the container's variables; *out is NULL when there is neither. */
static int sub_path(const json_t *mount, const json_t *variables, const char *field, char **out,
                    struct husk_error *err)
{
    const char *text = plan_text(mount, "subPath"), *pattern = plan_text(mount, "subPathExpr");
    char where[PLAN_WHERE_BYTES];
    const char *missing = NULL;
    size_t len = 0;
    int ret = 0;

    *out = NULL;
    if (!text && !pattern)
        return 0;
    plan_where(where, "%s.%s", field, text ? "subPath" : "subPathExpr");
    if (text)
        *out = strdup(text);
    else
        ret = expand(pattern, variables, out, &missing, &len);
    if (!ret && !*out)
        ret = -ENOMEM;
    if (ret)
        return plan_refuse(err, -ret, where, "cannot be made a path");
    if (missing)
        ret = plan_refuse(err, EINVAL, where, "there is no variable \"%.*s\"",
                          (int)(len > 100 ? 100 : len), missing);
    else if (leads_out(*out) || strlen(*out) > HUSK_AGENT_PATH_MAX)
        ret = plan_refuse(err, EINVAL, where, "\"%.100s\" is no path below the volume", *out);
    if (ret || !**out) {
        free(*out);
        *out = NULL;
    }
    return ret;
}

/* A sub-path that is not there becomes a directory, as the volume itself is. Not in one that
 * cannot be written: the container's creation fails then. */
static int ask_directory(const struct plan *plan, const json_t *volume, const char *name,
                         const char *path, struct plan_container *out, struct husk_error *err)
{
    bool grouped = plan->fs_group >= 0 && !json_object_get(volume, "hostPath");
    json_t *params = json_pack("{s:s, s:s}", "volume", name, "path", path);
    int ret = params ? 0 : plan_no_memory(err);

    if (!ret && json_object_get(volume, "emptyDir"))
        ret = plan_put(params, "mode", json_integer(grouped ? 02777 : 0777), err);
    if (!ret && grouped)
        ret = plan_put(params, "gid", json_integer(plan->fs_group), err);
    if (ret) {
        json_decref(params);
        return ret;
    }
    return plan_ask(out->before, "volume.directory", params, err);
}

static bool is_readonly_disk(const struct plan *plan, const char *name)
{
    const struct pod_machine_options *machine = plan->out->machine;

    for (unsigned i = 0; i < machine->disk_count; i++) {
        if (!strcmp(machine->disks[i].volume, name))
            return machine->disks[i].read_only;
    }
    return false;
}

static int add_mount(struct plan *plan, const json_t *mount, const json_t *variables,
                     const char *field, struct plan_container *out, struct mounts_plan *mounts,
                     struct husk_error *err)
{
    char name[VOLUME_NAME_BYTES], where[PLAN_WHERE_BYTES], *path, *source = NULL;
    const char *file;
    const json_t *volume;
    bool readonly;
    size_t index;
    int ret;

    if (volume_find(plan, plan_text(mount, "name"), &index))
        return plan_refuse(err, EINVAL, plan_where(where, "%s.name", field),
                           "there is no such volume");
    ret = sub_path(mount, variables, field, &path, err);
    if (ret)
        return ret;
    volume = volume_at(plan, index);
    volume_name(index, name);
    file = volume_file(plan, plan_text(mount, "name"));
    readonly = is_readonly_disk(plan, name);
    if (path && file)
        ret = plan_refuse(err, EINVAL, field, "a file that was copied has no sub-paths");
    else if (path && !readonly)
        ret = ask_directory(plan, volume, name, path, out, err);
    /* What the kubelet provides cannot be written to, whatever the mount says. */
    readonly |= json_is_true(json_object_get(mount, "readOnly")) ||
                (!json_object_get(volume, "emptyDir") && !json_object_get(volume, "hostPath"));
    if (!ret && asprintf(&source, "%s/%s%s%s", HUSK_AGENT_VOLUMES, name, path || file ? "/" : "",
                         path   ? path
                         : file ? file
                                : "") < 0)
        source = NULL;
    free(path);
    return ret ? ret
               : add(mounts, plan_text(mount, "mountPath"), source, readonly,
                     plan_where(where, "%s.mountPath", field), err);
}

static int add_files(struct mounts_plan *mounts, bool read_only, const char *field,
                     struct husk_error *err)
{
    static const struct {
        const char *destination, *source;
    } files[] = {{"/etc/hosts", HUSK_AGENT_FILES "/hosts"},
                 {"/etc/hostname", HUSK_AGENT_FILES "/hostname"},
                 {"/etc/resolv.conf", HUSK_AGENT_FILES "/resolv.conf"}};
    int ret = 0;

    for (size_t i = 0; i < ARRAY_SIZE(files) && !ret; i++) {
        if (!is_taken(mounts, files[i].destination))
            ret = add(mounts, files[i].destination, strdup(files[i].source), read_only, field, err);
    }
    return ret;
}

/* A file that anybody may write to, empty at each start. */
static int add_message(const json_t *container, const char *field, struct plan_container *out,
                       struct mounts_plan *mounts, struct husk_error *err)
{
    const char *path = plan_text(container, "terminationMessagePath");
    const char *policy = plan_text(container, "terminationMessagePolicy");
    char where[PLAN_WHERE_BYTES], clean[SPEC_PATH_SIZE], *source = NULL;
    int ret;

    out->message_from_log = policy && !strcmp(policy, "FallbackToLogsOnError");
    plan_where(where, "%s.terminationMessagePath", field);
    if (!path || volumes_clean_path(path, clean))
        return plan_refuse(err, EINVAL, where, "is not an absolute path");
    if (is_taken(mounts, clean))
        return 0;
    memcpy(out->message_path, out->name, sizeof(out->message_path));
    ret = plan_ask(out->before, "volume.write",
                   json_pack("{s:s, s:s, s:s, s:i}", "volume", PLAN_MESSAGES, "path",
                             out->message_path, "data", "", "mode", 0666),
                   err);
    if (ret)
        return ret;
    if (asprintf(&source, "%s/%s/%s", HUSK_AGENT_VOLUMES, PLAN_MESSAGES, out->message_path) < 0)
        source = NULL;
    return add(mounts, path, source, false, where, err);
}

int mounts_of(struct plan *plan, const json_t *container, const json_t *variables, bool read_only,
              struct plan_container *out, struct mounts_plan *mounts, struct husk_error *err)
{
    char field[PLAN_WHERE_BYTES];
    const json_t *mount;
    size_t index;
    int ret = 0;

    json_array_foreach(json_object_get(container, "volumeMounts"), index, mount)
    {
        if (!ret)
            ret = add_mount(plan, mount, variables,
                            plan_where(field, "%s.volumeMounts[%zu]", out->field, index), out,
                            mounts, err);
    }
    if (!ret)
        ret = add_message(container, out->field, out, mounts, err);
    return ret ? ret : add_files(mounts, read_only, out->field, err);
}
