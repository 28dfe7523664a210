// SPDX-License-Identifier: Apache-2.0
/*
 * The header of qcow2 images: QEMU's docs/interop/qcow2.txt, "Header". Big-endian. Nothing but the
 * header is read here; the rest is qemu-img's business, in its confinement.
 */
#include "cli/qcow2.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

#define MAGIC             0x514649fbu /* "QFI\xfb" */
#define HEADER_2_BYTES    72u
#define INCOMPATIBLE_DATA (1ull << 2) /* an external data file */
#define DISK_BYTES_MAX    (64ull << 40)

static const char cannot_use[] = "cannot use the qcow2 image";

static uint32_t get_be32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static uint64_t get_be64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

bool qcow2_is_one(const uint8_t *header, size_t len)
{
    return len >= 4 && get_be32(header) == MAGIC;
}

int qcow2_check(const char *path, const uint8_t *header, size_t len, uint64_t *size_bytes,
                struct husk_error *err)
{
    uint32_t version;

    if (!qcow2_is_one(header, len))
        return error_set(err, EINVAL, path, cannot_use, "it is not one");
    if (len < HEADER_2_BYTES)
        return error_set(err, EINVAL, path, cannot_use, "its header is cut");
    version = get_be32(header + 4);
    if (version != 2 && version != 3)
        return error_set(err, EOPNOTSUPP, path, cannot_use, "version %u is not known", version);
    if (get_be64(header + 8) != 0)
        return error_set(err, EPERM, path, cannot_use,
                         "it has a backing file, which could be any file of this host; flatten it: "
                         "qemu-img convert -O qcow2");
    if (get_be32(header + 32) != 0)
        return error_set(err, EOPNOTSUPP, path, cannot_use, "it is encrypted");
    if (version == 3 && len < QCOW2_HEADER_BYTES)
        return error_set(err, EINVAL, path, cannot_use, "its header is cut");
    if (version == 3 && (get_be64(header + 72) & INCOMPATIBLE_DATA))
        return error_set(err, EPERM, path, cannot_use,
                         "its data is in another file, which could be any file of this host");
    *size_bytes = get_be64(header + 24);
    if (*size_bytes < 512 || *size_bytes > DISK_BYTES_MAX)
        return error_set(err, EINVAL, path, cannot_use, "it says that its disk has %llu bytes",
                         (unsigned long long)*size_bytes);
    return 0;
}
