// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/arch/x86_64/cpuid.c on tables as KVM gives them on an Intel and on an AMD machine: whatever
 * the host's topology was, the guest sees one package of cores with one or two threads each.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "vmm/arch/x86_64/cpuid.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

/* A host of 2 packages of 8 cores of 2 threads, with MWAIT, VMX and a 3-level cache. */
static const struct kvm_cpuid_entry2 intel[] = {
    {.function = 0x0, .eax = 0x1f, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69},
    {.function = 0x1, .eax = 0x50654, .ebx = 0x17200800, .ecx = 0x77fefbff, .edx = 0xbfebfbff},
    {.function = 0x4, .index = 0, .flags = INDEXED, .eax = 0x1c004121},
    {.function = 0x4, .index = 1, .flags = INDEXED, .eax = 0x1c004122},
    {.function = 0x4, .index = 2, .flags = INDEXED, .eax = 0x1c004143},
    {.function = 0x4, .index = 3, .flags = INDEXED, .eax = 0x1c07c163},
    {.function = 0x4, .index = 4, .flags = INDEXED},
    {.function = 0x5, .eax = 0x40, .ebx = 0x40, .ecx = 0x3, .edx = 0x2020},
    {.function = 0x7, .index = 0, .flags = INDEXED, .ebx = 0xd39ffffb},
    {.function = 0xb, .index = 0, .flags = INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 23},
    {.function = 0xb, .index = 1, .flags = INDEXED, .eax = 5, .ebx = 16, .ecx = 0x201, .edx = 23},
    {.function = 0x15, .eax = 2, .ebx = 168, .ecx = 25000000},
    {.function = 0x1f, .index = 0, .flags = INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 23},
    {.function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d},
    {.function = 0x40000001, .eax = 0x01007efb},
    {.function = 0x80000000, .eax = 0x80000008},
    {.function = 0x80000001, .ecx = 0x121, .edx = 0x2c100800},
    {.function = 0x80000008, .eax = 0x302e},
};

/* A host of 8 cores of 2 threads, with SVM and MONITORX; KVM's own leaves are missing. */
static const struct kvm_cpuid_entry2 amd[] = {
    {.function = 0x0, .eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65},
    {.function = 0x1, .eax = 0xa00f11, .ebx = 0x05100800, .ecx = 0x7ef8320b, .edx = 0x178bfbff},
    {.function = 0x7, .index = 0, .flags = INDEXED, .ebx = 0x219c97a9},
    {.function = 0xb, .index = 0, .flags = INDEXED, .edx = 5},
    {.function = 0x80000000, .eax = 0x80000021},
    {.function = 0x80000001, .ecx = 0x75c237ff, .edx = 0x2fd3fbff},
    {.function = 0x80000008, .eax = 0x3030, .ebx = 0x111ef657, .ecx = 0x400f},
    {.function = 0x8000001d, .index = 0, .flags = INDEXED, .eax = 0x4121, .ebx = 0x1c0003f},
    {.function = 0x8000001d, .index = 1, .flags = INDEXED, .eax = 0x4122, .ebx = 0x1c0003f},
    {.function = 0x8000001d, .index = 2, .flags = INDEXED, .eax = 0x4143, .ebx = 0x1c0003f},
    {.function = 0x8000001d, .index = 3, .flags = INDEXED, .eax = 0x3c163, .ebx = 0x3c0003f},
    {.function = 0x8000001d, .index = 4, .flags = INDEXED},
    {.function = 0x8000001e, .eax = 5, .ebx = 0x102, .ecx = 0x100},
    {.function = 0x80000026, .index = 0, .flags = INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100},
    {.function = 0x80000026, .index = 1, .flags = INDEXED, .eax = 4, .ebx = 16, .ecx = 0x201},
};

static struct kvm_cpuid2 *make(const struct kvm_cpuid_entry2 *entries, unsigned count,
                               const struct cpuid_machine *machine)
{
    struct kvm_cpuid2 *table = cpuid_table_new();

    assert_non_null(table);
    table->nent = count;
    memcpy(table->entries, entries, count * sizeof(*entries));
    assert_int_equal(cpuid_prepare(table, machine), 0);
    return table;
}

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *table, uint32_t function, uint32_t index)
{
    struct kvm_cpuid_entry2 *entry = cpuid_find(table, function, index);

    assert_non_null(entry);
    return entry;
}

static unsigned count_leaf(const struct kvm_cpuid2 *table, uint32_t function)
{
    unsigned count = 0;

    for (unsigned i = 0; i < table->nent; i++)
        count += table->entries[i].function == function;
    return count;
}

static const struct {
    unsigned vcpus, threads, bits;
} counts[] = {{1, 1, 0},   {2, 1, 1}, {4, 1, 2}, {7, 1, 3},  {16, 1, 4},
              {255, 1, 8}, {2, 2, 1}, {6, 2, 3}, {16, 2, 4}, {254, 2, 8}};

static uint32_t bits(uint32_t value, unsigned high, unsigned low)
{
    return value >> low & (uint32_t)((1ull << (high - low + 1)) - 1);
}

static void check_extended_topology(struct kvm_cpuid2 *table, uint32_t function,
                                    const struct cpuid_machine *machine, unsigned id_bits,
                                    unsigned id)
{
    unsigned vcpus = machine->vcpu_count, threads = machine->threads_per_core;

    assert_int_equal(count_leaf(table, function), 3);
    assert_int_equal(leaf(table, function, 0)->eax, threads - 1);
    assert_int_equal(leaf(table, function, 0)->ebx, threads);
    assert_int_equal(leaf(table, function, 0)->ecx, 0x100);
    assert_int_equal(leaf(table, function, 1)->eax, id_bits);
    assert_int_equal(leaf(table, function, 1)->ebx, vcpus);
    assert_int_equal(leaf(table, function, 1)->ecx, 0x201);
    assert_int_equal(leaf(table, function, 2)->ebx, 0);
    assert_int_equal(leaf(table, function, 2)->ecx, 2);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(leaf(table, function, i)->edx, id);
}

static void test_intel_topology(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        unsigned n = counts[i].vcpus, threads = counts[i].threads, ids = 1u << counts[i].bits;
        const struct cpuid_machine machine = {
            .vcpu_count = n, .threads_per_core = threads, .tsc_deadline_timer = true};
        struct kvm_cpuid2 *table = make(intel, ARRAY_SIZE(intel), &machine);

        cpuid_personalize(table, &machine, n - 1);
        assert_int_equal(leaf(table, 1, 0)->ebx >> 24, n - 1);
        assert_int_equal(bits(leaf(table, 1, 0)->ebx, 23, 16), ids > 255 ? 255 : ids);
        assert_int_equal(bits(leaf(table, 1, 0)->edx, 28, 28), n > 1);
        check_extended_topology(table, 0xb, &machine, counts[i].bits, n - 1);
        check_extended_topology(table, 0x1f, &machine, counts[i].bits, n - 1);
        for (unsigned cache = 0; cache < 4; cache++) {
            uint32_t eax = leaf(table, 4, cache)->eax;

            assert_int_equal(bits(eax, 25, 14), (cache == 3 ? ids : threads) - 1);
            assert_int_equal(bits(eax, 31, 26), ids / threads > 64 ? 63 : ids / threads - 1);
            assert_int_equal(bits(eax, 13, 0), bits(intel[2 + cache].eax, 13, 0));
        }
        assert_int_equal(leaf(table, 4, 4)->eax, 0);
        free(table);
    }
}

static void test_amd_topology(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        unsigned n = counts[i].vcpus, threads = counts[i].threads, ids = 1u << counts[i].bits;
        const struct cpuid_machine machine = {.vcpu_count = n, .threads_per_core = threads};
        struct kvm_cpuid2 *table = make(amd, ARRAY_SIZE(amd), &machine);

        cpuid_personalize(table, &machine, n - 1);
        assert_int_equal(leaf(table, 1, 0)->ebx >> 24, n - 1);
        assert_int_equal(bits(leaf(table, 0x80000001, 0)->ecx, 1, 1), n > 1); /* CmpLegacy */
        assert_int_equal(bits(leaf(table, 0x80000008, 0)->ecx, 7, 0), n - 1);
        assert_int_equal(bits(leaf(table, 0x80000008, 0)->ecx, 15, 12), counts[i].bits);
        check_extended_topology(table, 0xb, &machine, counts[i].bits, n - 1);
        assert_int_equal(count_leaf(table, 0x1f), 0); /* beyond the highest leaf */
        for (unsigned cache = 0; cache < 4; cache++)
            assert_int_equal(bits(leaf(table, 0x8000001d, cache)->eax, 25, 14),
                             (cache == 3 ? ids : threads) - 1);
        assert_int_equal(count_leaf(table, 0x80000026), 0);
        assert_int_equal(leaf(table, 0x8000001e, 0)->eax, n - 1);
        assert_int_equal(leaf(table, 0x8000001e, 0)->ebx, (threads - 1) << 8 | (n - 1) / threads);
        assert_int_equal(leaf(table, 0x8000001e, 0)->ecx, 0);
        free(table);
    }
}

static void test_features(void **state)
{
    const struct cpuid_machine with = {
        .vcpu_count = 2, .threads_per_core = 1, .tsc_deadline_timer = true};
    const struct cpuid_machine without = {.vcpu_count = 2, .threads_per_core = 1};
    struct kvm_cpuid2 *table = make(intel, ARRAY_SIZE(intel), &with);
    uint32_t ecx = leaf(table, 1, 0)->ecx;

    assert_true(ecx & 1u << 31); /* hypervisor */
    assert_true(ecx & 1u << 24); /* TSC deadline */
    assert_true(ecx & 1u << 21); /* x2APIC */
    assert_false(ecx & 1u << 3); /* monitor */
    assert_false(ecx & 1u << 5); /* VMX */
    assert_int_equal(leaf(table, 5, 0)->edx, 0);
    assert_int_equal(leaf(table, 7, 0)->ebx, 0xd39ffffb);
    assert_int_equal(leaf(table, 0x15, 0)->ebx, 168);
    free(table);

    table = make(amd, ARRAY_SIZE(amd), &without);
    assert_false(leaf(table, 1, 0)->ecx & 1u << 24);
    assert_false(leaf(table, 0x80000001, 0)->ecx & 1u << 2);  /* SVM */
    assert_false(leaf(table, 0x80000001, 0)->ecx & 1u << 29); /* MONITORX */
    assert_true(leaf(table, 0x80000001, 0)->ecx & 1u << 22);  /* topology extensions */
    free(table);
}

/* XCR0 takes XTILE_CONFIG and XTILE_DATA together only; KVM withholds the latter alone. */
static void test_tiles(void **state)
{
    const struct cpuid_machine machine = {.vcpu_count = 1, .threads_per_core = 1};
    struct kvm_cpuid_entry2 host[] = {
        intel[0],
        {.function = 0x7, .index = 0, .flags = INDEXED, .eax = 1, .edx = 0xffffffff},
        {.function = 0x7, .index = 1, .flags = INDEXED, .eax = 0xffffffff, .edx = 0xffffffff},
        {.function = 0xd, .index = 0, .flags = INDEXED, .eax = 0x202e7},
        {.function = 0xd, .index = 1, .flags = INDEXED, .eax = 0x1f},
        {.function = 0xd, .index = 17, .flags = INDEXED, .eax = 64},
        {.function = 0x1d, .index = 0, .flags = INDEXED, .eax = 1},
        {.function = 0x1d, .index = 1, .flags = INDEXED, .eax = 0x04002000},
        {.function = 0x1e, .ebx = 0x4010},
    };
    struct kvm_cpuid2 *table = make(host, ARRAY_SIZE(host), &machine);

    assert_int_equal(leaf(table, 0xd, 0)->eax, 0x2e7);
    assert_int_equal(leaf(table, 0xd, 1)->eax, 0x1f);
    assert_null(cpuid_find(table, 0xd, 17));
    assert_int_equal(leaf(table, 0x7, 0)->edx, 0xfcbfffff);
    assert_int_equal(leaf(table, 0x7, 1)->eax, 0xffdfffff);
    assert_int_equal(leaf(table, 0x7, 1)->edx, 0xfffffeff);
    assert_int_equal(count_leaf(table, 0x1d) + count_leaf(table, 0x1e), 0);
    free(table);

    /* A process that may use tiles: its guest may as well. */
    host[3].eax = 0x602e7;
    table = make(host, ARRAY_SIZE(host), &machine);
    assert_int_equal(leaf(table, 0xd, 0)->eax, 0x602e7);
    assert_int_equal(leaf(table, 0x7, 0)->edx, 0xffffffff);
    assert_int_equal(count_leaf(table, 0x1d), 2);
    free(table);
}

static void test_kvm_leaves(void **state)
{
    const struct cpuid_machine machine = {.vcpu_count = 1, .threads_per_core = 1};
    struct kvm_cpuid2 *table = make(intel, ARRAY_SIZE(intel), &machine);
    char signature[12];

    assert_int_equal(leaf(table, 0x40000001, 0)->eax, 0x01007efb);
    free(table);
    table = make(amd, ARRAY_SIZE(amd), &machine);
    memcpy(signature, &leaf(table, 0x40000000, 0)->ebx, 4);
    memcpy(signature + 4, &leaf(table, 0x40000000, 0)->ecx, 4);
    memcpy(signature + 8, &leaf(table, 0x40000000, 0)->edx, 4);
    assert_memory_equal(signature, "KVMKVMKVM\0\0\0", 12);
    free(table);
}

/* On an emulated host the paravirtual end of interrupt is missing, and nothing else. */
static void test_exit_at_eoi(void **state)
{
    const struct cpuid_machine machine = {
        .vcpu_count = 1, .threads_per_core = 1, .exit_at_eoi = true};
    struct kvm_cpuid2 *table = make(intel, ARRAY_SIZE(intel), &machine);

    assert_int_equal(leaf(table, 0x40000001, 0)->eax, 0x01007efb & ~(1u << 6));
    free(table);
}

/* Each vCPU's id replaces the one before. */
static void test_personalize_again(void **state)
{
    const struct cpuid_machine machine = {.vcpu_count = 4, .threads_per_core = 1};
    struct kvm_cpuid2 *table = make(amd, ARRAY_SIZE(amd), &machine);

    for (unsigned id = 4; id-- > 0;) {
        cpuid_personalize(table, &machine, id);
        assert_int_equal(leaf(table, 1, 0)->ebx >> 24, id);
        assert_int_equal(leaf(table, 0xb, 1)->edx, id);
        assert_int_equal(leaf(table, 0x8000001e, 0)->ebx & 0xff, id);
    }
    free(table);
}

static void test_address_end(void **state)
{
    const struct cpuid_machine machine = {.vcpu_count = 1, .threads_per_core = 1};
    struct kvm_cpuid2 *table = make(intel, ARRAY_SIZE(intel), &machine);

    assert_int_equal(cpuid_address_end(table), 1ull << 46);
    leaf(table, 0x80000008, 0)->eax = 0xff;
    assert_int_equal(cpuid_address_end(table), UINT64_MAX);
    table->nent = 1;
    assert_int_equal(cpuid_address_end(table), 1ull << 36);
    free(table);
}

static void test_full_table(void **state)
{
    const struct cpuid_machine machine = {.vcpu_count = 2, .threads_per_core = 1};
    struct kvm_cpuid2 *table = cpuid_table_new();

    table->nent = CPUID_ENTRIES_MAX;
    for (unsigned i = 0; i < CPUID_ENTRIES_MAX; i++)
        table->entries[i].function = 0x90000000 + i;
    table->entries[0] = intel[0];
    assert_int_equal(cpuid_prepare(table, &machine), -ENOSPC);
    assert_int_equal(table->nent, CPUID_ENTRIES_MAX);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intel_topology),    cmocka_unit_test(test_amd_topology),
        cmocka_unit_test(test_features),          cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_kvm_leaves),        cmocka_unit_test(test_exit_at_eoi),
        cmocka_unit_test(test_personalize_again), cmocka_unit_test(test_address_end),
        cmocka_unit_test(test_full_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
