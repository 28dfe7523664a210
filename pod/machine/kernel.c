// SPDX-License-Identifier: Apache-2.0
/* The search for a kernel and its modules: see kernel.h. */
#include "pod/machine/kernel.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/io.h"
#include "husk/husk.h"
#include "pod/machine/cache.h"

/* Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". */
#define HEADER_BYTES        0x210u
#define HEADER_MAGIC_OFFSET 0x202u
#define HEADER_MAGIC        0x53726448u /* "HdrS" */
#define HEADER_NAME_OFFSET  0x20eu      /* kernel_version: less 0x200, where the name is */
#define RELEASE_BYTES       128u

/* The first word of what a bzImage says of itself: "6.12.1-cloud-amd64 (…) #1 …". "" when it says
 * nothing, or nothing that could be a directory's name. */
static void read_release(int fd, char release[RELEASE_BYTES])
{
    uint8_t header[HEADER_BYTES];
    size_t len = 0;

    release[0] = '\0';
    if (pread_full(fd, header, sizeof(header), 0) ||
        get_le32(header + HEADER_MAGIC_OFFSET) != HEADER_MAGIC ||
        !get_le16(header + HEADER_NAME_OFFSET) ||
        pread_full(fd, release, RELEASE_BYTES, get_le16(header + HEADER_NAME_OFFSET) + 0x200u))
        return;
    while (len < RELEASE_BYTES && (isalnum((unsigned char)release[len]) ||
                                   (release[len] && strchr(".-+_~", release[len]))))
        len++;
    release[len < RELEASE_BYTES && release[0] != '.' ? len : 0] = '\0';
}

static bool is_modules(const char *directory)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/modules.dep", directory);

    return n > 0 && (size_t)n < sizeof(path) && access(path, R_OK) == 0;
}

/* An ELF kernel does not name its release: without modules, which only a distribution's has. */
static int find_modules(struct guest_kernel *kernel, struct husk_error *err)
{
    char real[PATH_MAX], release[RELEASE_BYTES];
    char *slash;
    int fd = open(kernel->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), n;

    if (fd < 0 || !realpath(kernel->path, real)) {
        int code = errno;

        close_fd(&fd);
        return error_set(err, code, kernel->path, "cannot open the kernel", NULL);
    }
    read_release(fd, release);
    close_fd(&fd);
    if (!release[0])
        return 0;
    slash = strrchr(real, '/');
    n = snprintf(kernel->modules, sizeof(kernel->modules), "%.*s/modules/lib/modules/%s",
                 (int)(slash - real), real, release);
    if (n > 0 && (size_t)n < sizeof(kernel->modules) && is_modules(kernel->modules))
        return 0;
    n = snprintf(kernel->modules, sizeof(kernel->modules), "/lib/modules/%s", release);
    if (n < 0 || (size_t)n >= sizeof(kernel->modules) || !is_modules(kernel->modules))
        kernel->modules[0] = '\0';
    return 0;
}

static bool find_debian(char *path, size_t size)
{
    return !cache_path(path, size, "kernels/debian-cloud/vmlinuz") && access(path, R_OK) == 0;
}

int guest_kernel_choose(const char *given, struct guest_kernel *out, struct husk_error *err)
{
    *out = (struct guest_kernel){.path = ""};
    if (given && given[0]) {
        if (strlen(given) >= sizeof(out->path))
            return error_set(err, ENAMETOOLONG, given, "cannot open the kernel", NULL);
        memcpy(out->path, given, strlen(given) + 1);
    } else {
        int ret = husk_find_kernel(out->path, sizeof(out->path), err);

        if (ret && (ret != -ENOENT || getenv("HUSK_KERNEL")))
            return ret;
        if (ret && !find_debian(out->path, sizeof(out->path)))
            return error_set(err, ENOENT, "kernel", "no kernel for containers was found",
                             "get one with guest/kernel/fetch-debian or guest/kernel/build, or "
                             "name one with HUSK_KERNEL");
    }
    return find_modules(out, err);
}
