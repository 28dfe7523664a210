// SPDX-License-Identifier: Apache-2.0
/* vmm/kvm.c and vmm/interrupts.c on the host's KVM: what is missing is named, nothing leaks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "tests/harness/tiny_guest.h"
#include "vmm/arch/arch.h"
#include "vmm/interrupts.h"
#include "vmm/kvm.h"

static int open_kvm(struct kvm *kvm, struct husk_error *err)
{
    unsigned count;
    const struct kvm_requirement *requirements = arch_requirements(&count);

    int fd = kvm_open_device(err);

    return fd < 0 ? fd : kvm_open(kvm, fd, requirements, count, err);
}

static void test_open(void **state)
{
    struct kvm kvm;

    assert_int_equal(open_kvm(&kvm, NULL), 0);
    assert_true(fcntl(kvm.dev_fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(kvm.vm_fd, F_GETFD) & FD_CLOEXEC);
    assert_true(kvm.max_vcpus >= 1);
    assert_true(kvm.run_bytes >= 4096);
    assert_true(arch_vcpus_max(&kvm) <= 255);
    kvm_close(&kvm);
    assert_int_equal(kvm.dev_fd, -1);
    kvm_close(&kvm);
}

static void test_missing_capabilities(void **state)
{
    static const struct kvm_requirement impossible[] = {
        {99999, "TIME_TRAVEL"},
        {99998, "MIND_READING"},
    };
    struct husk_error err = {0};
    struct kvm kvm;

    assert_int_equal(
        kvm_open(&kvm, kvm_open_device(NULL), impossible, ARRAY_SIZE(impossible), &err), -ENOTSUP);
    assert_string_equal(err.where, "/dev/kvm");
    assert_string_equal(err.why, "it lacks TIME_TRAVEL, MIND_READING");
    assert_int_equal(kvm.dev_fd, -1);
    assert_int_equal(kvm.vm_fd, -1);
}

/* In a child with another /dev: 0 when the error is as expected, 77 when it cannot be arranged. */
static int open_with_device(const char *source, const char *mount_at, int code, const char *why)
{
    struct husk_error err = {0};
    struct kvm kvm;

    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return 77;
    if (source ? mount(source, mount_at, NULL, MS_BIND, NULL)
               : mount("none", mount_at, "tmpfs", 0, NULL))
        return 77;
    return open_kvm(&kvm, &err) == -code && strstr(err.why, why) ? 0 : 1;
}

static void check_with_device(const char *source, const char *mount_at, int code, const char *why)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(open_with_device(source, mount_at, code, why));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* mounting needs privileges */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_no_device(void **state)
{
    check_with_device(NULL, "/dev", ENOENT, "load the module");
}

static void test_wrong_device(void **state)
{
    check_with_device("/dev/null", "/dev/kvm", ENOTTY, "does not answer as KVM");
}

static void test_memory(void **state)
{
    struct guest_region_spec regions[] = {{gpa(0), 1 << 20}, {gpa(1ull << 32), 1 << 20}};
    struct guest_memory *memory;
    struct kvm kvm;

    assert_int_equal(open_kvm(&kvm, NULL), 0);
    assert_int_equal(guest_memory_create(regions, 2, GUEST_MEMORY_PRIVATE, &memory, NULL), 0);
    assert_int_equal(kvm_map_memory(&kvm, memory, NULL), 0);
    kvm_close(&kvm);
    guest_memory_destroy(memory);
}

static void test_ioeventfd(void **state)
{
    struct kvm kvm;
    struct bus_accelerator mmio, ports;
    int fd = eventfd_open();

    assert_int_equal(open_kvm(&kvm, NULL), 0);
    mmio = kvm_mmio_accelerator(&kvm);
    ports = kvm_port_accelerator(&kvm);
    assert_int_equal(mmio.attach(mmio.arg, 0xd0000050, 4, 1, fd), 0);
    assert_int_equal(mmio.attach(mmio.arg, 0xd0000050, 4, 1, fd), -EEXIST);
    assert_int_equal(mmio.attach(mmio.arg, 0xd0000050, 4, 2, fd), 0);
    assert_int_equal(ports.attach(ports.arg, 0x500, 2, 1, fd), 0);
    mmio.detach(mmio.arg, 0xd0000050, 4, 1, fd);
    assert_int_equal(mmio.attach(mmio.arg, 0xd0000050, 4, 1, fd), 0);
    kvm_close(&kvm);
    close(fd);
}

static void test_interrupts(void **state)
{
    struct interrupts interrupts;
    struct msi_controller msi;
    struct irq_line line, free_line;
    struct kvm kvm;
    struct rlimit files;
    uint32_t last = 0;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max; /* an eventfd for each vector */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(open_kvm(&kvm, NULL), 0);
    assert_int_equal(arch_vm_init(&kvm, NULL), 0);
    interrupts_init(&interrupts, &kvm, arch_free_gsis);
    assert_int_equal(interrupts_take(&interrupts, 4, &line), 0);
    assert_int_equal(line.gsi, 4);
    assert_int_equal(interrupts_take(&interrupts, 4, &line), -EBUSY);
    assert_int_equal(interrupts_take(&interrupts, INTERRUPT_LINES_MAX, &line), -EINVAL);
    for (unsigned i = 0; i < arch_virtio_mmio_max; i++) {
        assert_int_equal(interrupts_take_any(&interrupts, &line), 0);
        assert_true(line.gsi > last);
        last = line.gsi;
        irq_line_raise(&line);
    }
    assert_int_equal(interrupts_take_any(&interrupts, &line), -ENOSPC);
    msi = interrupts_msi(&interrupts);
    assert_int_equal(msi.take(msi.arg, &line), 0);
    assert_int_equal(line.gsi, arch_first_msi_gsi);
    assert_int_equal(msi.take(msi.arg, &line), 0);
    irq_line_raise(&line); /* goes nowhere */
    assert_int_equal(msi.route(msi.arg, &line, 0xfee00000, 0x30), 0);
    assert_int_equal(msi.route(msi.arg, &line, 0xfee00000, 0x30), 0);
    irq_line_raise(&line);
    free_line = line;
    msi.give(msi.arg, &free_line);
    assert_int_equal(free_line.event_fd, -1);
    msi.give(msi.arg, &free_line);
    assert_int_equal(msi.route(msi.arg, &line, 0xfee00000, 0x30), -EINVAL); /* not ours any more */
    for (unsigned i = 1; i < MSI_VECTORS_MAX; i++)
        assert_int_equal(msi.take(msi.arg, &line), 0);
    assert_int_equal(msi.take(msi.arg, &free_line), -ENOSPC);
    msi.give(msi.arg, &line);
    assert_int_equal(msi.take(msi.arg, &line), 0);
    assert_int_equal(line.gsi, arch_first_msi_gsi + MSI_VECTORS_MAX - 1);
    line.gsi = arch_first_msi_gsi + 2;
    assert_int_equal(msi.route(msi.arg, &line, 0xfee00000, 0x30), -EINVAL);
    line.gsi = 4;
    assert_int_equal(msi.route(msi.arg, &line, 0xfee00000, 0x30), -EINVAL);
    interrupts_release(&interrupts);
    interrupts_release(&interrupts);
    kvm_close(&kvm);
}

/* What comes while a line is held waits in it, and is KVM's again afterwards. */
static void test_hold(void **state)
{
    struct interrupts interrupts;
    struct msi_controller msi;
    struct irq_line line;
    struct kvm kvm;

    assert_int_equal(open_kvm(&kvm, NULL), 0);
    assert_int_equal(arch_vm_init(&kvm, NULL), 0);
    interrupts_init(&interrupts, &kvm, arch_free_gsis);
    msi = interrupts_msi(&interrupts);
    assert_int_equal(msi.take(msi.arg, &line), 0);
    assert_int_equal(msi.route(msi.arg, &line, 0xfee00000, 0x30), 0);
    assert_int_equal(msi.hold(msi.arg, &line, true), 0);
    assert_false(irq_line_is_raised(&line));
    irq_line_raise(&line);
    assert_true(irq_line_is_raised(&line));
    assert_true(irq_line_is_raised(&line)); /* looking takes nothing away */
    assert_int_equal(msi.hold(msi.arg, &line, false), 0);
    assert_int_equal(msi.hold(msi.arg, &line, true), 0); /* KVM is one listener only */
    assert_int_equal(msi.hold(msi.arg, &line, false), 0);
    msi.give(msi.arg, &line);
    assert_int_equal(msi.hold(msi.arg, &line, true), -EINVAL);
    interrupts_release(&interrupts);
    kvm_close(&kvm);
}

static void test_levels(void **state)
{
    struct interrupts interrupts;
    struct level_controller levels;
    struct irq_resampled one, other;
    struct irq_line line;
    struct kvm kvm;

    assert_int_equal(open_kvm(&kvm, NULL), 0);
    assert_int_equal(arch_vm_init(&kvm, NULL), 0);
    interrupts_init(&interrupts, &kvm, arch_free_gsis);
    assert_int_equal(interrupts_reserve(&interrupts, 16), 0);
    assert_int_equal(interrupts_reserve(&interrupts, 16), -EBUSY);
    assert_int_equal(interrupts_reserve(&interrupts, INTERRUPT_LINES_MAX), -EINVAL);
    assert_int_equal(interrupts_take(&interrupts, 16, &line), -EBUSY);
    levels = interrupts_levels(&interrupts);
    levels.set(levels.arg, 16, true);
    levels.set(levels.arg, 16, true);
    levels.set(levels.arg, 16, false);
    assert_int_equal(interrupts.asserted_by[16], 1);
    levels.set(levels.arg, 16, false);
    levels.set(levels.arg, 16, false); /* nobody did */
    assert_int_equal(interrupts.asserted_by[16], 0);
    levels.set(levels.arg, UINT32_MAX, true);
    assert_int_equal(levels.take(levels.arg, 16, &one), 0);
    assert_int_equal(levels.take(levels.arg, 16, &other), 0);
    levels.give(levels.arg, &one);
    assert_int_equal(one.trigger_fd, -1);
    levels.give(levels.arg, &one);
    levels.give(levels.arg, &other);
    interrupts_release(&interrupts);
    kvm_close(&kvm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),       cmocka_unit_test(test_missing_capabilities),
        cmocka_unit_test(test_no_device),  cmocka_unit_test(test_wrong_device),
        cmocka_unit_test(test_memory),     cmocka_unit_test(test_ioeventfd),
        cmocka_unit_test(test_interrupts), cmocka_unit_test(test_levels),
        cmocka_unit_test(test_hold),
    };

    if (!tiny_guest_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
