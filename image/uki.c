// SPDX-License-Identifier: Apache-2.0
/*
 * Reading unified kernel images: UAPI.5, "Unified Kernel Image (UKI)", in a PE/COFF file:
 * Microsoft PE Format, "COFF File Header" and "Section Table (Section Headers)".
 *
 * The first section of a name counts. Sections of further profiles (UAPI.5, "Multi-Profile UKIs")
 * come behind a section ".profile", where reading stops.
 */
#include "image/uki.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"

#define SECTION_BYTES  40u
#define SECTIONS_MAX   96u /* Windows' own limit */
#define NEW_HEADER_AT  0x3cu
#define COFF_BYTES     24u /* with the signature */
#define MACHINE_X86_64 0x8664u

struct section {
    char name[9];
    struct image_source bytes;
};

/* What is behind the raw data of a section, up to its size in memory, is zero, and no content. */
static int read_section(const struct image_source *file, uint64_t at, struct section *section)
{
    uint8_t raw[SECTION_BYTES];
    int ret = image_read(file, at, raw, sizeof(raw));

    if (ret)
        return ret;
    memcpy(section->name, raw, 8);
    section->name[8] = '\0';
    return image_part(file, get_le32(raw + 20), min_u64(get_le32(raw + 8), get_le32(raw + 16)),
                      &section->bytes);
}

static int read_options(const struct image_source *bytes, char *options)
{
    size_t len = (size_t)bytes->size;
    int ret;

    if (bytes->size >= IMAGE_OPTIONS_MAX)
        return -EFBIG;
    ret = image_read(bytes, 0, options, len);
    if (ret)
        return ret;
    options[len] = '\0';
    len = strlen(options);
    for (size_t i = 0; i < len; i++) {
        if (options[i] == '\n' || options[i] == '\r' || options[i] == '\t')
            options[i] = ' ';
    }
    while (len > 0 && options[len - 1] == ' ')
        options[--len] = '\0';
    return 0;
}

static int take_section(const struct section *section, struct uki *uki)
{
    if (!strcmp(section->name, ".linux") && !uki->kernel.size)
        uki->kernel = section->bytes;
    else if (!strcmp(section->name, ".initrd") && !uki->initrd.size)
        uki->initrd = section->bytes;
    else if (!strcmp(section->name, ".cmdline") && !uki->options[0])
        return read_options(&section->bytes, uki->options);
    return 0;
}

int uki_parse(const struct image_source *file, struct uki *uki)
{
    uint8_t head[64], coff[COFF_BYTES];
    uint64_t at;
    unsigned count;

    memset(uki, 0, sizeof(*uki));
    if (image_read(file, 0, head, sizeof(head)) || memcmp(head, "MZ", 2) != 0)
        return -EINVAL;
    at = get_le32(head + NEW_HEADER_AT);
    if (image_read(file, at, coff, sizeof(coff)) || memcmp(coff, "PE\0\0", 4) != 0 ||
        get_le16(coff + 4) != MACHINE_X86_64)
        return -EINVAL;
    count = get_le16(coff + 6);
    at += COFF_BYTES + get_le16(coff + 20); /* behind the optional header */
    for (unsigned i = 0; i < count && i < SECTIONS_MAX; i++, at += SECTION_BYTES) {
        struct section section;
        int ret = read_section(file, at, &section);

        if (!ret && !strcmp(section.name, ".profile"))
            break;
        if (!ret)
            ret = take_section(&section, uki);
        if (ret)
            return ret;
    }
    return uki->kernel.size ? 0 : -ENOENT;
}
