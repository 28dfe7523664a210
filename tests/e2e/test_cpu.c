// SPDX-License-Identifier: Apache-2.0
/*
 * CPU templates and threads per core through the library, as the guest tests/guests/cpu.c sees
 * them on each of its processors.
 *
 *   test_cpu GUESTS    the directory of the guests
 *
 * All of it in this process, then in the program that HUSK_VMM names. Needs /dev/kvm; exits with 77
 * where there is none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"
#include "vmm/kvm.h"

#define SKIPPED 77

static char kernel[PATH_MAX];
static enum husk_mode mode;

struct log_lines {
    unsigned warnings;
    char last[512];
};

static void keep_line(void *arg, enum husk_log_level level, const char *line)
{
    struct log_lines *lines = arg;

    if (level > HUSK_LOG_WARN)
        return;
    lines->warnings++;
    strncpy(lines->last, line, sizeof(lines->last) - 1);
}

static struct husk_vm_options options_for(const char *words, unsigned vcpus)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    options.mode = mode;
    options.vmm_path = getenv("HUSK_VMM");
    options.kernel_path = kernel;
    options.command_line = words;
    options.memory_bytes = 16 << 20;
    options.vcpus = vcpus;
    return options;
}

static void say_why(const struct husk_error *err)
{
    char text[640];

    fail_msg("%s", error_format(err, text, sizeof(text)));
}

/* The guest must have found all that its words say. */
static void run(struct husk_vm_options options)
{
    struct husk_event event = {0};
    struct husk_error err = {0};
    char text[16384];
    struct husk_vm *vm;
    ssize_t len;

    options.console_out_fd = memfd_create("console", MFD_CLOEXEC);
    assert_true(options.console_out_fd >= 0);
    if (husk_vm_new(&options, &vm, &err) || husk_vm_build(vm, &err) || husk_vm_start(vm, &err))
        say_why(&err);
    assert_int_equal(husk_vm_wait_event(vm, 60000, &event), 1);
    husk_vm_free(vm);
    len = pread(options.console_out_fd, text, sizeof(text) - 1, 0);
    text[len < 0 ? 0 : len] = '\0';
    close(options.console_out_fd);
    if (event.reason != HUSK_STOP_GUEST_EXIT || event.guest_status || !strstr(text, "ok: "))
        fail_msg("%s, status %u: %s\n%s", husk_stop_reason_name(event.reason), event.guest_status,
                 event.error.why, text);
}

static void expect_refused(const struct husk_vm_options *options, int code, const char *where)
{
    struct husk_error err = {0};
    struct husk_vm *vm;

    assert_int_equal(husk_vm_new(options, &vm, &err), 0);
    assert_int_equal(husk_vm_build(vm, &err), -code);
    assert_string_equal(err.where, where);
    husk_vm_free(vm);
}

/* KVM of the PVM kind lets guests see the host's feature bits, whatever it was told. */
static bool feature_bits_count(void)
{
    if (!kvm_host_is_pvm())
        return true;
    fprintf(stderr, "skipped: feature bits: KVM of the PVM kind shows the host's own\n");
    return false;
}

/* Family, model and stepping of another processor; one register in two steps. */
static void every_vcpu_has_the_changed_cpuid(void **state)
{
    static const struct husk_cpuid_change changes[] = {
        {.leaf = 1, .eax = {.mask = 0x0fff3fff, .bits = 0x306f2}},
        {.leaf = 0x80000008, .eax = {.mask = 0xff, .bits = 0xff}},
        {.leaf = 0x80000008, .eax = {.mask = 0xdb, .bits = 0x20}},
        {.leaf = 0x40000001, .edx = {.mask = 0xffffffff, .bits = 0x12345678}},
    };
    struct husk_vm_options options =
        options_for("cpus=3 cpuid0=1:0:0:0fff3fff:306f2 cpuid1=80000008:0:0:ff:24 "
                    "cpuid2=40000001:0:3:ffffffff:12345678",
                    3);

    options.cpuid_changes = changes;
    options.cpuid_change_count = sizeof(changes) / sizeof(changes[0]);
    run(options);
}

static void features_are_taken_away(void **state)
{
    static const struct husk_cpuid_change changes[] = {
        {.leaf = 1, .edx = {.mask = 1u << 26}},
        {.leaf = 7, .flags = 1, .ebx = {.mask = 0xffffffff}},
    };
    struct husk_vm_options options =
        options_for("cpus=2 cpuid0=1:0:3:4000000:0 cpuid1=7:0:1:ffffffff:0", 2);

    if (!feature_bits_count())
        skip();
    options.cpuid_changes = changes;
    options.cpuid_change_count = 2;
    run(options);
}

/* Interrupts go by them, and the tables name them. */
static void ids_are_not_a_template_s_to_change(void **state)
{
    static const struct husk_cpuid_change changes[] = {
        {.leaf = 1, .ebx = {.mask = 0xff000000, .bits = 0x55000000}},
        {.leaf = 0xb, .flags = 1, .edx = {.mask = 0xffffffff, .bits = 0x55}},
    };
    struct husk_vm_options options = options_for("cpus=2 threads=1", 2);

    options.cpuid_changes = changes;
    options.cpuid_change_count = 2;
    run(options);
}

/* Fast strings off, against husk's own setting; a microcode revision in two steps. */
static void every_vcpu_has_the_changed_msrs(void **state)
{
    static const struct husk_msr_change changes[] = {
        {.index = 0x1a0, .mask = 1, .bits = 0},
        {.index = 0x8b, .mask = UINT64_MAX, .bits = 0x0123456700000000},
        {.index = 0x8b, .mask = 0xff00000000, .bits = 0x8900000000},
    };
    struct husk_vm_options options =
        options_for("cpus=2 msr0=1a0:1:0 msr1=8b:ffffffff00000000:0123458900000000", 2);

    options.msr_changes = changes;
    options.msr_change_count = 3;
    run(options);
}

static void what_the_host_lacks_is_named(void **state)
{
    const struct husk_cpuid_change leaf = {
        .leaf = 0x7, .subleaf = 0x99, .flags = 1, .ebx = {.mask = 1}};
    const struct husk_msr_change msr = {.index = 0x12345, .mask = 1};
    const struct husk_msr_change value = {.index = 0x4b564d03, .mask = UINT64_MAX, .bits = 0x3e};
    struct husk_vm_options options = options_for("", 1);

    options.cpuid_changes = &leaf;
    options.cpuid_change_count = 1;
    expect_refused(&options, ENOTSUP, "cpuid leaf 0x7 subleaf 0x99");
    options.cpuid_change_count = 0;
    options.msr_changes = &msr;
    options.msr_change_count = 1;
    expect_refused(&options, ENOTSUP, "msr 0x12345");
    options.msr_changes = &value;
    expect_refused(&options, EINVAL, "msr 0x4b564d03");
}

/* Obeyed, for whoever asks knows why; but not in silence. */
static void features_that_kvm_withholds_are_warned_of(void **state)
{
    static const struct husk_cpuid_change vmx = {.leaf = 1, .ecx = {.mask = 1u << 5, .bits = ~0u}};
    struct husk_vm_options options = options_for("cpuid0=1:0:2:20:20", 1);
    struct log_lines lines = {0};

    options.cpuid_changes = &vmx;
    options.cpuid_change_count = 1;
    options.log = keep_line;
    options.log_arg = &lines;
    run(options);
    assert_int_equal(lines.warnings, 1);
    assert_non_null(strstr(lines.last, "cpuid leaf 0x1 subleaf 0x0"));
    assert_non_null(strstr(lines.last, "ecx 0x20"));
}

/* A guest cannot be given memory that its CPUID says it cannot reach. */
static void a_narrower_address_counts(void **state)
{
    static const struct husk_cpuid_change narrow = {.leaf = 0x80000008,
                                                    .eax = {.mask = 0xff, .bits = 32}};
    struct husk_vm_options options = options_for("", 1);

    options.memory_bytes = 4ull << 30;
    options.cpuid_changes = &narrow;
    options.cpuid_change_count = 1;
    expect_refused(&options, ERANGE, "memory");
}

static void cores_have_their_threads(void **state)
{
    static const struct {
        unsigned vcpus, threads;
    } cases[] = {{1, 1}, {2, 1}, {2, 2}, {4, 2}, {6, 2}};
    const char *features = feature_bits_count() ? " features" : "";

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char words[64];
        struct husk_vm_options options = options_for(words, cases[i].vcpus);

        snprintf(words, sizeof(words), "cpus=%u threads=%u%s", cases[i].vcpus, cases[i].threads,
                 features);
        options.threads_per_core = cases[i].threads;
        run(options);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vcpu_has_the_changed_cpuid),
        cmocka_unit_test(features_are_taken_away),
        cmocka_unit_test(ids_are_not_a_template_s_to_change),
        cmocka_unit_test(every_vcpu_has_the_changed_msrs),
        cmocka_unit_test(what_the_host_lacks_is_named),
        cmocka_unit_test(features_that_kvm_withholds_are_warned_of),
        cmocka_unit_test(a_narrower_address_counts),
        cmocka_unit_test(cores_have_their_threads),
    };

    int failed;

    if (argc != 2) {
        fprintf(stderr, "usage: test_cpu GUESTS\n");
        return 2;
    }
    if (!tiny_guest_can_run())
        return SKIPPED;
    snprintf(kernel, sizeof(kernel), "%s/cpu.elf", argv[1]);
    mode = HUSK_MODE_IN_PROCESS;
    failed = cmocka_run_group_tests_name("in process", tests, NULL, NULL);
    if (!getenv("HUSK_VMM")) {
        fprintf(stderr, "skipped: jailed: HUSK_VMM does not name the program\n");
        return failed;
    }
    mode = HUSK_MODE_JAILED;
    return failed + cmocka_run_group_tests_name("jailed", tests, NULL, NULL);
}
