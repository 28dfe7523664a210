// SPDX-License-Identifier: Apache-2.0
/*
 * What the bare-metal test guests share. They run in ring 0 of 64-bit mode, with the first 4 GiB
 * mapped to themselves, and use integer instructions only: some hosts emulate the rest wrongly or
 * not at all.
 *
 * A guest is a function guest_main() that makes checks, each of which prints one line on COM1
 * ("ok: NAME" or "FAIL: NAME: why"), and returns; the machine then ends with status 0 or 1, or,
 * where COM1 is not there, 10 and the number of the first failed check. Other lines tell the test
 * on the host what to do next. An unexpected exception ends it with status 2.
 */
#ifndef HUSK_TESTS_GUESTS_GUEST_H
#define HUSK_TESTS_GUESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void guest_main(void);

/* ---- ports and registers ---- */

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* Single accesses of exactly this size: the compiler neither joins nor splits them. */
#define MMIO_ACCESS(bits)                                                       \
    static inline uint##bits##_t mmio_read##bits(uint64_t address)              \
    {                                                                           \
        return *(volatile uint##bits##_t *)address;                             \
    }                                                                           \
    static inline void mmio_write##bits(uint64_t address, uint##bits##_t value) \
    {                                                                           \
        *(volatile uint##bits##_t *)address = value;                            \
    }
MMIO_ACCESS(8)
MMIO_ACCESS(16)
MMIO_ACCESS(32)
MMIO_ACCESS(64)

static inline void compiler_barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

static inline void memory_barrier(void)
{
    __asm__ volatile("lock addl $0, (%%rsp)" : : : "memory", "cc");
}

/* ---- memory (lib/memory.c) ---- */

void *memset(void *to, int value, size_t len);
void *memcpy(void *to, const void *from, size_t len);
int memcmp(const void *a, const void *b, size_t len);

/* Zeroed, never freed; align is a power of two. Ends the guest when there is no more. */
void *allocate(size_t len, size_t align);
/* Forget everything that was allocated since this value of the mark. */
size_t allocation_mark(void);
void allocation_release(size_t mark);

/* ---- results (lib/report.c) ---- */

/* %s, %c, %u (unsigned), %U (uint64_t), %x (unsigned), %X (uint64_t). */
void say(const char *format, ...);

/* One result; `format` says why, for a failure. Returns ok. */
bool check(bool ok, const char *name, const char *format, ...);

/* A failure that makes going on useless. */
_Noreturn void give_up(const char *name, const char *format, ...);

_Noreturn void end_guest(uint8_t status);

/* ---- where we are (lib/machine.c) ---- */

const char *command_line(void);
/* The initial RAM disk, or NULL. */
const uint8_t *initrd(uint64_t *len);
/* The value of the word NAME=VALUE on the command line, "" for NAME alone, NULL without it. Valid
 * until the next call. */
const char *option(const char *name);
unsigned option_number(const char *name, unsigned otherwise);
bool option_is(const char *name, const char *value);

/* Physical address of the RSDP, or 0. */
uint64_t rsdp_address(void);

/* Highest RAM address + 1 below 4 GiB. */
uint64_t low_memory_end(void);

/* The ACPI table with this signature, or NULL. Checks checksums as check() on the way. */
const uint8_t *acpi_table(const char *signature);

uint16_t get16(const void *p);
uint32_t get32(const void *p);
uint64_t get64(const void *p);

/* ---- interrupts (lib/interrupts.c) ---- */

#define IOAPIC_PINS  24u
#define VECTOR_PINS  32u /* the first of IOAPIC_PINS */
#define VECTOR_TIMER 56u
#define VECTOR_IPI   57u

/* Counts of what arrived, by vector. */
extern volatile uint32_t interrupt_counts[64];

/* Called for interrupts of the I/O APIC's pins and VECTOR_IPI, before the end of interrupt. */
extern void (*interrupt_hook)(unsigned vector);

/* IDT, local APIC, all pins of the I/O APIC unmasked, edge, to this processor; a 20 ms tick. */
void interrupts_init(void);
/* Have a pin of the I/O APIC be level-triggered, as PCI's are, low. */
void interrupts_level(uint32_t pin);
/* For the other processors: IDT and local APIC. */
void interrupts_init_ap(void);

uint32_t apic_id(void);
/* Interrupt command: `command` is the low word of the ICR. */
void apic_send(uint32_t to, uint32_t command);

/* Sleep until ready(arg), at most so long. Returns whether it became ready. */
bool wait_until(bool (*ready)(void *arg), void *arg, unsigned milliseconds);
void sleep_ms(unsigned milliseconds);

/* ---- the other processors (lib/start.S) ---- */

#define APS_MAX 16u
extern uint8_t ap_start[], ap_start_end[];
extern volatile uint32_t ap_count;

#endif
