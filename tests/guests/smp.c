// SPDX-License-Identifier: Apache-2.0
/*
 * Starts every processor in the MADT with INIT and SIPI (Intel SDM volume 3, 9.4.4.1), has them
 * count in parallel, and sends each an interrupt that it answers. cpus=N says how many there must
 * be.
 */
#include "lib/guest.h"

#define TRAMPOLINE  0x8000u
#define ICR_INIT    0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_FIXED   0x4000u
#define EACH_COUNTS 1000u

static uint32_t apic_ids[APS_MAX + 1];
static unsigned cpu_count;

static volatile uint32_t counter;
static volatile uint32_t done;
static volatile uint32_t ids_seen[APS_MAX];

void ap_main(uint32_t number);

void ap_main(uint32_t number)
{
    interrupts_init_ap();
    ids_seen[number] = apic_id();
    for (unsigned i = 0; i < EACH_COUNTS; i++)
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("sti; hlt");
}

static void find_processors(void)
{
    const uint8_t *madt = acpi_table("APIC");

    if (!madt)
        give_up("madt", "none");
    for (uint32_t at = 44; at + 2 <= get32(madt + 4) && madt[at + 1] >= 2; at += madt[at + 1]) {
        if (madt[at] == 0 && (get32(madt + at + 4) & 1) && cpu_count <= APS_MAX)
            apic_ids[cpu_count++] = madt[at + 3];
    }
    check(cpu_count == option_number("cpus", 1), "processors in the MADT", "%u", cpu_count);
    check(apic_ids[0] == apic_id(), "this one comes first", "id %u", apic_id());
}

static bool all_done(void *arg)
{
    return done == cpu_count - 1;
}

static bool all_interrupted(void *arg)
{
    return interrupt_counts[VECTOR_IPI] == cpu_count - 1;
}

static void check_ids(void)
{
    bool unique = true;

    for (unsigned i = 0; i + 1 < cpu_count; i++) {
        bool known = false;

        for (unsigned k = 1; k < cpu_count; k++)
            known |= ids_seen[i] == apic_ids[k];
        for (unsigned k = 0; k < i; k++)
            known &= ids_seen[i] != ids_seen[k];
        unique &= known;
    }
    check(unique, "every processor has its own id", "not so");
}

void guest_main(void)
{
    find_processors();
    interrupts_init();
    memcpy((void *)TRAMPOLINE, ap_start, (size_t)(ap_start_end - ap_start));
    for (unsigned i = 1; i < cpu_count; i++) {
        apic_send(apic_ids[i], ICR_INIT);
        sleep_ms(20);
        apic_send(apic_ids[i], ICR_STARTUP | TRAMPOLINE >> 12);
    }
    check(wait_until(all_done, NULL, 20000), "all run", "%u of %u", done, cpu_count - 1);
    check(counter == (cpu_count - 1) * EACH_COUNTS, "atomic counting", "%u", counter);
    check_ids();
    for (unsigned i = 1; i < cpu_count; i++)
        apic_send(apic_ids[i], ICR_FIXED | VECTOR_IPI);
    check(wait_until(all_interrupted, NULL, 20000), "interrupts between processors", "%u of %u",
          interrupt_counts[VECTOR_IPI], cpu_count - 1);
}
