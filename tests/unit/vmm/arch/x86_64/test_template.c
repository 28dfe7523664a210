// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/arch/x86_64/template.c: changes to CPUID on a table of our own, changes to MSRs on a vCPU of
 * this host's KVM (skipped without one). What a guest sees of both: tests/e2e/test_cpu.c.
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
#include "base/io.h"
#include "tests/harness/tiny_guest.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/arch/x86_64/template.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

#define MSR_MISC_ENABLE 0x1a0u /* every KVM has it */
#define MSR_UCODE_REV   0x8bu
#define MSR_STEAL_TIME  0x4b564d03u /* of KVM's own */
#define MSR_NOBODYS     0x12345u

/* ---- CPUID ---- */

static struct kvm_cpuid2 *make_table(void)
{
    static const struct kvm_cpuid_entry2 entries[] = {
        {.function = 0x1, .eax = 0xa00f11, .ecx = 0xf0f0f0f0, .edx = 0x178bfbff},
        {.function = 0x7, .index = 0, .flags = INDEXED, .ebx = 0x219c97a9},
        {.function = 0x7, .index = 1, .flags = INDEXED, .eax = 0x10},
        {.function = 0x80000008, .eax = 0x3030, .ebx = 0x1000},
    };
    struct kvm_cpuid2 *table = cpuid_table_new();

    assert_non_null(table);
    table->nent = ARRAY_SIZE(entries);
    memcpy(table->entries, entries, sizeof(entries));
    return table;
}

static void masked_bits_change_and_no_others(void **state)
{
    const struct husk_cpuid_change changes[] = {
        {.leaf = 1,
         .eax = {.mask = UINT32_MAX, .bits = 0x306f2},
         .ecx = {.mask = 0x00ff0000, .bits = 0x0f0f0f0f}},
        {.leaf = 7, .subleaf = 1, .flags = INDEXED, .eax = {.mask = 0x10}},
    };
    struct kvm_cpuid2 *table = make_table();

    assert_int_equal(template_change_cpuid(table, changes, 2, NULL, NULL), 0);
    assert_int_equal(cpuid_find(table, 1, 0)->eax, 0x306f2);
    assert_int_equal(cpuid_find(table, 1, 0)->ebx, 0);
    assert_int_equal(cpuid_find(table, 1, 0)->ecx, 0xf00ff0f0);
    assert_int_equal(cpuid_find(table, 1, 0)->edx, 0x178bfbff);
    assert_int_equal(cpuid_find(table, 7, 0)->ebx, 0x219c97a9);
    assert_int_equal(cpuid_find(table, 7, 1)->eax, 0);
    free(table);
}

static void later_changes_build_on_earlier_ones(void **state)
{
    const struct husk_cpuid_change changes[] = {
        {.leaf = 7, .flags = INDEXED, .ebx = {.mask = 0xff, .bits = 0x0f}},
        {.leaf = 7, .flags = INDEXED, .ebx = {.mask = 0x11, .bits = 0x10}},
    };
    struct kvm_cpuid2 *table = make_table();

    assert_int_equal(template_change_cpuid(table, changes, 2, NULL, NULL), 0);
    assert_int_equal(cpuid_find(table, 7, 0)->ebx, 0x219c971e);
    free(table);
}

static void a_leaf_that_is_missing_is_named(void **state)
{
    static const struct {
        struct husk_cpuid_change change;
        const char *where;
    } cases[] = {
        {{.leaf = 0x24, .ebx = {.mask = 1}}, "cpuid leaf 0x24 subleaf 0x0"},
        {{.leaf = 7, .subleaf = 2, .flags = INDEXED, .edx = {.mask = 1}},
         "cpuid leaf 0x7 subleaf 0x2"},
        /* It has no subleaves: the guest would find the one entry there is. */
        {{.leaf = 1, .subleaf = 3, .flags = INDEXED, .edx = {.mask = 1}},
         "cpuid leaf 0x1 subleaf 0x3"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kvm_cpuid2 *table = make_table();
        struct husk_error err = {0};

        assert_int_equal(template_change_cpuid(table, &cases[i].change, 1, NULL, &err), -ENOTSUP);
        assert_string_equal(err.where, cases[i].where);
        assert_non_null(strstr(err.why, "no such leaf"));
        free(table);
    }
}

struct lines {
    unsigned count;
    char last[256];
};

static void count_line(void *arg, enum log_level level, const char *line)
{
    struct lines *lines = arg;

    assert_int_equal(level, LOG_LEVEL_WARN);
    lines->count++;
    strncpy(lines->last, line, sizeof(lines->last) - 1);
}

/* Only what adds features deserves a warning: neither taking them away nor other numbers. */
static void added_features_are_warned_of(void **state)
{
    const struct husk_cpuid_change quiet[] = {
        {.leaf = 1, .eax = {.mask = UINT32_MAX, .bits = UINT32_MAX}, .ecx = {.mask = UINT32_MAX}},
        {.leaf = 7, .flags = INDEXED, .ebx = {.mask = 0xff, .bits = 0xa9}},
        {.leaf = 0x80000008, .eax = {.mask = 0xff, .bits = 0xff}},
    };
    const struct husk_cpuid_change loud = {
        .leaf = 7, .flags = INDEXED, .ebx = {.mask = 0xff, .bits = 0xab}};
    struct lines lines = {0};
    const struct log log = {.sink = count_line, .sink_arg = &lines, .level = LOG_LEVEL_WARN};
    struct kvm_cpuid2 *table = make_table();

    assert_int_equal(template_change_cpuid(table, quiet, 3, &log, NULL), 0);
    assert_int_equal(lines.count, 0);
    assert_int_equal(template_change_cpuid(table, &loud, 1, &log, NULL), 0);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "cpuid leaf 0x7 subleaf 0x0: "));
    assert_non_null(strstr(lines.last, "(ebx 0x2)"));
    free(table);
}

/* ---- MSRs ---- */

struct host {
    struct kvm kvm;
    int vcpu_fd;
};

static void open_host(struct host *host)
{
    struct kvm_cpuid2 *table = cpuid_table_new();
    int dev_fd;

    *host = (struct host){.kvm = KVM_CLOSED, .vcpu_fd = -1};
    if (!tiny_guest_can_run())
        skip();
    dev_fd = kvm_open_device(NULL);
    assert_true(dev_fd >= 0);
    assert_int_equal(kvm_open(&host->kvm, dev_fd, NULL, 0, NULL), 0);
    host->vcpu_fd = kvm_ioctl(host->kvm.vm_fd, KVM_CREATE_VCPU, 0);
    assert_true(host->vcpu_fd >= 0);
    table->nent = CPUID_ENTRIES_MAX;
    assert_int_equal(kvm_ioctl_ptr(host->kvm.dev_fd, KVM_GET_SUPPORTED_CPUID, table), 0);
    assert_int_equal(kvm_ioctl_ptr(host->vcpu_fd, KVM_SET_CPUID2, table), 0);
    free(table);
}

static void close_host(struct host *host)
{
    close_fd(&host->vcpu_fd);
    kvm_close(&host->kvm);
}

static uint64_t read_msr(const struct host *host, uint32_t index)
{
    union {
        struct kvm_msrs header;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } msr = {.header.nmsrs = 1};

    msr.header.entries[0].index = index;
    assert_int_equal(kvm_ioctl_ptr(host->vcpu_fd, KVM_GET_MSRS, &msr), 1);
    return msr.header.entries[0].data;
}

static void msrs_change_in_order(void **state)
{
    const struct husk_msr_change changes[] = {
        {.index = MSR_UCODE_REV, .mask = UINT64_MAX, .bits = 0x1234500000000ull},
        {.index = MSR_MISC_ENABLE, .mask = 1},
        {.index = MSR_UCODE_REV, .mask = 0xff00000000ull, .bits = UINT64_MAX},
    };
    struct host host;

    open_host(&host);
    assert_int_equal(template_check_msrs(&host.kvm, changes, 3, NULL), 0);
    assert_int_equal(template_change_msrs(host.vcpu_fd, changes, 3, NULL), 0);
    assert_int_equal(read_msr(&host, MSR_UCODE_REV), 0x123ff00000000ull);
    assert_int_equal(read_msr(&host, MSR_MISC_ENABLE) & 1, 0);
    close_host(&host);
}

static void an_unknown_msr_is_named(void **state)
{
    const struct husk_msr_change changes[] = {{.index = MSR_MISC_ENABLE, .mask = 1},
                                              {.index = MSR_NOBODYS, .mask = 1}};
    struct husk_error err = {0};
    struct host host;

    open_host(&host);
    assert_int_equal(template_check_msrs(&host.kvm, changes, 2, &err), -ENOTSUP);
    assert_string_equal(err.where, "msr 0x12345");
    assert_int_equal(template_check_msrs(&host.kvm, NULL, 0, NULL), 0);
    assert_true(template_change_msrs(host.vcpu_fd, changes, 2, &err) < 0);
    assert_string_equal(err.where, "msr 0x12345");
    close_host(&host);
}

/* The steal-time MSR holds an address, a switch in bit 0, and five bits that must be 0. */
static void a_refused_value_is_named(void **state)
{
    const struct husk_msr_change change = {
        .index = MSR_STEAL_TIME, .mask = UINT64_MAX, .bits = 0x103e};
    struct husk_error err = {0};
    struct host host;

    open_host(&host);
    assert_true(template_change_msrs(host.vcpu_fd, &change, 1, &err) < 0);
    assert_string_equal(err.where, "msr 0x4b564d03");
    assert_non_null(strstr(err.why, "refused the value 0x103e"));
    close_host(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masked_bits_change_and_no_others),
        cmocka_unit_test(later_changes_build_on_earlier_ones),
        cmocka_unit_test(a_leaf_that_is_missing_is_named),
        cmocka_unit_test(added_features_are_warned_of),
        cmocka_unit_test(msrs_change_in_order),
        cmocka_unit_test(an_unknown_msr_is_named),
        cmocka_unit_test(a_refused_value_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
