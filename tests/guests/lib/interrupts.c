// SPDX-License-Identifier: Apache-2.0
/*
 * The interrupt descriptor table, local APIC and I/O APIC (Intel SDM volume 3, chapters 6 and 11;
 * 82093AA data sheet), and time in ticks of 20 ms.
 */
#include "guest.h"

#define LAPIC           0xfee00000u
#define LAPIC_ID        (LAPIC + 0x020)
#define LAPIC_EOI       (LAPIC + 0x0b0)
#define LAPIC_SPURIOUS  (LAPIC + 0x0f0)
#define LAPIC_ICR_LOW   (LAPIC + 0x300)
#define LAPIC_ICR_HIGH  (LAPIC + 0x310)
#define LAPIC_LVT_TIMER (LAPIC + 0x320)
#define LAPIC_INITIAL   (LAPIC + 0x380)
#define LAPIC_DIVIDE    (LAPIC + 0x3e0)

#define SPURIOUS_ENABLE 0x100u
#define VECTOR_SPURIOUS 63u
#define TIMER_PERIODIC  0x20000u
#define DIVIDE_BY_1     0xbu
#define TICK_MS         20u
#define TIMER_PER_MS    1000000u /* KVM's (and QEMU's) APIC timer runs at 1 GHz */

#define IOAPIC        0xfec00000u
#define IOAPIC_SELECT IOAPIC
#define IOAPIC_DATA   (IOAPIC + 0x10)
#define LEVEL_LOW     0xa000u

struct idt_entry {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct __attribute__((packed)) idt_pointer {
    uint16_t limit;
    uint64_t base;
};

extern uint8_t interrupt_stubs[];
void load_idt(const struct idt_pointer *pointer);
void interrupt_dispatch(uint64_t vector, uint64_t error, uint64_t rip);

volatile uint32_t interrupt_counts[64];
void (*interrupt_hook)(unsigned vector);
static struct idt_entry idt[64];

void interrupt_dispatch(uint64_t vector, uint64_t error, uint64_t rip)
{
    if (vector < VECTOR_PINS) {
        say("FAIL: exception %U, error 0x%X at 0x%X", vector, error, rip);
        end_guest(2);
    }
    if (vector == VECTOR_SPURIOUS)
        return;
    if (vector == VECTOR_IPI)
        __atomic_fetch_add(&interrupt_counts[vector], 1, __ATOMIC_SEQ_CST);
    else
        interrupt_counts[vector]++;
    if (interrupt_hook && vector != VECTOR_TIMER)
        interrupt_hook((unsigned)vector);
    mmio_write32(LAPIC_EOI, 0);
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
    mmio_write32(IOAPIC_SELECT, reg);
    mmio_write32(IOAPIC_DATA, value);
}

void interrupts_init_ap(void)
{
    struct idt_pointer pointer = {sizeof(idt) - 1, (uint64_t)idt};

    load_idt(&pointer);
    mmio_write32(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

void interrupts_init(void)
{
    for (unsigned i = 0; i < COUNT(idt); i++) {
        uint64_t stub = (uint64_t)interrupt_stubs + 16 * i;

        idt[i] = (struct idt_entry){
            .offset_low = (uint16_t)stub,
            .selector = 0x08,
            .type = 0x8e, /* present, interrupt gate */
            .offset_middle = (uint16_t)(stub >> 16),
        };
    }
    interrupts_init_ap();
    mmio_write32(LAPIC_DIVIDE, DIVIDE_BY_1);
    mmio_write32(LAPIC_LVT_TIMER, TIMER_PERIODIC | VECTOR_TIMER);
    mmio_write32(LAPIC_INITIAL, TICK_MS * TIMER_PER_MS);
    for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
        ioapic_write(0x11 + 2 * pin, apic_id() << 24);
        ioapic_write(0x10 + 2 * pin, VECTOR_PINS + pin); /* edge, fixed, physical, unmasked */
    }
    __asm__ volatile("sti");
}

void interrupts_level(uint32_t pin)
{
    ioapic_write(0x10 + 2 * pin, LEVEL_LOW | (VECTOR_PINS + pin));
}

uint32_t apic_id(void)
{
    return mmio_read32(LAPIC_ID) >> 24;
}

void apic_send(uint32_t to, uint32_t command)
{
    mmio_write32(LAPIC_ICR_HIGH, to << 24);
    mmio_write32(LAPIC_ICR_LOW, command);
}

bool wait_until(bool (*ready)(void *arg), void *arg, unsigned milliseconds)
{
    uint32_t first = interrupt_counts[VECTOR_TIMER];

    for (;;) {
        /* Checked with interrupts off: one that comes now ends the hlt, for sti takes effect after
         * it began. */
        __asm__ volatile("cli" : : : "memory");
        if (ready(arg) || interrupt_counts[VECTOR_TIMER] - first > milliseconds / TICK_MS + 1) {
            __asm__ volatile("sti" : : : "memory");
            return ready(arg);
        }
        __asm__ volatile("sti; hlt" : : : "memory");
    }
}

static bool never(void *arg)
{
    return false;
}

void sleep_ms(unsigned milliseconds)
{
    wait_until(never, NULL, milliseconds);
}
