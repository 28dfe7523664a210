// SPDX-License-Identifier: Apache-2.0
/* Files of this host as a tar archive: see archive.h. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/cli.h"
#include "cli/pod/archive.h"

struct packing {
    struct archive *out, *disk;
    int fd;
    bool broken; /* nothing more is sent: not the end, either */
    const char *source, *name;
};

static int fail(struct archive *archive, const char *where, struct husk_error *err)
{
    int code = archive_errno(archive);

    if (code == EPIPE || code == ECONNRESET)
        return error_set(err, EPIPE, where, "cannot be sent", NULL);
    return error_set(err, code > 0 ? code : EIO, where, "cannot be copied", "%s",
                     archive_error_string(archive) ? archive_error_string(archive) : "unknown");
}

static la_ssize_t write_some(struct archive *archive, void *arg, const void *bytes, size_t len)
{
    const struct packing *packing = arg;
    int ret = packing->broken ? 0 : write_full(packing->fd, bytes, len);

    if (!ret)
        return (la_ssize_t)len;
    archive_set_error(archive, -ret, "%s", error_text(-ret));
    return -1;
}

/* Exactly as many bytes as the header says, whatever becomes of the file meanwhile. */
static int send_content(struct packing *packing, const char *path, uint64_t size,
                        struct husk_error *err)
{
    static const char zeros[4096];
    char block[65536];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int ret = 0;

    if (fd < 0)
        return error_set(err, errno, path, "cannot be read", NULL);
    while (size > 0 && !ret) {
        size_t want = size < sizeof(block) ? (size_t)size : sizeof(block);
        ssize_t n = read(fd, block, want);
        const char *from = block;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            ret = error_set(err, errno, path, "cannot be read", NULL);
            break;
        }
        if (n == 0) { /* it has become shorter */
            from = zeros;
            n = (ssize_t)(want < sizeof(zeros) ? want : sizeof(zeros));
        }
        if (archive_write_data(packing->out, from, (size_t)n) != n)
            ret = fail(packing->out, path, err);
        size -= (uint64_t)n;
    }
    close_fd(&fd);
    return ret;
}

static int send_entry(struct packing *packing, struct archive_entry *entry, struct husk_error *err)
{
    const char *path = archive_entry_sourcepath(entry);
    const char *below = path + strlen(packing->source);
    mode_t type = archive_entry_filetype(entry);
    char name[8192];

    if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK && type != AE_IFIFO) {
        cli_message("%s: is left out: neither file, directory, link nor FIFO", path);
        return 0;
    }
    below += strspn(below, "/");
    snprintf(name, sizeof(name), "%s%s%s", packing->name, below[0] ? "/" : "", below);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_hardlink(entry, NULL);
    archive_entry_sparse_clear(entry);
    if (type != AE_IFREG)
        archive_entry_set_size(entry, 0);
    if (archive_write_header(packing->out, entry) < ARCHIVE_WARN)
        return fail(packing->out, path, err);
    return type == AE_IFREG ? send_content(packing, path, (uint64_t)archive_entry_size(entry), err)
                            : 0;
}

static int send_all(struct packing *packing, struct husk_error *err)
{
    struct archive_entry *entry = archive_entry_new();
    int got, ret = entry ? 0 : error_set(err, ENOMEM, packing->source, "cannot be copied", NULL);

    while (!ret && (got = archive_read_next_header2(packing->disk, entry)) != ARCHIVE_EOF) {
        if (got < ARCHIVE_WARN) {
            ret = fail(packing->disk, packing->source, err);
            break;
        }
        archive_read_disk_descend(packing->disk);
        ret = send_entry(packing, entry, err);
        archive_entry_clear(entry);
    }
    archive_entry_free(entry);
    return ret;
}

int archive_pack(int fd, const char *source, const char *name, struct husk_error *err)
{
    struct packing packing = {.out = archive_write_new(),
                              .disk = archive_read_disk_new(),
                              .fd = fd,
                              .source = source,
                              .name = name ? name : "."};
    int ret = 0;

    if (!packing.out || !packing.disk)
        ret = error_set(err, ENOMEM, source, "cannot be copied", NULL);
    if (!ret && (archive_write_set_format_pax_restricted(packing.out) ||
                 archive_write_set_bytes_in_last_block(packing.out, 1) ||
                 archive_write_open(packing.out, &packing, NULL, write_some, NULL)))
        ret = fail(packing.out, source, err);
    if (!ret && (archive_read_disk_set_symlink_physical(packing.disk) ||
                 archive_read_disk_set_behavior(packing.disk, ARCHIVE_READDISK_NO_XATTR |
                                                                  ARCHIVE_READDISK_NO_ACL |
                                                                  ARCHIVE_READDISK_NO_FFLAGS) ||
                 archive_read_disk_open(packing.disk, source)))
        ret = fail(packing.disk, source, err);
    if (!ret)
        ret = send_all(&packing, err);
    packing.broken = ret != 0; /* the other side must not think that it has all */
    if (!ret && archive_write_close(packing.out) != ARCHIVE_OK)
        ret = fail(packing.out, source, err);
    archive_write_free(packing.out);
    archive_read_free(packing.disk);
    return ret;
}
