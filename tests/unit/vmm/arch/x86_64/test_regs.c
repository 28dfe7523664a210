// SPDX-License-Identifier: Apache-2.0
/* vmm/arch/x86_64/regs.c: the two entry protocols. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vmm/arch/x86_64/regs.h"

static void test_pvh(void **state)
{
    const struct boot_layout layout = {.gdt = {0x1000}};
    const struct boot_entry entry = {
        .protocol = BOOT_PVH, .rip = {0x1000000}, .boot_info = {0x6000}};
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    memset(&sregs, 0xff, sizeof(sregs));
    regs_for_entry(&regs, &entry);
    sregs_for_entry(&sregs, &layout, &entry);
    assert_int_equal(regs.rip, 0x1000000);
    assert_int_equal(regs.rbx, 0x6000);
    assert_int_equal(regs.rflags, 2);
    assert_int_equal(sregs.cr0 & 0x80000001, 1); /* protected, not paged */
    assert_int_equal(sregs.cr4, 0);
    assert_int_equal(sregs.efer, 0);
    assert_int_equal(sregs.cs.base, 0);
    assert_int_equal(sregs.cs.limit, 0xffffffff);
    assert_int_equal(sregs.cs.db, 1);
    assert_int_equal(sregs.cs.l, 0);
    assert_int_equal(sregs.tr.type, 11);
    assert_int_equal(sregs.tr.limit, 0x67);
}

static void test_linux64(void **state)
{
    const struct boot_layout layout = {.gdt = {0x1000}};
    const struct boot_entry entry = {.protocol = BOOT_LINUX64,
                                     .rip = {0x1000200},
                                     .boot_info = {0x6000},
                                     .page_tables = {0x9000}};
    struct kvm_regs regs;
    struct kvm_sregs sregs = {0};

    regs_for_entry(&regs, &entry);
    sregs_for_entry(&sregs, &layout, &entry);
    assert_int_equal(regs.rip, 0x1000200);
    assert_int_equal(regs.rsi, 0x6000);
    assert_int_equal(regs.rbx, 0);
    assert_int_equal(sregs.cr0 & 0x80000001, 0x80000001);
    assert_int_equal(sregs.cr3, 0x9000);
    assert_int_equal(sregs.cr4 & 0x20, 0x20);
    assert_int_equal(sregs.efer & 0x500, 0x500);
    assert_int_equal(sregs.cs.selector, 0x10);
    assert_int_equal(sregs.cs.l, 1);
    assert_int_equal(sregs.cs.db, 0);
    assert_int_equal(sregs.ss.selector, 0x18);
    assert_int_equal(sregs.gdt.base, 0x1000);
    assert_true(sregs.gdt.limit >= 0x1f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pvh),
        cmocka_unit_test(test_linux64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
