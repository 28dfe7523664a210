// SPDX-License-Identifier: Apache-2.0
/*
 * What the machine says of itself: the PVH start info
 * (xen/include/public/arch-x86/hvm/start_info.h) with command line and memory map, and the ACPI
 * tables (ACPI 6.5, chapter 5).
 */
#include "guest.h"

#define START_MAGIC 0x336ec578u
#define RAM         1u

static uint64_t info;
static char value[64];

void machine_init(uint64_t start_info);

uint16_t get16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

uint32_t get32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

uint64_t get64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

void machine_init(uint64_t start_info)
{
    if (mmio_read32(start_info) != START_MAGIC)
        give_up("start info", "magic 0x%x", mmio_read32(start_info));
    info = start_info;
}

const uint8_t *initrd(uint64_t *len)
{
    uint64_t module = mmio_read64(info + 16);

    *len = 0;
    if (mmio_read32(info + 12) == 0)
        return NULL;
    *len = mmio_read64(module + 8);
    return (const uint8_t *)mmio_read64(module);
}

/* Whether `text` begins with the word `name`, up to '=' or a blank; *end is behind it. */
static bool is_word(const char *text, const char *name, const char **end)
{
    while (*name && *text == *name) {
        text++;
        name++;
    }
    *end = text;
    return !*name && (*text == '=' || *text == ' ' || *text == '\0');
}

const char *command_line(void)
{
    return (const char *)mmio_read64(info + 24);
}

const char *option(const char *name)
{
    const char *text = command_line();
    const char *found = NULL;
    size_t len = 0;

    /* The last one counts. */
    while (*text) {
        const char *end;

        if (is_word(text, name, &end))
            found = end;
        while (*text && *text != ' ')
            text++;
        while (*text == ' ')
            text++;
    }
    if (!found)
        return NULL;
    if (*found == '=') {
        for (found++; *found && *found != ' ' && len < sizeof(value) - 1;)
            value[len++] = *found++;
    }
    value[len] = '\0';
    return value;
}

unsigned option_number(const char *name, unsigned otherwise)
{
    const char *text = option(name);
    unsigned number = 0;

    if (!text || !*text)
        return otherwise;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (unsigned)(*text - '0');
    return number;
}

bool option_is(const char *name, const char *expected)
{
    const char *text = option(name);

    while (text && *text && *text == *expected) {
        text++;
        expected++;
    }
    return text && *text == *expected;
}

uint64_t rsdp_address(void)
{
    return mmio_read64(info + 32);
}

uint64_t low_memory_end(void)
{
    const uint8_t *map = (const uint8_t *)mmio_read64(info + 40);
    uint32_t entries = mmio_read32(info + 48);
    uint64_t end = 0;

    for (uint32_t i = 0; i < entries; i++, map += 24) {
        uint64_t last = get64(map) + get64(map + 8);

        if (get32(map + 16) == RAM && last <= 1ull << 32 && last > end)
            end = last;
    }
    return end;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t total = 0;

    while (len-- > 0)
        total = (uint8_t)(total + *bytes++);
    return total;
}

const uint8_t *acpi_table(const char *signature)
{
    const uint8_t *rsdp = (const uint8_t *)rsdp_address();
    const uint8_t *xsdt;
    uint32_t len;

    if (!rsdp || memcmp(rsdp, "RSD PTR ", 8) != 0 || sum(rsdp, 20) || sum(rsdp, 36))
        give_up("rsdp", "none, or its checksum is wrong");
    xsdt = (const uint8_t *)get64(rsdp + 24);
    len = get32(xsdt + 4);
    if (memcmp(xsdt, "XSDT", 4) != 0 || sum(xsdt, len))
        give_up("xsdt", "none, or its checksum is wrong");
    for (uint32_t at = 36; at + 8 <= len; at += 8) {
        const uint8_t *table = (const uint8_t *)get64(xsdt + at);

        if (memcmp(table, signature, 4) != 0)
            continue;
        check(sum(table, get32(table + 4)) == 0, signature, "its checksum is wrong");
        return table;
    }
    return NULL;
}
