// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupt controllers: KVM's own local APICs and IOAPIC. The guest is told of no 8259 and no 8254
 * (the machine is ACPI hardware-reduced), so global system interrupt n is IOAPIC pin n and goes
 * nowhere else. Timekeeping is kvm-clock and the TSC deadline timer.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"

const uint32_t arch_first_msi_gsi = IOAPIC_PINS;

static const struct kvm_requirement requirements[] = {
    {KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR"},
    {KVM_CAP_SET_IDENTITY_MAP_ADDR, "SET_IDENTITY_MAP_ADDR"},
    {KVM_CAP_EXT_CPUID, "EXT_CPUID"},
};

const struct kvm_requirement *arch_requirements(unsigned *count)
{
    *count = ARRAY_SIZE(requirements);
    return requirements;
}

unsigned arch_vcpus_max(const struct kvm *kvm)
{
    return (unsigned)min_u64(kvm->max_vcpus, VCPUS_MAX);
}

/*
 * KVM's default routes feed GSIs 0 to 15 to the 8259 too. Its output is wired to the boot CPU
 * (LINT0 is unmasked by default), so that a guest that never set it up would receive vectors it
 * does not know.
 */
static void add_pins(struct kvm_irq_routing *table)
{
    for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
        struct kvm_irq_routing_entry *entry = &table->entries[table->nr++];

        entry->gsi = pin;
        entry->type = KVM_IRQ_ROUTING_IRQCHIP;
        entry->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
        entry->u.irqchip.pin = pin;
    }
}

int arch_set_routes(const struct kvm *kvm, const struct arch_msi_route *routes, unsigned count)
{
    size_t entries = IOAPIC_PINS + (size_t)count;
    struct kvm_irq_routing *table = calloc(1, sizeof(*table) + entries * sizeof(table->entries[0]));
    int ret;

    if (!table)
        return -ENOMEM;
    add_pins(table);
    for (unsigned i = 0; i < count; i++) {
        struct kvm_irq_routing_entry *entry = &table->entries[table->nr];

        if (!routes[i].gsi)
            continue;
        entry->gsi = routes[i].gsi;
        entry->type = KVM_IRQ_ROUTING_MSI;
        entry->u.msi.address_lo = (uint32_t)routes[i].address;
        entry->u.msi.address_hi = (uint32_t)(routes[i].address >> 32);
        entry->u.msi.data = routes[i].data;
        table->nr++;
    }
    ret = kvm_ioctl_ptr(kvm->vm_fd, KVM_SET_GSI_ROUTING, table);
    free(table);
    return ret;
}

int arch_vm_init(const struct kvm *kvm, struct husk_error *err)
{
    uint64_t identity_map = IDENTITY_MAP_PAGE;
    int ret;

    /* Both before the first vCPU; they matter only to processors that cannot run real mode. */
    ret = kvm_ioctl_ptr(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot place KVM's identity map", NULL);
    ret = kvm_ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, TSS_PAGES);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot place KVM's TSS", NULL);
    ret = kvm_ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot create interrupt controllers", NULL);
    ret = arch_set_routes(kvm, NULL, 0);
    if (ret < 0)
        return error_set(err, -ret, "", "cannot route interrupts", NULL);
    return 0;
}
