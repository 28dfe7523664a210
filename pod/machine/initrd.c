// SPDX-License-Identifier: Apache-2.0
/* Initial RAM disks and their cache: see initrd.h. */
#include "pod/machine/initrd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/beside.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/image/digest.h"
#include "pod/machine/modules.h"

#define AGENT_FILE    "agent.cpio"
#define NAME_BYTES    (DIGEST_HEX_LENGTH + 8)
#define UNUSED_S      (30 * 24 * 3600)
#define AGENT_ALIGN   4u /* archives follow each other at multiples of this */
#define MODULE_FORMAT 1u /* of the part behind the agent; another one has another name */

static const char cannot_make[] = "cannot make the initial RAM disk";

/* What a distribution's kernel has as modules and a container's machine needs. pvpanic tells husk
 * of a kernel that panics; af_packet is for those who look at their network. */
static const char *const basic_modules[] = {
    "virtio_mmio", "virtio_blk", "virtio-rng", "vmw_vsock_virtio_transport",
    "erofs",       "overlay",    "ext4",       "pvpanic-mmio",
};
static const char *const network_modules[] = {"virtio_net", "af_packet"};

static int open_agent(struct husk_error *err)
{
    const char *given = secure_getenv("HUSK_AGENT");
    char path[PATH_MAX];
    const char *name = given ? given : find_beside(AGENT_FILE, R_OK, path, sizeof(path));
    int fd;

    if (!name)
        name = HUSK_LIBEXEC_DIR "/" AGENT_FILE;
    fd = open(name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_set(err, errno, name, "cannot open the agent's initial RAM disk", NULL)
                  : fd;
}

static void
choose_modules(const struct initrd_needs *needs,
               const char *names[ARRAY_SIZE(basic_modules) + ARRAY_SIZE(network_modules) + 1])
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(basic_modules); i++)
        names[count++] = basic_modules[i];
    for (size_t i = 0; needs->network && i < ARRAY_SIZE(network_modules); i++)
        names[count++] = network_modules[i];
    names[count] = NULL;
}

/* ---- the cache ---- */

static int describe_file(FILE *text, const char *what, const struct stat *info)
{
    return fprintf(text, "%s %" PRIu64 ":%" PRIu64 " %" PRIu64 " %" PRIu64 ".%09lu\n", what,
                   (uint64_t)info->st_dev, (uint64_t)info->st_ino, (uint64_t)info->st_size,
                   (uint64_t)info->st_mtim.tv_sec, (unsigned long)info->st_mtim.tv_nsec) < 0
               ? -EIO
               : 0;
}

/* The file's name: a digest of what goes into it. */
static int name_of(const char *tree, int agent, const char *const *names, char name[NAME_BYTES])
{
    char path[PATH_MAX], *text = NULL;
    struct digest digest;
    struct stat info;
    size_t len = 0;
    FILE *out;
    int ret = 0;

    if ((size_t)snprintf(path, sizeof(path), "%s/modules.dep", tree) >= sizeof(path))
        return -ENAMETOOLONG;
    out = open_memstream(&text, &len);
    if (!out)
        return -ENOMEM;
    fprintf(out, "%u %s\n", MODULE_FORMAT, tree);
    if (stat(path, &info) || describe_file(out, "modules", &info) || fstat(agent, &info) ||
        describe_file(out, "agent", &info))
        ret = -EIO;
    for (; *names; names++)
        fprintf(out, "%s\n", *names);
    if (fclose(out))
        ret = -ENOMEM;
    if (!ret)
        ret = digest_of(text, len, &digest);
    if (!ret)
        snprintf(name, NAME_BYTES, "%s.cpio", digest_hex(&digest));
    free(text);
    return ret;
}

/* A directory and those above it; the first that is there ends the search upwards. */
static int make_directories(char *path)
{
    char *slash;

    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return 0;
    slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || slash == path)
        return -errno;
    *slash = '\0';
    if (make_directories(path))
        return -errno;
    *slash = '/';
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

/* -1 when there is no cache that can be written. */
static int open_cache(void)
{
    char path[PATH_MAX];

    if (husk_cache_path(path, sizeof(path), "initrd") || make_directories(path))
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Of the user's own only: who owns it decides what runs in the guest. */
static int open_cached(int cache, const char *name)
{
    int fd = openat(cache, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;

    if (fd >= 0 && (fstat(fd, &info) || !S_ISREG(info.st_mode) || info.st_uid != geteuid()))
        close_fd(&fd);
    if (fd >= 0)
        (void)futimens(fd, NULL); /* used today */
    return fd;
}

/* Machines that run have theirs open. */
static void remove_unused(int cache)
{
    int dir = fcntl(cache, F_DUPFD_CLOEXEC, 0);
    DIR *list = dir < 0 ? NULL : fdopendir(dir);
    const struct dirent *entry;
    struct stat info;

    if (!list) {
        close_fd(&dir);
        return;
    }
    while ((entry = readdir(list))) {
        const char *dot = strrchr(entry->d_name, '.');

        if (dot && !strcmp(dot, ".cpio") &&
            !fstatat(cache, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) &&
            info.st_mtim.tv_sec < time(NULL) - UNUSED_S)
            (void)unlinkat(cache, entry->d_name, 0);
    }
    closedir(list);
}

/* ---- making one ---- */

static int copy_agent(int agent, int out)
{
    static const char zeroes[AGENT_ALIGN];
    struct stat info;
    off_t offset = 0;

    if (fstat(agent, &info))
        return -errno;
    while (offset < info.st_size) {
        ssize_t n = sendfile(out, agent, &offset, (size_t)(info.st_size - offset));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
    }
    return write_full(out, zeroes, (size_t)(-info.st_size & (AGENT_ALIGN - 1)));
}

static int write_initrd(const char *tree, int agent, const char *const *names, int out,
                        struct husk_error *err)
{
    struct module_list list;
    int ret = module_list_read(tree, names, &list, err);

    if (ret)
        return ret;
    ret = copy_agent(agent, out);
    if (ret)
        error_set(err, -ret, AGENT_FILE, cannot_make, NULL);
    else
        ret = module_archive_write(tree, &list, out, err);
    module_list_clear(&list);
    return ret;
}

/* A file to write to, in the cache under the name `partial` or (cache -1) in memory only. */
static int create(int cache, char partial[NAME_BYTES])
{
    if (cache < 0)
        return memfd_create("husk-initrd", MFD_CLOEXEC);
    snprintf(partial, NAME_BYTES, "new-%d.cpio", (int)getpid());
    return openat(cache, partial, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
}

static int make_initrd(const char *tree, int agent, const char *const *names, int cache,
                       const char *name, struct husk_error *err)
{
    char partial[NAME_BYTES];
    int out = create(cache, partial);
    int ret;

    if (out < 0)
        return error_set(err, errno, "initrd", cannot_make, NULL);
    ret = write_initrd(tree, agent, names, out, err);
    /* Whoever was faster has made the same. */
    if (!ret && cache >= 0 && renameat(cache, partial, cache, name) < 0)
        ret = error_set(err, errno, "initrd", cannot_make, NULL);
    if (ret && cache >= 0)
        (void)unlinkat(cache, partial, 0);
    if (ret)
        close_fd(&out);
    else if (cache >= 0)
        remove_unused(cache);
    return ret ? ret : out;
}

static int with_modules(const char *tree, int agent, const struct initrd_needs *needs,
                        struct husk_error *err)
{
    const char *names[ARRAY_SIZE(basic_modules) + ARRAY_SIZE(network_modules) + 1];
    char name[NAME_BYTES];
    int cache = open_cache(), fd = -1, ret;

    choose_modules(needs, names);
    ret = name_of(tree, agent, names, name);
    if (ret)
        error_set(err, -ret, tree, cannot_make, NULL);
    if (!ret && cache >= 0)
        fd = open_cached(cache, name);
    if (!ret && fd < 0)
        fd = make_initrd(tree, agent, names, cache, name, err);
    /* A cache on a full or read-only disk must not keep anybody from starting. */
    if (!ret && fd < 0 && cache >= 0)
        fd = make_initrd(tree, agent, names, -1, name, err);
    close_fd(&cache);
    return ret ? ret : fd;
}

int initrd_open(const struct guest_kernel *kernel, const struct initrd_needs *needs,
                struct husk_error *err)
{
    int agent = open_agent(err), fd;

    if (agent < 0 || !kernel->modules[0])
        return agent;
    fd = with_modules(kernel->modules, agent, needs, err);
    close_fd(&agent);
    return fd;
}
