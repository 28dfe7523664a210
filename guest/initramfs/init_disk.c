// SPDX-License-Identifier: Apache-2.0
/* Commands about block devices; DEV is a name in /dev. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/mount.h>
#include <unistd.h>

#include "init.h"
#include "sha256.h"

#define CHUNK_BYTES (256u * 1024)

static int open_device(const char *command, const char *name, int flags)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/dev/%s", name);
    fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        report_failure(command, errno, "%s", path);
    return fd;
}

/* Checksum of `bytes` from the start, past the page cache. Returns 0 or -errno. */
static int checksum(int fd, uint64_t bytes, char hex[65])
{
    struct sha256 sha;
    void *buf;
    int ret = 0;

    if (posix_memalign(&buf, 4096, CHUNK_BYTES))
        return -ENOMEM;
    sha256_begin(&sha);
    for (uint64_t done = 0; done < bytes && !ret;) {
        size_t part = bytes - done < CHUNK_BYTES ? (size_t)(bytes - done) : CHUNK_BYTES;
        ssize_t n = pread(fd, buf, part, (off_t)done);

        if (n <= 0) {
            ret = n < 0 ? -errno : -ENODATA;
        } else {
            sha256_add(&sha, buf, (size_t)n);
            done += (uint64_t)n;
        }
    }
    free(buf);
    sha256_end(&sha, hex);
    return ret;
}

/* disk-check:DEV prints the checksum of the whole device. */
static int run_disk_check(char **argv)
{
    int fd = open_device(argv[0], argv[1], O_RDONLY | O_DIRECT);
    uint64_t bytes = 0;
    char hex[65];
    int ret;

    if (fd < 0)
        return -1;
    ret = ioctl(fd, BLKGETSIZE64, &bytes) ? -errno : checksum(fd, bytes, hex);
    close(fd);
    if (ret)
        return report_failure(argv[0], -ret, "%s", argv[1]);
    report(argv[0], "%s %llu %s", argv[1], (unsigned long long)bytes, hex);
    return 0;
}

#define PLUG_WAIT_MS 120000u
#define PLUG_STEP_MS 20u

/* Until /sys/class/CLASS/NAME is there, or is not. */
static int wait_for(char **argv, bool there)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/class/%s/%s", argv[1], argv[2]);
    for (unsigned waited = 0; (access(path, F_OK) == 0) != there; waited += PLUG_STEP_MS) {
        if (waited >= PLUG_WAIT_MS)
            return report_failure(argv[0], ETIMEDOUT, "%s", argv[2]);
        usleep(PLUG_STEP_MS * 1000);
    }
    report(argv[0], "%s", argv[2]);
    return 0;
}

/* wait-device:CLASS:NAME and wait-no-device:CLASS:NAME, for what is plugged: "block:vdb". */
static int run_wait_device(char **argv)
{
    return wait_for(argv, true);
}

static int run_wait_no_device(char **argv)
{
    return wait_for(argv, false);
}

/* disk-write:DEV:SEED:BYTES writes the pattern, flushes, reads it back. */
static int run_disk_write(char **argv)
{
    uint64_t seed = argument_number(argv[2]), bytes = argument_number(argv[3]);
    int fd = open_device(argv[0], argv[1], O_RDWR | O_DIRECT);
    char hex[65];
    void *buf;
    int ret = 0;

    if (fd < 0)
        return -1;
    if (posix_memalign(&buf, 4096, CHUNK_BYTES))
        return report_failure(argv[0], ENOMEM, "buffer");
    for (uint64_t done = 0; done < bytes && !ret; done += CHUNK_BYTES) {
        size_t part = bytes - done < CHUNK_BYTES ? (size_t)(bytes - done) : CHUNK_BYTES;

        pattern_fill(buf, part, seed, done);
        if (pwrite(fd, buf, part, (off_t)done) != (ssize_t)part)
            ret = -errno;
    }
    free(buf);
    if (!ret && fsync(fd))
        ret = -errno;
    if (!ret)
        ret = checksum(fd, bytes, hex);
    close(fd);
    if (ret)
        return report_failure(argv[0], -ret, "%s", argv[1]);
    report(argv[0], "%s %llu %s", argv[1], (unsigned long long)bytes, hex);
    return 0;
}

/* Discards or zeroes the first BYTES and checks that they read as zero. */
static int erase(char **argv, unsigned long request)
{
    uint64_t range[2] = {0, argument_number(argv[2])};
    int fd = open_device(argv[0], argv[1], O_RDWR | O_DIRECT);
    void *buf = NULL;
    int ret = 0;

    if (fd < 0)
        return -1;
    if (ioctl(fd, request, range) || posix_memalign(&buf, 4096, CHUNK_BYTES))
        ret = -errno;
    for (uint64_t done = 0; done < range[1] && !ret; done += CHUNK_BYTES) {
        if (pread(fd, buf, CHUNK_BYTES, (off_t)done) < 0)
            ret = -errno;
        for (size_t i = 0; i < CHUNK_BYTES && !ret; i++) {
            if (((unsigned char *)buf)[i])
                ret = -EILSEQ;
        }
    }
    free(buf);
    close(fd);
    if (ret)
        return report_failure(argv[0], -ret, "%s", argv[1]);
    report(argv[0], "%s ok", argv[1]);
    return 0;
}

static int run_discard(char **argv)
{
    return erase(argv, BLKDISCARD);
}

static int run_zero(char **argv)
{
    return erase(argv, BLKZEROOUT);
}

/* read-only:DEV succeeds when the device refuses writes. */
static int run_read_only(char **argv)
{
    int read_only = 0;
    int fd = open_device(argv[0], argv[1], O_RDONLY);

    if (fd < 0)
        return -1;
    if (ioctl(fd, BLKROGET, &read_only) || !read_only) {
        close(fd);
        return report_failure(argv[0], 0, "%s can be written", argv[1]);
    }
    close(fd);
    report(argv[0], "%s ok", argv[1]);
    return 0;
}

/* mount:DEV:TYPE mounts read-only and prints the text in /hello. */
static int run_mount(char **argv)
{
    char path[64], text[256] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/dev/%s", argv[1]);
    mkdir("/mnt", 0755);
    if (mount(path, "/mnt", argv[2], MS_RDONLY, NULL))
        return report_failure(argv[0], errno, "%s as %s", path, argv[2]);
    file = fopen("/mnt/hello", "re");
    if (!file || !fgets(text, sizeof(text), file)) {
        umount("/mnt");
        return report_failure(argv[0], errno, "reading /hello of %s", path);
    }
    fclose(file);
    umount("/mnt");
    text[strcspn(text, "\n")] = '\0';
    report(argv[0], "%s", text);
    return 0;
}

const struct init_command init_disk_commands[] = {
    {"disk-check", 1, run_disk_check},
    {"disk-write", 3, run_disk_write},
    {"wait-device", 2, run_wait_device},
    {"wait-no-device", 2, run_wait_no_device},
    {"discard", 2, run_discard},
    {"zero", 2, run_zero},
    {"read-only", 1, run_read_only},
    {"mount", 2, run_mount},
    {NULL, 0, NULL},
};
