// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/memory.c with 2 MiB pages. Reserves a few while it runs where it can (tests/harness), and
 * skips what needs them elsewhere.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/io.h"
#include "husk/husk.h"
#include "tests/harness/huge_pages.h"
#include "tests/harness/tiny_guest.h"
#include "vmm/memory.h"

#define MIB      (1ull << 20)
#define GIB      (1ull << 30)
#define RESERVED 16u

/* 6 MiB, and 4 MiB behind a hole. */
static const struct guest_region_spec specs[] = {{{0}, 6 * MIB}, {{4 * GIB}, 4 * MIB}};

static int reserve(void **state)
{
    static struct huge_pages pages;

    *state = huge_pages_reserve(&pages, RESERVED) ? &pages : NULL;
    return 0;
}

static int give_back(void **state)
{
    if (*state)
        huge_pages_give_back(*state);
    return 0;
}

static struct guest_memory *create(enum guest_memory_backing backing)
{
    struct guest_memory *memory = NULL;
    struct husk_error err;

    if (guest_memory_create(specs, 2, backing, &memory, &err))
        fail_msg("%s", err.why);
    return memory;
}

/* Of the mapping that begins at `at`, in KiB. */
static unsigned long mapped_page_kib(const void *at)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    unsigned long kib = 0;
    bool is_it = false;
    char line[512], start[32];

    assert_non_null(smaps);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)at);
    while (fgets(line, sizeof(line), smaps)) {
        if (!strncmp(line, start, strlen(start)))
            is_it = true;
        if (is_it && sscanf(line, "KernelPageSize: %lu", &kib) == 1)
            break;
    }
    fclose(smaps);
    return kib;
}

static void memory_is_made_of_huge_pages(void **state)
{
    if (!*state)
        skip();
    for (unsigned i = 0; i < 2; i++) {
        struct guest_memory *memory = create(i ? GUEST_MEMORY_SHARED_2M : GUEST_MEMORY_PRIVATE_2M);

        for (unsigned r = 0; r < 2; r++) {
            const struct guest_region *region = guest_memory_region(memory, r);
            uint8_t *bytes = region->hva;

            assert_int_equal(region->page_bytes, 2 * MIB);
            assert_int_equal((uintptr_t)region->hva % (2 * MIB), 0);
            assert_int_equal(mapped_page_kib(region->hva), 2048);
            assert_int_equal(bytes[0] | bytes[region->size - 1], 0);
            bytes[0] = bytes[region->size - 1] = 1;
        }
        guest_memory_destroy(memory);
    }
}

static void a_peer_sees_shared_memory(void **state)
{
    struct guest_memory *memory;
    const struct guest_region *high;
    uint8_t *peer;

    if (!*state)
        skip();
    memory = create(GUEST_MEMORY_SHARED_2M);
    high = guest_memory_region(memory, 1);
    assert_int_equal(high->fd_offset, 6 * MIB);
    peer = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, high->fd, 6 * MIB);
    assert_ptr_not_equal(peer, MAP_FAILED);
    *(uint8_t *)guest_memory_at(memory, gpa(4 * GIB + 5), 1) = 42;
    assert_int_equal(peer[5], 42);
    munmap(peer, 4 * MIB);
    guest_memory_destroy(memory);
}

/* A guest that finds no page when it touches one would end the process. */
static void pages_are_promised_when_mapped(void **state)
{
    struct guest_memory *memories[RESERVED] = {NULL};
    struct husk_error err = {0};
    unsigned count = 0;
    int ret = 0;

    if (!*state)
        skip();
    /* None is touched, and yet they run out. */
    while (count < RESERVED && !ret) {
        ret = guest_memory_create(specs, 2, GUEST_MEMORY_PRIVATE_2M, &memories[count], &err);
        count += !ret;
    }
    assert_int_equal(ret, -ENOMEM);
    assert_non_null(strstr(err.why, "5 pages of 2 MiB are needed, "));
    assert_non_null(strstr(err.why, " are free: "));
    assert_non_null(strstr(err.why, "vm.nr_hugepages"));
    assert_int_equal(guest_memory_check_2m(10 * MIB, &err), -ENOMEM);
    while (count > 0)
        guest_memory_destroy(memories[--count]);
    assert_int_equal(guest_memory_check_2m(10 * MIB, NULL), 0);
    guest_memory_destroy(create(GUEST_MEMORY_PRIVATE_2M));
}

static void files_are_not_mapped_into_them(void **state)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct guest_memory *memory;

    if (!*state) {
        close_fd(&fd);
        skip();
    }
    memory = create(GUEST_MEMORY_PRIVATE_2M);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, GUEST_PAGE_SIZE), -EINVAL);
    *(uint8_t *)guest_memory_at(memory, gpa(0), 1) = 1; /* still there */
    guest_memory_destroy(memory);
    close_fd(&fd);
}

/* The kernel is copied, and the guest runs. */
static void a_guest_runs_in_them(void **state)
{
    static const uint8_t exit_42[] = {GUEST_OUT(0xf4, 42), GUEST_HALT};
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_event event = {0};
    struct husk_error err = {0};
    struct husk_vm *vm;

    if (!*state || !tiny_guest_can_run())
        skip();
    options.mode = HUSK_MODE_IN_PROCESS;
    options.kernel_fd = tiny_guest_fd(exit_42, sizeof(exit_42));
    options.memory_bytes = 16 * MIB;
    options.pages = HUSK_PAGES_2M;
    for (int shared = 0; shared < 2; shared++) {
        options.memory_shared = shared;
        if (husk_vm_new(&options, &vm, &err) || husk_vm_build(vm, &err) || husk_vm_start(vm, &err))
            fail_msg("%s: %s", err.what, err.why);
        assert_int_equal(husk_vm_wait_event(vm, 60000, &event), 1);
        assert_int_equal(event.reason, HUSK_STOP_GUEST_EXIT);
        assert_int_equal(event.guest_status, 42);
        husk_vm_free(vm);
    }
    close_fd(&options.kernel_fd);
}

static void regions_are_multiples_of_their_size(void **state)
{
    static const struct guest_region_spec odd[] = {{{0}, 3 * MIB}, {{MIB}, 2 * MIB}};
    struct guest_memory *memory;

    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(guest_memory_create(&odd[i], 1, GUEST_MEMORY_PRIVATE_2M, &memory, NULL),
                         -EINVAL);
}

/* More than any host has reserved. */
static void what_is_missing_is_said(void **state)
{
    const struct guest_region_spec huge = {{0}, 1ull << 44};
    struct guest_memory *memory;

    for (unsigned i = 0; i < 2; i++) {
        struct husk_error err = {0};

        assert_int_equal(guest_memory_create(&huge, 1,
                                             i ? GUEST_MEMORY_SHARED_2M : GUEST_MEMORY_PRIVATE_2M,
                                             &memory, &err),
                         -ENOMEM);
        assert_string_equal(err.where, "memory");
        assert_non_null(strstr(err.why, "8388608 pages of 2 MiB are needed"));
        assert_non_null(strstr(err.why, "sysctl vm.nr_hugepages"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_made_of_huge_pages),
        cmocka_unit_test(a_peer_sees_shared_memory),
        cmocka_unit_test(pages_are_promised_when_mapped),
        cmocka_unit_test(files_are_not_mapped_into_them),
        cmocka_unit_test(a_guest_runs_in_them),
        cmocka_unit_test(regions_are_multiples_of_their_size),
        cmocka_unit_test(what_is_missing_is_said),
    };

    return cmocka_run_group_tests(tests, reserve, give_back);
}
