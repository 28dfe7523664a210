// SPDX-License-Identifier: Apache-2.0
/* The requests about what is in volumes (husk/agent.h, "What is in a volume"). No state. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/io.h"
#include "guest/agent/contents.h"
#include "guest/agent/job.h"
#include "guest/agent/volume.h"
#include "husk/agent.h"

#define DELETE_MS 120000

/* The members that a request may have. */
#define MEMBERS(...)      \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static int find(const struct request *request, const struct volume **out, struct husk_error *err)
{
    const char *name = NULL;
    int ret = request_name(&request->params, "volume", &name, err);

    if (ret)
        return ret;
    *out = volume_find(request->agent, name);
    return *out ? 0 : error_set(err, ENOENT, name, "there is no such volume", "%s", "");
}

/* Its root (O_PATH), or -errno. */
static int open_root(const char *name, struct husk_error *err)
{
    char path[sizeof(HUSK_AGENT_VOLUMES) + HUSK_AGENT_NAME_MAX + 2];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", HUSK_AGENT_VOLUMES, name);
    fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_set(err, errno, name, "cannot be opened", NULL) : fd;
}

static int find_path(const struct request *request, const char **path, struct husk_error *err)
{
    struct node member = node_member(&request->params, "path");
    int ret = node_need_text(&request->params, "path", 1, HUSK_AGENT_PATH_MAX, path, err);

    if (!ret && contents_check_path(*path, NULL))
        ret = node_error(&member, EINVAL, err, "is no relative path, or has \"..\" as a part");
    return ret;
}

/* The volume's root and the path in it. */
static int open_place(const struct request *request, int *root, const char **path,
                      struct husk_error *err)
{
    const struct volume *volume;
    int ret = find(request, &volume, err);

    *root = -1;
    if (!ret)
        ret = find_path(request, path, err);
    if (ret)
        return ret;
    *root = open_root(volume->name, err);
    return *root < 0 ? *root : 0;
}

static int read_new(const struct node *params, const char *mode_key, struct inroot_new *out,
                    struct husk_error *err)
{
    uint64_t mode = out->mode, uid = out->uid, gid = out->gid;
    int ret = node_unsigned(params, mode_key, 07777, &mode, NULL, err);

    if (!ret)
        ret = node_unsigned(params, "uid", UINT32_MAX - 1, &uid, NULL, err);
    if (!ret)
        ret = node_unsigned(params, "gid", UINT32_MAX - 1, &gid, NULL, err);
    *out = (struct inroot_new){.mode = (mode_t)mode, .uid = (uid_t)uid, .gid = (gid_t)gid};
    return ret;
}

static int handle_directory(struct request *request, struct husk_error *err)
{
    struct inroot_new as = {.mode = 0755};
    const char *path = NULL;
    int root, ret = read_new(&request->params, "mode", &as, err);

    if (ret)
        return ret;
    ret = open_place(request, &root, &path, err);
    if (!ret)
        ret = contents_directory(root, path, &as, err);
    close_fd(&root);
    return ret;
}

/* *decoded is the caller's to free. */
static int read_data(const struct node *params, struct contents_write *write, void **decoded,
                     struct husk_error *err)
{
    const char *data = NULL, *coded = NULL;
    struct node member = node_member(params, "data_base64");
    int ret = node_text(params, "data", 0, HUSK_AGENT_DATA_MAX, &data, err);

    if (!ret)
        ret = node_text(params, "data_base64", 0, BASE64_LEN(HUSK_AGENT_DATA_MAX), &coded, err);
    if (!ret)
        ret = node_text(params, "link", 1, HUSK_AGENT_PATH_MAX, &write->link, err);
    if (ret)
        return ret;
    if ((data != NULL) + (coded != NULL) + (write->link != NULL) != 1)
        return node_error(params, EINVAL, err, "wants one of data, data_base64, link");
    if (write->link && write->append)
        return node_error(params, EINVAL, err, "nothing is appended to a link");
    write->data = data;
    write->len = data ? strlen(data) : 0;
    if (!coded)
        return 0;
    *decoded = malloc(BASE64_BYTES_MAX(strlen(coded)) + 1);
    write->data = *decoded;
    if (!*decoded)
        return node_error(&member, ENOMEM, err, "no memory");
    if (base64_decode(coded, strlen(coded), *decoded, &write->len))
        return node_error(&member, EINVAL, err, "is no base64");
    return write->len > HUSK_AGENT_DATA_MAX ? node_error(&member, E2BIG, err, "is too long") : 0;
}

static int handle_write(struct request *request, struct husk_error *err)
{
    const struct node *params = &request->params;
    struct contents_write write = {.file = {.mode = 0644}, .directories = {.mode = 0755}};
    void *decoded = NULL;
    int root = -1, ret = read_new(params, "mode", &write.file, err);

    if (!ret)
        ret = read_new(params, "directory_mode", &write.directories, err);
    if (!ret)
        ret = node_flag(params, "append", &write.append, err);
    if (!ret)
        ret = read_data(params, &write, &decoded, err);
    if (!ret)
        ret = open_place(request, &root, &write.path, err);
    if (!ret)
        ret = contents_write(root, &write, err);
    close_fd(&root);
    free(decoded);
    return ret;
}

static int answer_read(struct request *request, const void *data, size_t len, uint64_t size,
                       struct husk_error *err)
{
    char *text = malloc(BASE64_LEN(len) + 1);
    int failed = text == NULL;

    if (text) {
        base64_encode(data, len, text);
        failed = json_object_set_new(request->result, "data_base64", json_string(text)) ||
                 json_object_set_new(request->result, "size_bytes", json_integer((json_int_t)size));
    }
    free(text);
    return failed ? error_set(err, ENOMEM, "volume.read", "cannot be answered", NULL) : 0;
}

static int handle_read(struct request *request, struct husk_error *err)
{
    const struct node *params = &request->params;
    uint64_t max = HUSK_AGENT_DATA_MAX, size = 0;
    const char *path = NULL;
    bool tail = false;
    size_t len = 0;
    void *data;
    int root, ret = node_unsigned(params, "max_bytes", INT64_MAX, &max, NULL, err);

    if (!ret)
        ret = node_flag(params, "tail", &tail, err);
    if (ret)
        return ret;
    ret = open_place(request, &root, &path, err);
    if (ret)
        return ret;
    max = max > HUSK_AGENT_DATA_MAX ? HUSK_AGENT_DATA_MAX : max;
    data = malloc(max + 1);
    ret = data ? contents_read(root, path, tail, data, max, &len, &size, err)
               : error_set(err, ENOMEM, path, "cannot be read", NULL);
    if (!ret)
        ret = answer_read(request, data, len, size, err);
    free(data);
    close_fd(&root);
    return ret;
}

/* ---- in processes of their own ---- */

static int delete_it(int root, const void *path, json_t *result, struct husk_error *err)
{
    return contents_delete(root, path, err);
}

static int handle_delete(struct request *request, struct husk_error *err)
{
    struct job_order order = {.patience_ms = DELETE_MS, .fn = delete_it};
    const char *path = NULL;
    int ret = open_place(request, &order.fd, &path, err);

    order.subject = order.arg = path;
    if (!ret)
        ret = job_begin(request, &order, err);
    close_fd(&order.fd);
    return ret;
}

static int put(json_t *object, const char *key, uint64_t value)
{
    return json_object_set_new(object, key,
                               json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static int measure(int root, const void *arg, json_t *result, struct husk_error *err)
{
    const struct volume *volume = arg;
    const char *name = volume->name;
    struct rlimit files;
    struct statvfs info;
    uint64_t bytes, inodes;
    int ret = 0;

    if (fstatvfs(root, &info) < 0)
        return error_set(err, errno, name, "cannot be measured", NULL);
    bytes = (uint64_t)(info.f_blocks - info.f_bfree) * info.f_frsize;
    inodes = info.f_files - info.f_ffree;
    if (volume->parent[0]) {
        /* Two for each directory on the way down. */
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
            files.rlim_cur = files.rlim_max;
            (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        ret = contents_count(root, &bytes, &inodes, err);
    }
    if (ret)
        return ret;
    if (put(result, "used_bytes", bytes) || put(result, "used_inodes", inodes) ||
        put(result, "size_bytes", (uint64_t)info.f_blocks * info.f_frsize) ||
        put(result, "inodes", info.f_files))
        return error_set(err, ENOMEM, name, "cannot be measured", NULL);
    return 0;
}

static int handle_usage(struct request *request, struct husk_error *err)
{
    struct job_order order = {.patience_ms = HUSK_AGENT_USAGE_MS, .fn = measure};
    const struct volume *volume;
    int ret = find(request, &volume, err);

    if (ret)
        return ret;
    order.subject = volume->name;
    order.arg = volume;
    order.fd = open_root(volume->name, err);
    ret = order.fd < 0 ? order.fd : job_begin(request, &order, err);
    close_fd(&order.fd);
    return ret;
}

const struct request_method contents_methods[] = {
    {"volume.directory", MEMBERS("volume", "path", "mode", "uid", "gid"), handle_directory},
    {"volume.write",
     MEMBERS("volume", "path", "data", "data_base64", "link", "mode", "uid", "gid",
             "directory_mode", "append"),
     handle_write},
    {"volume.read", MEMBERS("volume", "path", "max_bytes", "tail"), handle_read},
    {"volume.delete", MEMBERS("volume", "path"), handle_delete},
    {"volume.usage", MEMBERS("volume"), handle_usage},
    {NULL, NULL, NULL},
};
