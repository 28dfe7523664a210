// SPDX-License-Identifier: Apache-2.0
/*
 * Takes kernels out of bzImages: see vmlinux.h. Documentation/arch/x86/boot.rst, "The Real-Mode
 * Kernel Header": payload_offset and payload_length (protocol 2.08) name the compressed ELF file.
 */
#include "pod/machine/vmlinux.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/machine/cache.h"

#define HEADER_BYTES   0x250u
#define SETUP_SECTS    0x1f1u
#define MAGIC          0x202u
#define VERSION        0x206u
#define PAYLOAD_OFFSET 0x248u
#define PAYLOAD_LENGTH 0x24cu
#define PAYLOAD_MAX    (256u << 20)
#define KERNEL_MAX     (1024ull << 20)
#define BUFFER_BYTES   65536u
#define FORMAT         1u /* of what is kept; another one has another name */

static const char cannot_unpack[] = "cannot unpack the kernel";

struct payload {
    int fd;
    uint64_t offset, len;
};

/* -ENOTSUP when there is none. */
static int find_payload(struct payload *payload)
{
    uint8_t header[HEADER_BYTES];
    uint64_t setup;

    if (pread_full(payload->fd, header, sizeof(header), 0) ||
        get_le32(header + MAGIC) != 0x53726448u || get_le16(header + VERSION) < 0x208)
        return -ENOTSUP;
    /* "For backwards compatibility, if the setup_sects field contains 0, the real value is 4." */
    setup = (uint64_t)(header[SETUP_SECTS] ? header[SETUP_SECTS] : 4) + 1;
    payload->offset = setup * 512 + get_le32(header + PAYLOAD_OFFSET);
    payload->len = get_le32(header + PAYLOAD_LENGTH);
    return payload->len && payload->len <= PAYLOAD_MAX ? 0 : -ENOTSUP;
}

/* Behind the compressed bytes the kernel's build puts the unpacked size (scripts/Makefile.lib,
 * size_append), which a decompressor would take for a damaged second stream. */
static int read_payload(const struct payload *payload, uint8_t **bytes)
{
    int ret;

    if (payload->len <= 4)
        return -ENOTSUP;
    *bytes = malloc(payload->len - 4);
    if (!*bytes)
        return -ENOMEM;
    ret = pread_full(payload->fd, *bytes, payload->len - 4, payload->offset);
    if (!ret)
        return 0;
    free(*bytes);
    return ret == -ENODATA ? -ENOTSUP : ret;
}

static int copy_out(struct archive *in, int out)
{
    static const char elf[SELFMAG + 1] = ELFMAG;
    char buffer[BUFFER_BYTES];
    uint64_t total = 0;
    la_ssize_t n;
    int ret = 0;

    while (!ret && (n = archive_read_data(in, buffer, sizeof(buffer))) > 0) {
        if (!total && (n < (la_ssize_t)sizeof(Elf64_Ehdr) || memcmp(buffer, elf, SELFMAG) != 0))
            return -ENOTSUP;
        total += (uint64_t)n;
        ret = total > KERNEL_MAX ? -ENOTSUP : write_full(out, buffer, (size_t)n);
    }
    if (!ret && (n < 0 || !total))
        ret = -ENOTSUP;
    return ret;
}

static int unpack(const uint8_t *bytes, size_t len, int out)
{
    struct archive *in = archive_read_new();
    struct archive_entry *entry;
    int ret = -ENOMEM;

    if (in) {
        ret = -ENOTSUP;
        if (archive_read_support_filter_all(in) >= ARCHIVE_WARN &&
            archive_read_support_format_raw(in) == ARCHIVE_OK &&
            archive_read_open_memory(in, bytes, len) == ARCHIVE_OK &&
            archive_read_next_header(in, &entry) == ARCHIVE_OK)
            ret = copy_out(in, out);
        archive_read_free(in);
    }
    return ret;
}

/* A cache_make_fn. */
static int make(void *arg, int out, struct husk_error *err)
{
    const struct payload *payload = arg;
    uint8_t *bytes;
    int ret = read_payload(payload, &bytes);

    if (!ret) {
        ret = unpack(bytes, payload->len - 4, out);
        free(bytes);
    }
    return ret ? error_set(err, -ret, "kernel", cannot_unpack, NULL) : 0;
}

static int identify(const struct payload *payload, struct digest *digest)
{
    struct stat info;
    char *text = NULL;
    size_t len = 0;
    FILE *out;
    int ret;

    if (fstat(payload->fd, &info))
        return -errno;
    out = open_memstream(&text, &len);
    if (!out)
        return -ENOMEM;
    fprintf(out, "%u\n", FORMAT);
    cache_describe(out, "kernel", &info);
    ret = fclose(out) ? -ENOMEM : digest_of(text, len, digest);
    free(text);
    return ret;
}

int vmlinux_open(const char *path, struct husk_error *err)
{
    struct payload payload = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    struct digest digest;
    int ret;

    if (payload.fd < 0)
        return error_set(err, errno, path, "cannot open the kernel", NULL);
    ret = find_payload(&payload);
    if (!ret)
        ret = identify(&payload, &digest);
    if (!ret)
        ret = cache_file("vmlinux", &digest, make, &payload, err);
    else
        error_set(err, -ret, path, cannot_unpack, NULL);
    close_fd(&payload.fd);
    return ret;
}
