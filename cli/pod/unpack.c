// SPDX-License-Identifier: Apache-2.0
/* Files of a container out of its archive: see archive.h. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/pod/archive.h"

#define BLOCK_BYTES 65536
#define FLAGS                                                                        \
    (ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS | \
     ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_UNLINK)

static int fail(struct archive *archive, const char *where, struct husk_error *err)
{
    int code = archive_errno(archive);

    return error_set(err, code > 0 ? code : EIO, where, "cannot be copied", "%s",
                     archive_error_string(archive) ? archive_error_string(archive)
                                                   : "the archive is damaged");
}

static int copy_data(struct archive *in, struct archive *disk, const char *path,
                     struct husk_error *err)
{
    const void *block;
    size_t len;
    la_int64_t offset;
    int got;

    while ((got = archive_read_data_block(in, &block, &len, &offset)) == ARCHIVE_OK) {
        if (archive_write_data_block(disk, block, len, offset) < ARCHIVE_OK)
            return fail(disk, path, err);
    }
    return got == ARCHIVE_EOF ? 0 : fail(in, path, err);
}

/* The entry's name with the archive's own first part replaced; -EINVAL when it is below another. */
static int rename_entry(struct archive_entry *entry, const char *first, const char *target,
                        const char *name, char *path, size_t size)
{
    const char *given = archive_entry_pathname(entry);
    size_t len = strlen(first);

    if (!given || strncmp(given, first, len) != 0 || (given[len] && given[len] != '/'))
        return -EINVAL;
    given += len + strspn(given + len, "/");
    if (snprintf(path, size, "%s/%s%s%s", target, name, given[0] ? "/" : "", given) >= (int)size)
        return -ENAMETOOLONG;
    archive_entry_set_pathname(entry, path);
    return 0;
}

static int unpack_entry(struct archive *in, struct archive *disk, struct archive_entry *entry,
                        const char *path, struct husk_error *err)
{
    mode_t type = archive_entry_filetype(entry);

    if (archive_entry_hardlink(entry) ||
        (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK && type != AE_IFIFO)) {
        cli_message("%s: is left out: neither file, directory, link nor FIFO", path);
        return 0;
    }
    archive_entry_set_perm(entry, archive_entry_perm(entry) & 0777);
    if (archive_write_header(disk, entry) < ARCHIVE_WARN)
        return fail(disk, path, err);
    if (type == AE_IFREG && archive_entry_size(entry) > 0) {
        int ret = copy_data(in, disk, path, err);

        if (ret)
            return ret;
    }
    return archive_write_finish_entry(disk) < ARCHIVE_WARN ? fail(disk, path, err) : 0;
}

static int unpack_all(struct archive *in, struct archive *disk, const char *target,
                      const char *name, struct husk_error *err)
{
    struct archive_entry *entry;
    char first[4096] = "", path[8192];
    int got, ret = 0;

    while (!ret && (got = archive_read_next_header(in, &entry)) != ARCHIVE_EOF) {
        if (got < ARCHIVE_WARN)
            return fail(in, target, err);
        if (!first[0]) {
            const char *given = archive_entry_pathname(entry);

            snprintf(first, sizeof(first), "%s", given ? given : "");
            first[strcspn(first, "/")] = '\0';
        }
        ret = rename_entry(entry, first, target, name, path, sizeof(path));
        if (ret)
            return error_set(err, -ret, target, "cannot be copied to",
                             "the container sent a name that does not belong there");
        ret = unpack_entry(in, disk, entry, path, err);
    }
    if (!ret && !first[0])
        ret = error_set(err, ENODATA, target, "cannot be copied to", "the container sent nothing");
    return ret;
}

/* `target` has no links in it: on the way to a name below it libarchive puts directories in the
 * place of links, whoever has made them (ARCHIVE_EXTRACT_UNLINK). */
static int unpack(int fd, const char *target, const char *name, struct husk_error *err)
{
    struct archive *in = archive_read_new(), *disk = archive_write_disk_new();
    int ret = 0;

    if (!in || !disk)
        ret = error_set(err, ENOMEM, target, "cannot be copied to", NULL);
    if (!ret && (archive_read_support_format_tar(in) || archive_read_open_fd(in, fd, BLOCK_BYTES)))
        ret = fail(in, target, err);
    if (!ret && archive_write_disk_set_options(disk, FLAGS))
        ret = fail(disk, target, err);
    if (!ret)
        ret = unpack_all(in, disk, target, name, err);
    if (!ret && archive_write_close(disk) != ARCHIVE_OK)
        ret = fail(disk, target, err);
    archive_read_free(in);
    archive_write_free(disk);
    return ret;
}

int archive_unpack(int fd, const char *target, const char *name, struct husk_error *err)
{
    char *real = realpath(target, NULL);
    int ret = real ? unpack(fd, real, name, err)
                   : error_set(err, errno, target, "cannot be copied to", NULL);

    free(real);
    return ret;
}

int archive_first_is_directory(int fd, bool *directory)
{
    struct archive *in = archive_read_new();
    struct archive_entry *entry;
    int ret = in ? 0 : -ENOMEM;

    if (!ret && (archive_read_support_format_tar(in) || archive_read_open_fd(in, fd, 10240) ||
                 archive_read_next_header(in, &entry) < ARCHIVE_WARN))
        ret = -ENODATA;
    if (!ret)
        *directory = archive_entry_filetype(entry) == AE_IFDIR;
    archive_read_free(in);
    return ret;
}
