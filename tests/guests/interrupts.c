// SPDX-License-Identifier: Apache-2.0
/*
 * That interrupts come while the processor has them on, and at no other time: a timer strikes a
 * processor that turns them off and on all the time. The end of an interrupt is told as a Linux
 * guest tells it, by KVM's flag in memory where CPUID offers that (Linux,
 * Documentation/virt/kvm/x86/ cpuid.rst and msr.rst, MSR_KVM_EOI_EN).
 *
 *   loops=N    how often interrupts are turned off and on; default 2000
 *   stray=N    of a thousand interrupts so many may come at another time, for emulators that do not
 *              do better (docs/lab.md, Pitfalls); default 0
 */
#include "lib/guest.h"

#define LAPIC_EOI      0xfee000b0u
#define LAPIC_INITIAL  0xfee00380u
#define PERIOD         50000u /* of the timer, in periods of a gigahertz */
#define RFLAGS_IF      0x200u
#define KVM_FEATURES   0x40000001u
#define FEATURE_PV_EOI (1u << 6)
#define MSR_KVM_EOI_EN 0x4b564d04u
#define MSR_ENABLED    1u
#define LOOPS_OFF      3000u /* passes of an empty loop with interrupts off */
#define LOOPS_ON       100u

struct frame { /* what the processor pushes: Intel SDM volume 3, section 6.14.2 */
    uint64_t rip, cs, rflags, rsp, ss;
};

struct __attribute__((packed)) idt_pointer {
    uint16_t limit;
    uint64_t base;
};

/* Bit 0: the host takes the interrupt for ended once it is cleared. */
static uint32_t no_eoi_needed __attribute__((aligned(4)));
static volatile uint64_t arrived, while_off, unwritten;

/* It calls nothing, no built-in function either: clang would have callees save all registers. */
__attribute__((interrupt)) static void strike(struct frame *frame)
{
    uint32_t flag = 0;

    arrived++;
    if (!(frame->rflags & RFLAGS_IF))
        while_off++;
    __asm__ volatile("xchgl %0, %1" : "+r"(flag), "+m"(no_eoi_needed) : : "memory");
    if (flag & 1)
        unwritten++;
    else
        *(volatile uint32_t *)(uintptr_t)LAPIC_EOI = 0;
}

/* Have the timer's vector lead to strike() instead of the library's stub. */
static void take_over_timer(void)
{
    uint64_t handler = (uint64_t)strike;
    struct idt_pointer idt;
    uint8_t *entry;

    __asm__ volatile("sidt %0" : "=m"(idt));
    entry = (uint8_t *)idt.base + 16 * (uint64_t)VECTOR_TIMER;
    *(uint16_t *)entry = (uint16_t)handler;
    *(uint16_t *)(entry + 6) = (uint16_t)(handler >> 16);
    *(uint32_t *)(entry + 8) = (uint32_t)(handler >> 32);
}

static bool use_flag(void)
{
    uint64_t value = (uint64_t)&no_eoi_needed | MSR_ENABLED;
    uint32_t eax = KVM_FEATURES, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (!(eax & FEATURE_PV_EOI))
        return false;
    __asm__ volatile("wrmsr"
                     :
                     : "c"(MSR_KVM_EOI_EN), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
    return true;
}

static void pass(unsigned count)
{
    for (volatile unsigned i = 0; i < count; i++)
        ;
}

void guest_main(void)
{
    unsigned loops = option_number("loops", 2000);
    unsigned stray = option_number("stray", 0);

    interrupts_init();
    __asm__ volatile("cli" : : : "memory");
    take_over_timer();
    say("end of interrupt: %s", use_flag() ? "flag or register" : "register");
    mmio_write32(LAPIC_INITIAL, PERIOD);
    for (unsigned i = 0; i < loops; i++) {
        __asm__ volatile("sti" : : : "memory");
        pass(LOOPS_ON);
        __asm__ volatile("cli" : : : "memory");
        pass(LOOPS_OFF);
    }
    say("interrupts: %U, %U of them ended by the flag", arrived, unwritten);
    check(arrived > 0, "the timer strikes", "no interrupt in %u loops", loops);
    check(while_off * 1000 <= arrived * stray, "no interrupt comes while they are off",
          "%U of %U did", while_off, arrived);
}
