// SPDX-License-Identifier: Apache-2.0
/*
 * The guest's CPUID: see cpuid.h.
 *
 * KVM says what it supports, with the host's topology in it. That part is replaced by the machine's
 * own: one package of cores with one or two threads each, caches of level 1 and 2 a core's own and
 * the last level shared. Sources: Intel SDM volume 2A, CPUID (leaf numbers as in table 3-8); AMD64
 * Architecture Programmer's Manual volume 3, appendix E (24594, rev. 3.36).
 */
#include "vmm/arch/x86_64/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define LEAF_VENDOR          0x0u
#define LEAF_FEATURES        0x1u
#define LEAF_CACHES          0x4u
#define LEAF_MWAIT           0x5u
#define LEAF_FEATURES_7      0x7u
#define LEAF_TOPOLOGY        0xbu
#define LEAF_XSAVE           0xdu
#define LEAF_TILES           0x1du
#define LEAF_TILE_MULTIPLY   0x1eu
#define LEAF_TOPOLOGY_V2     0x1fu
#define LEAF_KVM             0x40000000u
#define LEAF_KVM_FEATURES    0x40000001u
#define LEAF_EXT_FEATURES    0x80000001u
#define LEAF_ADDRESS_SIZES   0x80000008u
#define LEAF_AMD_CACHES      0x8000001du
#define LEAF_AMD_TOPOLOGY    0x8000001eu
#define LEAF_AMD_TOPOLOGY_V2 0x80000026u

/* Leaf 1, ECX and EDX. */
#define F1_ECX_MONITOR      (1u << 3)
#define F1_ECX_VMX          (1u << 5)
#define F1_ECX_X2APIC       (1u << 21)
#define F1_ECX_TSC_DEADLINE (1u << 24)
#define F1_ECX_HYPERVISOR   (1u << 31)
#define F1_EDX_HTT          (1u << 28)

/* Leaf 0x80000001, ECX. */
#define F8_ECX_CMP_LEGACY (1u << 1)
#define F8_ECX_SVM        (1u << 2)
#define F8_ECX_MWAITX     (1u << 29)

/* Leaf 0xd, subleaf 0, EAX: state components, whose numbers are also the subleaves. */
#define XTILE_CONFIG   17u
#define XTILE_DATA     18u
/* The instructions on tiles. Leaf 7: BF16, TILE, INT8; subleaf 1: FP16, COMPLEX. */
#define F7_EDX_TILES   (1u << 22 | 1u << 24 | 1u << 25)
#define F7_1_EAX_TILES (1u << 21)
#define F7_1_EDX_TILES (1u << 8)

/* Leaf 0x40000001, EAX (Linux, Documentation/virt/kvm/x86/cpuid.rst). */
#define KVM_EAX_PV_EOI (1u << 6)

#define LEVEL_THREAD 1u /* level types of leaves 0xb and 0x1f, ECX[15:8] */
#define LEVEL_CORE   2u

struct kvm_cpuid2 *cpuid_table_new(void)
{
    return calloc(1,
                  sizeof(struct kvm_cpuid2) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t function, uint32_t index)
{
    for (uint32_t i = 0; i < table->nent; i++) {
        struct kvm_cpuid_entry2 *entry = &table->entries[i];

        if (entry->function == function &&
            (entry->index == index || !(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
            return entry;
    }
    return NULL;
}

static struct kvm_cpuid_entry2 *add_entry(struct kvm_cpuid2 *table, uint32_t function,
                                          uint32_t index, uint32_t flags)
{
    struct kvm_cpuid_entry2 *entry;

    if (table->nent >= CPUID_ENTRIES_MAX)
        return NULL;
    entry = &table->entries[table->nent++];
    memset(entry, 0, sizeof(*entry));
    entry->function = function;
    entry->index = index;
    entry->flags = flags;
    return entry;
}

static void remove_subleaves(struct kvm_cpuid2 *table, uint32_t function, uint32_t first,
                             uint32_t last)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < table->nent; i++) {
        const struct kvm_cpuid_entry2 *entry = &table->entries[i];

        if (entry->function != function || entry->index < first || entry->index > last)
            table->entries[kept++] = *entry;
    }
    table->nent = kept;
}

static void remove_leaf(struct kvm_cpuid2 *table, uint32_t function)
{
    remove_subleaves(table, function, 0, UINT32_MAX);
}

/* The number of bits that hold the numbers 0 … count - 1. */
static uint32_t bits_for(uint32_t count)
{
    return count <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(count - 1);
}

static bool is_amd(struct kvm_cpuid2 *table)
{
    const struct kvm_cpuid_entry2 *vendor = cpuid_find(table, LEAF_VENDOR, 0);

    /* "Auth" of AuthenticAMD and "Hygo" of HygonGenuine: the same leaves. */
    return vendor && (vendor->ebx == 0x68747541 || vendor->ebx == 0x6f677948);
}

static void prepare_features(struct kvm_cpuid2 *table, const struct cpuid_machine *machine)
{
    struct kvm_cpuid_entry2 *leaf = cpuid_find(table, LEAF_FEATURES, 0);
    bool several = machine->vcpu_count > 1;

    if (leaf) {
        /* EBX[23:16]: APIC ids reserved for this package, valid with HTT. */
        uint32_t ids = (uint32_t)min_u64(1u << bits_for(machine->vcpu_count), 255);

        leaf->ebx = (leaf->ebx & ~0x00ff0000u) | ids << 16;
        /* No MWAIT: it would exit, and its leaf describes the host's idle states. No VMX or SVM
         * either: nested guests are out of the machine's promise. */
        leaf->ecx &= ~(F1_ECX_MONITOR | F1_ECX_VMX | F1_ECX_TSC_DEADLINE);
        leaf->ecx |= F1_ECX_X2APIC | F1_ECX_HYPERVISOR;
        if (machine->tsc_deadline_timer)
            leaf->ecx |= F1_ECX_TSC_DEADLINE;
        leaf->edx &= ~F1_EDX_HTT;
        if (several)
            leaf->edx |= F1_EDX_HTT;
    }
    leaf = cpuid_find(table, LEAF_EXT_FEATURES, 0);
    if (leaf) {
        leaf->ecx &= ~(F8_ECX_CMP_LEGACY | F8_ECX_SVM | F8_ECX_MWAITX);
        if (several && is_amd(table))
            leaf->ecx |= F8_ECX_CMP_LEGACY;
    }
    leaf = cpuid_find(table, LEAF_MWAIT, 0);
    if (leaf)
        leaf->eax = leaf->ebx = leaf->ecx = leaf->edx = 0;
}

/*
 * Tile state (AMX) is for processes that asked the kernel for it, which changes the whole process
 * and hence is not a library's business; without that KVM leaves XTILE_DATA out of leaf 0xd. Linux
 * before 6.4 leaves the rest in, and a guest that believes it faults: XCR0 takes both or neither
 * (Intel SDM volume 1, section 13.3).
 */
static void prepare_tiles(struct kvm_cpuid2 *table)
{
    struct kvm_cpuid_entry2 *leaf = cpuid_find(table, LEAF_XSAVE, 0);

    if (leaf && (leaf->eax & 1u << XTILE_DATA))
        return;
    if (leaf)
        leaf->eax &= ~(1u << XTILE_CONFIG);
    leaf = cpuid_find(table, LEAF_FEATURES_7, 0);
    if (leaf)
        leaf->edx &= ~F7_EDX_TILES;
    leaf = cpuid_find(table, LEAF_FEATURES_7, 1);
    if (leaf) {
        leaf->eax &= ~F7_1_EAX_TILES;
        leaf->edx &= ~F7_1_EDX_TILES;
    }
    remove_subleaves(table, LEAF_XSAVE, XTILE_CONFIG, XTILE_DATA);
    remove_leaf(table, LEAF_TILES);
    remove_leaf(table, LEAF_TILE_MULTIPLY);
}

/*
 * Leaves 4 (Intel) and 0x8000001d (AMD) have one shape: EAX[4:0] type (0: no more), [7:5] level,
 * [25:14] logical processors that share the cache, less one.
 */
static void prepare_caches(struct kvm_cpuid2 *table, uint32_t function,
                           const struct cpuid_machine *machine)
{
    uint32_t package_ids = 1u << bits_for(machine->vcpu_count);
    uint32_t core_ids = package_ids / machine->threads_per_core;

    for (uint32_t i = 0; i < table->nent; i++) {
        struct kvm_cpuid_entry2 *leaf = &table->entries[i];
        uint32_t level = leaf->eax >> 5 & 0x7;
        uint32_t sharing;

        if (leaf->function != function || (leaf->eax & 0x1f) == 0)
            continue;
        sharing = level >= 3 ? package_ids : machine->threads_per_core;
        leaf->eax = (leaf->eax & ~0x03ffc000u) | (sharing - 1) << 14;
        /* Only Intel's has EAX[31:26]: core ids in the package, less one; saturates. */
        if (function == LEAF_CACHES)
            leaf->eax = (leaf->eax & 0x03ffffffu) | (uint32_t)min_u64(core_ids - 1, 63) << 26;
    }
}

/* Extended topology: a level of a core's threads, a level of all cores, and the end. */
static int prepare_topology(struct kvm_cpuid2 *table, uint32_t function,
                            const struct cpuid_machine *machine)
{
    const struct {
        uint32_t shift, processors, type;
    } levels[] = {
        {bits_for(machine->threads_per_core), machine->threads_per_core, LEVEL_THREAD},
        {bits_for(machine->vcpu_count), machine->vcpu_count, LEVEL_CORE},
        {0, 0, 0},
    };
    const struct kvm_cpuid_entry2 *vendor = cpuid_find(table, LEAF_VENDOR, 0);

    remove_leaf(table, function);
    if (!vendor || vendor->eax < function)
        return 0;
    for (uint32_t i = 0; i < ARRAY_SIZE(levels); i++) {
        struct kvm_cpuid_entry2 *leaf =
            add_entry(table, function, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);

        if (!leaf)
            return -ENOSPC;
        leaf->eax = levels[i].shift;
        leaf->ebx = levels[i].processors;
        leaf->ecx = levels[i].type << 8 | i;
    }
    return 0;
}

static void prepare_amd(struct kvm_cpuid2 *table, const struct cpuid_machine *machine)
{
    unsigned vcpu_count = machine->vcpu_count;
    struct kvm_cpuid_entry2 *leaf = cpuid_find(table, LEAF_ADDRESS_SIZES, 0);

    /* ECX[7:0]: threads in the package, less one; ECX[15:12]: APIC id bits for them. */
    if (leaf) {
        leaf->ecx &= ~0x0000f0ffu;
        leaf->ecx |= (uint32_t)min_u64(vcpu_count - 1, 255) | bits_for(vcpu_count) << 12;
    }
    prepare_caches(table, LEAF_AMD_CACHES, machine);
    leaf = cpuid_find(table, LEAF_AMD_TOPOLOGY, 0);
    /* EBX[15:8] threads per core, less one; ECX[10:8] nodes, less one; ECX[7:0] node id. */
    if (leaf) {
        leaf->ebx = (machine->threads_per_core - 1) << 8;
        leaf->ecx = leaf->edx = 0;
    }
    /* A newer form of leaf 0xb, which guests prefer to it: it would tell the host's topology. */
    remove_leaf(table, LEAF_AMD_TOPOLOGY_V2);
}

/*
 * The leaves by which a guest recognises KVM; its clock and more are advertised there.
 *
 * exit_at_eoi is for hosts whose AMD-V is QEMU's software emulation. That remembers an interrupt
 * which VMRUN has injected until the next exit, and whenever it has something to do in between, a
 * timer say, delivers it once more, even to a guest that has interrupts off: a lock's holder is
 * then interrupted by who waits for it. A guest that writes its end of interrupt to the APIC exits
 * within the handler; one with the paravirtual flag in memory may run for milliseconds before it
 * exits.
 */
static int prepare_hypervisor(struct kvm_cpuid2 *table, const struct cpuid_machine *machine)
{
    static const char signature[12] = "KVMKVMKVM\0\0";
    struct kvm_cpuid_entry2 *leaf = cpuid_find(table, LEAF_KVM, 0);

    if (!leaf) {
        leaf = add_entry(table, LEAF_KVM, 0, 0);
        if (!leaf)
            return -ENOSPC;
        leaf->eax = LEAF_KVM_FEATURES;
    }
    memcpy(&leaf->ebx, signature, 4);
    memcpy(&leaf->ecx, signature + 4, 4);
    memcpy(&leaf->edx, signature + 8, 4);
    leaf = cpuid_find(table, LEAF_KVM_FEATURES, 0);
    if (leaf && machine->exit_at_eoi)
        leaf->eax &= ~KVM_EAX_PV_EOI;
    return 0;
}

int cpuid_prepare(struct kvm_cpuid2 *table, const struct cpuid_machine *machine)
{
    int ret;

    prepare_features(table, machine);
    prepare_tiles(table);
    if (is_amd(table)) {
        prepare_amd(table, machine);
    } else {
        struct kvm_cpuid_entry2 *leaf = cpuid_find(table, LEAF_ADDRESS_SIZES, 0);

        prepare_caches(table, LEAF_CACHES, machine);
        if (leaf)
            leaf->ecx = 0; /* reserved outside AMD */
    }
    ret = prepare_topology(table, LEAF_TOPOLOGY, machine);
    if (!ret)
        ret = prepare_topology(table, LEAF_TOPOLOGY_V2, machine);
    if (!ret)
        ret = prepare_hypervisor(table, machine);
    return ret;
}

void cpuid_personalize(struct kvm_cpuid2 *table, const struct cpuid_machine *machine,
                       unsigned vcpu_index)
{
    for (uint32_t i = 0; i < table->nent; i++) {
        struct kvm_cpuid_entry2 *leaf = &table->entries[i];

        switch (leaf->function) {
        case LEAF_FEATURES: /* EBX[31:24]: initial APIC id */
            leaf->ebx = (leaf->ebx & 0x00ffffffu) | (vcpu_index & 0xff) << 24;
            break;
        case LEAF_TOPOLOGY:
        case LEAF_TOPOLOGY_V2: /* EDX: x2APIC id, in every subleaf */
            leaf->edx = vcpu_index;
            break;
        case LEAF_AMD_TOPOLOGY: /* EAX: extended APIC id; EBX[7:0]: core id */
            leaf->eax = vcpu_index;
            leaf->ebx = (leaf->ebx & ~0xffu) | (vcpu_index / machine->threads_per_core & 0xff);
            break;
        default:
            break;
        }
    }
}

uint64_t cpuid_address_end(struct kvm_cpuid2 *table)
{
    const struct kvm_cpuid_entry2 *leaf = cpuid_find(table, LEAF_ADDRESS_SIZES, 0);
    uint32_t bits = leaf ? leaf->eax & 0xff : 36;

    return bits >= 63 ? UINT64_MAX : 1ull << bits;
}
