// SPDX-License-Identifier: Apache-2.0
/*
 * Entry registers: see regs.h.
 *
 * PVH: xen/include/public/arch-x86/hvm/start_info.h and docs/misc/pvh.pandoc: 32-bit protected
 * mode, paging off, flat segments, a 32-bit TSS in TR, EBX = start info.
 * 64-bit Linux: Documentation/arch/x86/boot.rst, "64-bit Boot Protocol": long mode, identity
 * paging, CS = __BOOT_CS (0x10), DS = ES = SS = __BOOT_DS (0x18), RSI = zero page, IF clear.
 */
#include "vmm/arch/x86_64/regs.h"

#define CR0_PE     (1ull << 0)
#define CR0_MP     (1ull << 1)
#define CR0_ET     (1ull << 4)
#define CR0_NE     (1ull << 5)
#define CR0_WP     (1ull << 16)
#define CR0_PG     (1ull << 31)
#define CR4_PAE    (1ull << 5)
#define EFER_LME   (1ull << 8)
#define EFER_LMA   (1ull << 10)
#define RFLAGS_ONE (1ull << 1)

#define BOOT_CS_SELECTOR  0x10u
#define BOOT_DS_SELECTOR  0x18u
#define BOOT_TSS_SELECTOR 0x20u /* boot/linux64.c puts a busy TSS there */
#define BOOT_GDT_BYTES    64u

#define TYPE_CODE 0xbu /* execute, read, accessed */
#define TYPE_DATA 0x3u /* read, write, accessed */
#define TYPE_TSS  0xbu /* busy: in 32-bit as in 64-bit mode */

void regs_for_entry(struct kvm_regs *regs, const struct boot_entry *entry)
{
    *regs = (struct kvm_regs){.rip = entry->rip.value, .rflags = RFLAGS_ONE};
    if (entry->protocol == BOOT_PVH)
        regs->rbx = entry->boot_info.value;
    else
        regs->rsi = entry->boot_info.value;
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
    return (struct kvm_segment){
        .limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .s = 1, .g = 1};
}

static void set_segments(struct kvm_sregs *sregs, bool is_long)
{
    struct kvm_segment data = flat_segment(BOOT_DS_SELECTOR, TYPE_DATA);

    sregs->cs = flat_segment(BOOT_CS_SELECTOR, TYPE_CODE);
    sregs->cs.db = !is_long;
    sregs->cs.l = is_long;
    data.db = 1;
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
    sregs->tr = (struct kvm_segment){.limit = 0x67, .type = TYPE_TSS, .present = 1};
    if (is_long)
        sregs->tr.selector = BOOT_TSS_SELECTOR;
    sregs->ldt = (struct kvm_segment){.unusable = 1};
}

void sregs_for_entry(struct kvm_sregs *sregs, const struct boot_layout *layout,
                     const struct boot_entry *entry)
{
    bool is_long = entry->protocol == BOOT_LINUX64;

    set_segments(sregs, is_long);
    sregs->idt.base = 0;
    sregs->idt.limit = 0;
    sregs->cr2 = 0;
    if (is_long) {
        sregs->gdt.base = layout->gdt.value;
        sregs->gdt.limit = BOOT_GDT_BYTES - 1;
        sregs->cr3 = entry->page_tables.value;
        sregs->cr4 = CR4_PAE;
        sregs->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
        sregs->efer |= EFER_LME | EFER_LMA;
    } else {
        sregs->gdt.base = 0;
        sregs->gdt.limit = 0;
        sregs->cr3 = 0;
        sregs->cr4 = 0;
        sregs->cr0 = CR0_PE | CR0_ET;
        sregs->efer = 0;
    }
}
