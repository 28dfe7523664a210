// SPDX-License-Identifier: Apache-2.0
/* Addresses that nobody claims, accesses across the edges of devices, and string instructions. */
#include "lib/guest.h"

static const uint16_t free_ports[] = {0x0080, 0x0102, 0x02f8, 0x0cfc, 0x1000, 0x8000, 0xfffc};
static const uint64_t free_addresses[] = {0xd00f0000, 0xe0000000, 0xf0000ff8, 0xfed00000};

static void unclaimed_ports(void)
{
    bool ones = true;

    for (unsigned i = 0; i < COUNT(free_ports); i++) {
        uint16_t port = free_ports[i];

        out8(port, 0);
        out16(port, 0);
        out32(port, 0);
        ones &= in8(port) == 0xff && in16(port) == 0xffff && in32(port) == 0xffffffff;
    }
    check(ones, "unclaimed ports read as ones", "one did not");
    /* Four bytes from the last of the uart's eight: not wholly inside, so nobody's. */
    check(in32(0x3fe) == 0xffffffff, "access across a device's edge", "0x%x", in32(0x3fe));
}

static void unclaimed_memory(void)
{
    bool ones = true;

    for (unsigned i = 0; i < COUNT(free_addresses); i++) {
        uint64_t address = free_addresses[i];

        mmio_write8(address, 0);
        mmio_write16(address, 0);
        mmio_write32(address, 0);
        mmio_write64(address, 0);
        ones &= mmio_read8(address) == 0xff && mmio_read16(address) == 0xffff &&
                mmio_read32(address) == 0xffffffff && mmio_read64(address) == UINT64_MAX;
        /* Unaligned, and across a page. */
        ones &=
            mmio_read32(address + 3) == 0xffffffff && mmio_read64(address + 0xffd) == UINT64_MAX;
    }
    check(ones, "unclaimed memory reads as ones", "one did not");
}

static void string_instructions(void)
{
    static const char text[] = "string output works\n";
    uint8_t bytes[64];
    const void *from = text;
    void *to = bytes;
    size_t count = sizeof(text) - 1;
    bool ones = true;

    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"((uint16_t)0x3f8) : "memory");
    memset(bytes, 0, sizeof(bytes));
    count = 16;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"((uint16_t)0x102) : "memory");
    count = 8;
    __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"((uint16_t)0x102) : "memory");
    count = 4;
    __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"((uint16_t)0x102) : "memory");
    for (unsigned i = 0; i < 48; i++)
        ones &= bytes[i] == 0xff;
    check(ones, "string input", "not all ones");
    check(bytes[48] == 0, "string input's length", "too long");
}

void guest_main(void)
{
    unclaimed_ports();
    unclaimed_memory();
    string_instructions();
}
