// SPDX-License-Identifier: Apache-2.0
/* Memory slots that come and go: vmm/memslots.c, on the host's KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/harness/tiny_guest.h"
#include "vmm/arch/arch.h"
#include "vmm/kvm.h"
#include "vmm/memory.h"
#include "vmm/memslots.h"

#define PAGE  4096u
#define BYTES (16 * PAGE)
#define AT    0xe0000000ull

static struct {
    struct kvm kvm;
    struct memslots memslots;
    uint8_t *host;
} t;

static int setup(void **state)
{
    unsigned count;
    const struct kvm_requirement *requirements = arch_requirements(&count);
    int fd = kvm_open_device(NULL);

    assert_int_equal(kvm_open(&t.kvm, fd, requirements, count, NULL), 0);
    memslots_init(&t.memslots, &t.kvm);
    t.host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(t.host != MAP_FAILED);
    return 0;
}

static int teardown(void **state)
{
    kvm_close(&t.kvm);
    munmap(t.host, BYTES);
    memset(&t, 0, sizeof(t));
    return 0;
}

static void test_add_and_remove(void **state)
{
    unsigned slot, other;

    assert_int_equal(memslots_add(&t.memslots, AT, t.host, 2 * PAGE, &slot), 0);
    /* KVM sees it: nothing else goes there, until it is taken away. */
    assert_int_equal(memslots_add(&t.memslots, AT + PAGE, t.host, PAGE, &other), -EEXIST);
    assert_int_equal(memslots_add(&t.memslots, AT + 2 * PAGE, t.host, PAGE, &other), 0);
    assert_int_not_equal(slot, other);
    memslots_remove(&t.memslots, slot);
    assert_int_equal(memslots_add(&t.memslots, AT, t.host, PAGE, &slot), 0);
    memslots_remove(&t.memslots, slot);
    memslots_remove(&t.memslots, other);
}

/* What KVM refuses takes no number. */
static void test_refused(void **state)
{
    unsigned slot, first;

    assert_int_equal(memslots_add(&t.memslots, AT, t.host, 0, &slot), -EINVAL);
    assert_int_equal(memslots_add(&t.memslots, AT + 1, t.host, PAGE, &slot), -EINVAL);
    assert_int_equal(memslots_add(&t.memslots, AT, t.host + 1, PAGE, &slot), -EINVAL);
    assert_int_equal(memslots_add(&t.memslots, AT, t.host, PAGE, &first), 0);
    assert_int_equal(first, 0);
    memslots_remove(&t.memslots, MEMSLOTS_MAX);
    memslots_remove(&t.memslots, first);
}

static void test_none_left(void **state)
{
    unsigned slot, last;

    t.kvm.max_memslots = GUEST_MEMORY_MAX_REGIONS + 3;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(memslots_add(&t.memslots, AT + i * PAGE, t.host, PAGE, &last), 0);
    assert_int_equal(memslots_add(&t.memslots, AT + 3 * PAGE, t.host, PAGE, &slot), -ENOSPC);
    memslots_remove(&t.memslots, last);
    assert_int_equal(memslots_add(&t.memslots, AT + 3 * PAGE, t.host, PAGE, &slot), 0);
    assert_int_equal(slot, last);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_add_and_remove),
        TEST(test_refused),
        TEST(test_none_left),
    };
#undef TEST

    if (!tiny_guest_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
