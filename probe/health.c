// SPDX-License-Identifier: Apache-2.0
/* See health.h. Reference: "Encoding" of the documentation of Protocol Buffers. */
#include "probe/health.h"

#include <errno.h>
#include <string.h>

#define FIELD       1u
#define VARINT_MAX  10u /* bytes of a number of 64 bits */
#define NUMBERS_MAX ((UINT64_C(1) << 29) - 1)

enum wire_type {
    WIRE_VARINT,
    WIRE_64_BITS,
    WIRE_BYTES,
    WIRE_32_BITS = 5, /* 3 and 4 are groups, which no message has any more */
};

size_t health_request(const char *service, uint8_t out[HEALTH_REQUEST_MAX])
{
    size_t len = strnlen(service, PROBE_NAME_BYTES - 1), at = 0;

    if (len == 0) /* what has its default is left out */
        return 0;
    out[at++] = FIELD << 3 | WIRE_BYTES;
    if (len >= 0x80)
        out[at++] = (uint8_t)(0x80 | (len & 0x7f));
    out[at++] = (uint8_t)(len >= 0x80 ? len >> 7 : len);
    memcpy(out + at, service, len);
    return at + len;
}

struct reader {
    const uint8_t *at, *end;
};

/* What does not fit into 64 bits is no number. */
static int read_varint(struct reader *reader, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_MAX && reader->at < reader->end; i++) {
        uint8_t byte = *reader->at++;

        if (i == VARINT_MAX - 1 && byte > 1)
            return -EPROTO;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *out = value;
            return 0;
        }
    }
    return -EPROTO;
}

static int skip(struct reader *reader, uint64_t len)
{
    if (len > (uint64_t)(reader->end - reader->at))
        return -EPROTO;
    reader->at += len;
    return 0;
}

static int skip_field(struct reader *reader, unsigned type)
{
    uint64_t len;
    int ret;

    switch (type) {
    case WIRE_VARINT:
        return read_varint(reader, &len);
    case WIRE_64_BITS:
        return skip(reader, 8);
    case WIRE_BYTES:
        ret = read_varint(reader, &len);
        return ret ? ret : skip(reader, len);
    case WIRE_32_BITS:
        return skip(reader, 4);
    default:
        return -EPROTO;
    }
}

int health_read(const uint8_t *bytes, size_t len, int32_t *status)
{
    struct reader reader = {bytes, bytes + len};

    *status = HEALTH_UNKNOWN;
    while (reader.at < reader.end) {
        uint64_t key, value;
        int ret = read_varint(&reader, &key);

        if (ret || key >> 3 == 0 || key >> 3 > NUMBERS_MAX)
            return -EPROTO;
        if (key != (FIELD << 3 | WIRE_VARINT)) {
            ret = skip_field(&reader, key & 7);
        } else {
            ret = read_varint(&reader, &value);
            if (ret == 0)
                *status = (int32_t)(uint32_t)value; /* as readers of an enum cut it */
        }
        if (ret)
            return ret;
    }
    return 0;
}
