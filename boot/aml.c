// SPDX-License-Identifier: Apache-2.0
/* The AML writer: see aml.h. Each encoding follows ACPI 6.5, section 20.2; no state of its own. */
#include "boot/aml.h"

#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"

/* Opcodes (20.2.2 to 20.2.6). */
enum {
    ZERO_OP = 0x00,
    ONE_OP = 0x01,
    NAME_OP = 0x08,
    BYTE_PREFIX = 0x0a,
    WORD_PREFIX = 0x0b,
    DWORD_PREFIX = 0x0c,
    STRING_PREFIX = 0x0d,
    QWORD_PREFIX = 0x0e,
    SCOPE_OP = 0x10,
    BUFFER_OP = 0x11,
    PACKAGE_OP = 0x12,
    METHOD_OP = 0x14,
    DUAL_NAME_PREFIX = 0x2e,
    MULTI_NAME_PREFIX = 0x2f,
    EXT_OP_PREFIX = 0x5b,
    LOCAL0_OP = 0x60,
    ARG0_OP = 0x68,
    STORE_OP = 0x70,
    AND_OP = 0x7b,
    OR_OP = 0x7d,
    NOTIFY_OP = 0x86,
    CREATE_DWORD_FIELD_OP = 0x8a,
    LNOT_OP = 0x92,
    LEQUAL_OP = 0x93,
    IF_OP = 0xa0,
    RETURN_OP = 0xa4,
    /* behind EXT_OP_PREFIX */
    OP_REGION_OP = 0x80,
    FIELD_OP = 0x81,
    DEVICE_OP = 0x82,
};

#define REGION_SYSTEM_IO  1u
#define FIELD_BYTE_ACCESS 1u /* AccessType ByteAcc, no lock, Preserve */
#define FIELD_WORD_ACCESS 3u /* DWordAcc */
#define WORD_BITS         32u

void aml_init(struct aml *aml, void *bytes, size_t size)
{
    *aml = (struct aml){.bytes = bytes, .size = size};
}

bool aml_fits(const struct aml *aml)
{
    return aml->used <= aml->size;
}

void aml_bytes(struct aml *aml, const void *bytes, size_t len)
{
    if (aml_fits(aml) && len <= aml->size - aml->used)
        memcpy(aml->bytes + aml->used, bytes, len);
    aml->used += len;
}

static void put_byte(struct aml *aml, uint8_t byte)
{
    aml_bytes(aml, &byte, 1);
}

static unsigned count_segments(const char *name)
{
    unsigned count = 1;

    while ((name = strchr(name, '.'))) {
        count++;
        name++;
    }
    return count;
}

/* 20.2.2: a prefix tells of more than one segment. */
void aml_name_string(struct aml *aml, const char *name)
{
    unsigned count = count_segments(name);

    if (*name == '\\') {
        put_byte(aml, '\\');
        name++;
    }
    if (count == 2) {
        put_byte(aml, DUAL_NAME_PREFIX);
    } else if (count > 2) {
        put_byte(aml, MULTI_NAME_PREFIX);
        put_byte(aml, (uint8_t)count);
    }
    for (unsigned i = 0; i < count; i++) {
        char segment[4] = {'_', '_', '_', '_'};
        size_t len = strcspn(name, ".");

        memcpy(segment, name, len < sizeof(segment) ? len : sizeof(segment));
        aml_bytes(aml, segment, sizeof(segment));
        name += len + 1;
    }
}

/* 20.2.3: the shortest form, at most 9 bytes. Returns its length. */
static size_t encode_integer(uint8_t *out, uint64_t value)
{
    size_t bytes;

    if (value <= 1) {
        out[0] = value ? ONE_OP : ZERO_OP;
        return 1;
    }
    if (value <= UINT8_MAX) {
        out[0] = BYTE_PREFIX;
        bytes = 1;
    } else if (value <= UINT16_MAX) {
        out[0] = WORD_PREFIX;
        bytes = 2;
    } else if (value <= UINT32_MAX) {
        out[0] = DWORD_PREFIX;
        bytes = 4;
    } else {
        out[0] = QWORD_PREFIX;
        bytes = 8;
    }
    put_le64(out + 1, value);
    return 1 + bytes;
}

/* Move what follows the mark and put `len` bytes before it. */
static void insert(struct aml *aml, size_t mark, const uint8_t *bytes, size_t len)
{
    size_t body = aml->used - mark;

    if (aml->used + len <= aml->size) {
        memmove(aml->bytes + mark + len, aml->bytes + mark, body);
        memcpy(aml->bytes + mark, bytes, len);
    }
    aml->used += len;
}

/*
 * 20.2.4: the length counts its own bytes. One byte holds up to 63; with N more bytes, the first
 * one holds N in bits 7-6 and the lowest nibble of the length.
 */
void aml_end(struct aml *aml, size_t mark)
{
    size_t body = aml->used - mark;
    uint8_t encoded[4];
    size_t count = 1;
    size_t length;

    while (count < 4 && body + count >= (count == 1 ? 64u : 1u << (8 * count - 4)))
        count++;
    length = body + count;
    if (count == 1) {
        encoded[0] = (uint8_t)length;
    } else {
        encoded[0] = (uint8_t)((count - 1) << 6 | (length & 0xf));
        for (size_t i = 1; i < count; i++)
            encoded[i] = (uint8_t)(length >> (8 * i - 4));
    }
    insert(aml, mark, encoded, count);
}

size_t aml_begin_scope(struct aml *aml, const char *name)
{
    size_t mark;

    put_byte(aml, SCOPE_OP);
    mark = aml->used;
    aml_name_string(aml, name);
    return mark;
}

size_t aml_begin_device(struct aml *aml, const char *name)
{
    size_t mark;

    put_byte(aml, EXT_OP_PREFIX);
    put_byte(aml, DEVICE_OP);
    mark = aml->used;
    aml_name_string(aml, name);
    return mark;
}

size_t aml_begin_method(struct aml *aml, const char *name, unsigned arguments, bool serialized)
{
    size_t mark;

    put_byte(aml, METHOD_OP);
    mark = aml->used;
    aml_name_string(aml, name);
    put_byte(aml, (uint8_t)((arguments & 7) | (serialized ? 8 : 0)));
    return mark;
}

size_t aml_begin_if(struct aml *aml)
{
    put_byte(aml, IF_OP);
    return aml->used;
}

size_t aml_begin_package(struct aml *aml, uint8_t elements)
{
    size_t mark;

    put_byte(aml, PACKAGE_OP);
    mark = aml->used;
    put_byte(aml, elements);
    return mark;
}

size_t aml_begin_resources(struct aml *aml)
{
    put_byte(aml, BUFFER_OP);
    return aml->used;
}

void aml_end_resources(struct aml *aml, size_t mark)
{
    static const uint8_t end_tag[] = {0x79, 0}; /* 6.4.2.9; checksum 0: not used */
    uint8_t size[9];

    aml_bytes(aml, end_tag, sizeof(end_tag));
    insert(aml, mark, size, encode_integer(size, aml->used - mark));
    aml_end(aml, mark);
}

void aml_name(struct aml *aml, const char *name)
{
    put_byte(aml, NAME_OP);
    aml_name_string(aml, name);
}

void aml_integer(struct aml *aml, uint64_t value)
{
    uint8_t encoded[9];

    aml_bytes(aml, encoded, encode_integer(encoded, value));
}

void aml_string(struct aml *aml, const char *text)
{
    put_byte(aml, STRING_PREFIX);
    aml_bytes(aml, text, strlen(text) + 1);
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/* 19.3.4 (EISAID): three letters of five bits each and four hexadecimal digits, big-endian. */
void aml_eisa_id(struct aml *aml, const char *id)
{
    uint32_t value = 0;
    uint8_t encoded[5] = {DWORD_PREFIX};

    for (int i = 0; i < 3; i++)
        value = value << 5 | (uint32_t)(id[i] - '@');
    for (int i = 3; i < 7; i++)
        value = value << 4 | hex_digit(id[i]);
    put_le32(encoded + 1, __builtin_bswap32(value));
    aml_bytes(aml, encoded, sizeof(encoded));
}

void aml_port_region(struct aml *aml, const char *name, uint16_t port, uint8_t bytes)
{
    put_byte(aml, EXT_OP_PREFIX);
    put_byte(aml, OP_REGION_OP);
    aml_name_string(aml, name);
    put_byte(aml, REGION_SYSTEM_IO);
    aml_integer(aml, port);
    aml_integer(aml, bytes);
}

void aml_byte_field(struct aml *aml, const char *region, const char *field)
{
    size_t mark;

    put_byte(aml, EXT_OP_PREFIX);
    put_byte(aml, FIELD_OP);
    mark = aml->used;
    aml_name_string(aml, region);
    put_byte(aml, FIELD_BYTE_ACCESS);
    aml_name_string(aml, field);
    put_byte(aml, 8); /* bits, a PkgLength of one byte */
    aml_end(aml, mark);
}

void aml_word_fields(struct aml *aml, const char *region, const char *const *fields, unsigned count)
{
    size_t mark;

    put_byte(aml, EXT_OP_PREFIX);
    put_byte(aml, FIELD_OP);
    mark = aml->used;
    aml_name_string(aml, region);
    put_byte(aml, FIELD_WORD_ACCESS);
    for (unsigned i = 0; i < count; i++) {
        aml_name_string(aml, fields[i]);
        put_byte(aml, WORD_BITS);
    }
    aml_end(aml, mark);
}

void aml_store(struct aml *aml, uint64_t value, const char *target)
{
    put_byte(aml, STORE_OP);
    aml_integer(aml, value);
    aml_name_string(aml, target);
}

void aml_store_local0(struct aml *aml, const char *source)
{
    put_byte(aml, STORE_OP);
    aml_name_string(aml, source);
    put_byte(aml, LOCAL0_OP);
}

void aml_local0_and(struct aml *aml, uint64_t mask)
{
    put_byte(aml, AND_OP);
    put_byte(aml, LOCAL0_OP);
    aml_integer(aml, mask);
    put_byte(aml, ZERO_OP); /* no target */
}

void aml_local0_differs(struct aml *aml, const char *name)
{
    put_byte(aml, LNOT_OP);
    put_byte(aml, LEQUAL_OP);
    put_byte(aml, LOCAL0_OP);
    aml_name_string(aml, name);
}

static void change(struct aml *aml, uint8_t operation, const char *name, uint64_t operand)
{
    put_byte(aml, operation);
    aml_name_string(aml, name);
    aml_integer(aml, operand);
    aml_name_string(aml, name); /* the target */
}

void aml_and(struct aml *aml, const char *name, uint64_t mask)
{
    change(aml, AND_OP, name, mask);
}

void aml_or(struct aml *aml, const char *name, uint64_t bits)
{
    change(aml, OR_OP, name, bits);
}

void aml_argument_word(struct aml *aml, unsigned argument, unsigned offset, const char *name)
{
    put_byte(aml, CREATE_DWORD_FIELD_OP);
    put_byte(aml, (uint8_t)(ARG0_OP + argument));
    aml_integer(aml, offset);
    aml_name_string(aml, name);
}

void aml_call(struct aml *aml, const char *method)
{
    aml_name_string(aml, method);
}

void aml_notify(struct aml *aml, const char *device, uint64_t value)
{
    put_byte(aml, NOTIFY_OP);
    aml_name_string(aml, device);
    aml_integer(aml, value);
}

void aml_return_argument(struct aml *aml, unsigned argument)
{
    put_byte(aml, RETURN_OP);
    put_byte(aml, (uint8_t)(ARG0_OP + argument));
}

/* 6.4.2.5: I/O port descriptor, 16-bit decode, fixed base. */
void aml_resource_ports(struct aml *aml, uint16_t base, uint8_t bytes)
{
    uint8_t d[8] = {0x47, 0x01};

    put_le16(d + 2, base);
    put_le16(d + 4, base);
    d[6] = 1;
    d[7] = bytes;
    aml_bytes(aml, d, sizeof(d));
}

/* 6.4.3.4: 32-bit fixed memory range descriptor, read-write. */
void aml_resource_memory32(struct aml *aml, uint32_t base, uint32_t bytes)
{
    uint8_t d[12] = {0x86, 9, 0, 0x01};

    put_le32(d + 4, base);
    put_le32(d + 8, bytes);
    aml_bytes(aml, d, sizeof(d));
}

/*
 * 6.4.3.5.1 to .3: address space descriptors; a type, general flags (both ends are fixed), flags of
 * the type, then granularity, first, last, translation and length, in words of the descriptor's
 * size.
 */
#define ADDRESS_BUS       2u
#define ADDRESS_FIXED     0x0cu
#define ADDRESS_READWRITE 1u

void aml_resource_buses(struct aml *aml, uint8_t first, uint8_t last)
{
    uint8_t d[16] = {0x88, sizeof(d) - 3, 0, ADDRESS_BUS, ADDRESS_FIXED};

    put_le16(d + 8, first);
    put_le16(d + 10, last);
    put_le16(d + 14, (uint16_t)(last - first + 1));
    aml_bytes(aml, d, sizeof(d));
}

void aml_resource_window32(struct aml *aml, uint32_t base, uint32_t bytes)
{
    uint8_t d[26] = {0x87, sizeof(d) - 3, 0, 0, ADDRESS_FIXED, ADDRESS_READWRITE};

    put_le32(d + 10, base);
    put_le32(d + 14, base + (bytes - 1));
    put_le32(d + 22, bytes);
    aml_bytes(aml, d, sizeof(d));
}

void aml_resource_window64(struct aml *aml, uint64_t base, uint64_t bytes)
{
    uint8_t d[46] = {0x8a, sizeof(d) - 3, 0, 0, ADDRESS_FIXED, ADDRESS_READWRITE};

    put_le64(d + 14, base);
    put_le64(d + 22, base + (bytes - 1));
    put_le64(d + 38, bytes);
    aml_bytes(aml, d, sizeof(d));
}

/* 6.4.3.6: extended interrupt descriptor: consumer (bit 0), edge (bit 1), active high, exclusive.
 */
static void resource_interrupt(struct aml *aml, uint32_t gsi, bool edge)
{
    uint8_t d[9] = {0x89, 6, 0, edge ? 0x03 : 0x01, 1};

    put_le32(d + 5, gsi);
    aml_bytes(aml, d, sizeof(d));
}

void aml_resource_interrupt(struct aml *aml, uint32_t gsi)
{
    resource_interrupt(aml, gsi, true);
}

void aml_resource_level(struct aml *aml, uint32_t gsi)
{
    resource_interrupt(aml, gsi, false);
}
