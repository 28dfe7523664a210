// SPDX-License-Identifier: Apache-2.0
/* vmm/config_cpu.c: threads per core, and the shape of changes to CPUID and MSRs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vmm/config.h"

static struct husk_vm_options good_vm(void)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    options.kernel_path = "vmlinux";
    return options;
}

static void expect_refused(const struct husk_vm_options *options, int code, const char *where,
                           const char *text)
{
    struct machine_config config;
    struct husk_error err = {0};

    assert_int_equal(machine_config_init(&config, options, &err), -code);
    assert_int_equal(err.code, code);
    assert_string_equal(err.where, where);
    assert_non_null(strstr(err.why, text));
}

static void none_by_default(void **state)
{
    struct husk_vm_options options = good_vm();
    struct machine_config config;

    assert_int_equal(machine_config_init(&config, &options, NULL), 0);
    assert_int_equal(config.threads_per_core, 1);
    assert_null(config.cpuid_changes);
    assert_int_equal(config.cpuid_change_count, 0);
    assert_null(config.msr_changes);
    assert_int_equal(config.msr_change_count, 0);
    machine_config_release(&config);
}

static void threads_divide_the_vcpus(void **state)
{
    struct husk_vm_options options = good_vm();
    struct machine_config config;

    options.threads_per_core = 2;
    expect_refused(&options, EINVAL, "threads per core", "1 vCPUs do not make cores of 2");
    options.vcpus = 3;
    expect_refused(&options, EINVAL, "threads per core", "3 vCPUs");
    options.vcpus = 12;
    options.threads_per_core = 3;
    expect_refused(&options, ERANGE, "threads per core", "3 is not 1 or 2");
    options.threads_per_core = 2;
    assert_int_equal(machine_config_init(&config, &options, NULL), 0);
    assert_int_equal(config.threads_per_core, 2);
    machine_config_release(&config);
}

/* In order, duplicates included, in memory of their own. */
static void changes_are_copied(void **state)
{
    struct husk_vm_options options = good_vm();
    struct husk_cpuid_change cpuid[] = {
        {.leaf = 7, .flags = 1, .ebx = {.mask = 1}},
        {.leaf = 7, .subleaf = 1, .flags = 1, .edx = {.mask = 2, .bits = 2}},
        {.leaf = 7, .flags = 1, .ebx = {.mask = 1, .bits = 1}},
    };
    struct husk_msr_change msrs[] = {{.index = 0x10a, .mask = 4, .bits = 4},
                                     {.index = 0x10a, .mask = 1}};
    struct machine_config config;

    options.cpuid_changes = cpuid;
    options.cpuid_change_count = 3;
    options.msr_changes = msrs;
    options.msr_change_count = 2;
    assert_int_equal(machine_config_init(&config, &options, NULL), 0);
    assert_int_equal(config.cpuid_change_count, 3);
    assert_memory_equal(config.cpuid_changes, cpuid, sizeof(cpuid));
    assert_int_equal(config.msr_change_count, 2);
    assert_memory_equal(config.msr_changes, msrs, sizeof(msrs));
    memset(cpuid, 0, sizeof(cpuid));
    assert_int_equal(config.cpuid_changes[2].ebx.bits, 1);
    machine_config_release(&config);
}

static void counts_are_bounded(void **state)
{
    static struct husk_cpuid_change cpuid[CONFIG_CPU_CHANGES_MAX];
    static struct husk_msr_change msrs[CONFIG_CPU_CHANGES_MAX];
    struct husk_vm_options options = good_vm();
    struct machine_config config;

    for (unsigned i = 0; i < CONFIG_CPU_CHANGES_MAX; i++) {
        cpuid[i].eax.mask = 1;
        msrs[i].mask = 1;
    }
    options.cpuid_changes = cpuid;
    options.cpuid_change_count = CONFIG_CPU_CHANGES_MAX;
    options.msr_changes = msrs;
    options.msr_change_count = CONFIG_CPU_CHANGES_MAX;
    assert_int_equal(machine_config_init(&config, &options, NULL), 0);
    machine_config_release(&config);

    options.cpuid_change_count = CONFIG_CPU_CHANGES_MAX + 1;
    expect_refused(&options, E2BIG, "cpuid changes", "257 is more than 256");
    options.cpuid_change_count = 0;
    options.msr_change_count = UINT32_MAX;
    expect_refused(&options, E2BIG, "msr changes", "more than 256");
    options.msr_change_count = 1;
    options.msr_changes = NULL;
    expect_refused(&options, EINVAL, "msr changes", "no list");
}

static void pointless_changes_are_named(void **state)
{
    struct husk_vm_options options = good_vm();
    struct husk_cpuid_change cpuid[] = {{.leaf = 1, .ecx = {.mask = 1}},
                                        {.leaf = 0x80000008, .ebx = {.bits = 1}}};
    struct husk_msr_change msrs[] = {{.index = 0xc0010015, .mask = 1}, {.index = 0x10a, .bits = 1}};

    options.cpuid_changes = cpuid;
    options.cpuid_change_count = 2;
    expect_refused(&options, EINVAL, "cpuid leaf 0x80000008 subleaf 0x0", "masks are 0");
    cpuid[1] = (struct husk_cpuid_change){.leaf = 7, .flags = 9, .ebx = {.mask = 1}};
    expect_refused(&options, EINVAL, "cpuid leaf 0x7 subleaf 0x0", "flags 0x8");
    cpuid[1] = (struct husk_cpuid_change){.leaf = 7, .subleaf = 1, .ebx = {.mask = 1}};
    expect_refused(&options, EINVAL, "cpuid leaf 0x7 subleaf 0x1", "needs flag 1");
    options.cpuid_change_count = 0;
    options.msr_changes = msrs;
    options.msr_change_count = 2;
    expect_refused(&options, EINVAL, "msr 0x10a", "mask is 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_by_default),
        cmocka_unit_test(threads_divide_the_vcpus),
        cmocka_unit_test(changes_are_copied),
        cmocka_unit_test(counts_are_bounded),
        cmocka_unit_test(pointless_changes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
