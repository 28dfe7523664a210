// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "vmm/memory.h"

#define KIB  1024ull
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)
#define PAGE 4096ull

static struct guest_memory *create(const struct guest_region_spec *specs, unsigned count,
                                   enum guest_memory_backing backing)
{
    struct guest_memory *memory = NULL;

    assert_int_equal(guest_memory_create(specs, count, backing, &memory, NULL), 0);
    return memory;
}

/* [0, 1 MiB), [1 MiB, 2 MiB) right behind it, [4 GiB, 4 GiB + 1 MiB) behind a hole. */
static struct guest_memory *three_regions(enum guest_memory_backing backing)
{
    const struct guest_region_spec specs[] = {{gpa(0), MIB}, {gpa(MIB), MIB}, {gpa(4 * GIB), MIB}};

    return create(specs, 3, backing);
}

static bool reaches(const struct guest_memory *memory, uint64_t address, uint64_t len)
{
    return guest_memory_at(memory, gpa(address), len) != NULL;
}

static void ranges_lie_wholly_inside_one_region(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);

    assert_true(reaches(memory, 0, 1));
    assert_true(reaches(memory, 0, MIB));
    assert_true(reaches(memory, MIB - 1, 1));
    assert_true(reaches(memory, MIB, MIB));
    assert_true(reaches(memory, 4 * GIB, MIB));
    assert_true(reaches(memory, 4 * GIB + MIB - 1, 1));

    assert_false(reaches(memory, 0, 0));
    assert_false(reaches(memory, 0, MIB + 1));
    assert_false(reaches(memory, MIB - 1, 2)); /* two regions, though they touch */
    assert_false(reaches(memory, 2 * MIB - 1, 2));
    assert_false(reaches(memory, 2 * MIB, 1)); /* the hole */
    assert_false(reaches(memory, 4 * GIB - 1, 1));
    assert_false(reaches(memory, 4 * GIB - 1, 2));
    assert_false(reaches(memory, 4 * GIB + MIB, 1));
    guest_memory_destroy(memory);
}

static void ranges_that_wrap_are_refused(void **state)
{
    static const uint64_t addresses[] = {1, MIB - 1, MIB, 4 * GIB, UINT64_MAX - MIB, UINT64_MAX};
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);

    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        assert_false(reaches(memory, addresses[i], UINT64_MAX));
        assert_false(reaches(memory, addresses[i], UINT64_MAX - addresses[i] + 1));
        assert_false(reaches(memory, addresses[i], UINT64_MAX - addresses[i] + 2));
        assert_false(reaches(memory, addresses[i], 1ull << 63));
    }
    guest_memory_destroy(memory);
}

static void memory_up_to_the_last_address(void **state)
{
    const uint64_t base = UINT64_MAX - 2 * MIB + 1; /* its end is not 2^64, but a page below */
    const struct guest_region_spec good[] = {{gpa(base), 2 * MIB - PAGE}};
    const struct guest_region_spec wraps[] = {{gpa(base), 2 * MIB + PAGE}};
    struct guest_memory *memory = create(good, 1, GUEST_MEMORY_PRIVATE), *none = NULL;

    assert_true(reaches(memory, base, 2 * MIB - PAGE));
    assert_false(reaches(memory, base, 2 * MIB));
    assert_false(reaches(memory, UINT64_MAX - PAGE, PAGE + 1));
    assert_false(reaches(memory, 0, 1));
    guest_memory_destroy(memory);
    assert_int_equal(guest_memory_create(wraps, 1, GUEST_MEMORY_PRIVATE, &none, NULL), -EINVAL);
    assert_null(none);
}

static void addresses_and_pointers_move_together(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);

    for (unsigned i = 0; i < guest_memory_region_count(memory); i++) {
        const struct guest_region *region = guest_memory_region(memory, i);

        assert_ptr_equal(guest_memory_at(memory, region->base, 1), region->hva);
        assert_ptr_equal(guest_memory_at(memory, gpa(region->base.value + 12345), 1),
                         (uint8_t *)region->hva + 12345);
        assert_int_equal((uintptr_t)region->hva % (2 * MIB), 0);
        assert_int_equal(region->fd, -1);
    }
    assert_null(guest_memory_region(memory, 3));
    assert_int_equal(guest_memory_size(memory), 3 * MIB);
    guest_memory_destroy(memory);
}

static void copies_are_whole_or_not_at_all(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    char buf[16] = "untouched";

    assert_int_equal(guest_memory_write(memory, gpa(MIB - 8), "12345678", 8), 0);
    assert_int_equal(guest_memory_read(memory, gpa(MIB - 8), buf, 8), 0);
    assert_memory_equal(buf, "12345678", 8);
    assert_int_equal(guest_memory_write(memory, gpa(MIB - 8), "abcdefghi", 9), -EFAULT);
    assert_int_equal(guest_memory_read(memory, gpa(MIB - 8), buf + 8, 8), 0);
    assert_memory_equal(buf + 8, "12345678", 8);
    memcpy(buf, "untouched", 10);
    assert_int_equal(guest_memory_read(memory, gpa(2 * MIB - 1), buf, 2), -EFAULT);
    assert_string_equal(buf, "untouched");
    assert_int_equal(guest_memory_read(memory, gpa(UINT64_MAX), buf, 0), 0);
    assert_int_equal(guest_memory_write(memory, gpa(UINT64_MAX), buf, 0), 0);
    guest_memory_destroy(memory);
}

static void memory_begins_as_zero(void **state)
{
    for (unsigned backing = GUEST_MEMORY_PRIVATE; backing <= GUEST_MEMORY_SHARED; backing++) {
        struct guest_memory *memory = three_regions(backing);
        uint8_t page[PAGE], zero[PAGE] = {0};

        assert_int_equal(guest_memory_read(memory, gpa(MIB - PAGE), page, PAGE), 0);
        assert_memory_equal(page, zero, PAGE);
        guest_memory_destroy(memory);
    }
}

static void impossible_layouts_are_refused(void **state)
{
    static const struct {
        struct guest_region_spec specs[2];
        unsigned count;
    } cases[] = {
        {{{{0}, MIB}}, 0},
        {{{{0}, 0}}, 1},
        {{{{1}, MIB}}, 1},
        {{{{0}, MIB + 1}}, 1},
        {{{{0}, PAGE - 1}}, 1},
        {{{{0}, MIB}, {{MIB - PAGE}, MIB}}, 2}, /* overlap */
        {{{{MIB}, MIB}, {{0}, MIB}}, 2},        /* not ascending */
        {{{{0}, MIB}, {{0}, MIB}}, 2},
    };
    struct guest_region_spec many[GUEST_MEMORY_MAX_REGIONS + 1];
    struct guest_memory *memory = NULL;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(guest_memory_create(cases[i].specs, cases[i].count, GUEST_MEMORY_PRIVATE,
                                             &memory, NULL),
                         -EINVAL);
        assert_null(memory);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = (struct guest_region_spec){gpa(i * MIB), PAGE};
    assert_int_equal(guest_memory_create(many, GUEST_MEMORY_MAX_REGIONS + 1, GUEST_MEMORY_PRIVATE,
                                         &memory, NULL),
                     -EINVAL);
    assert_int_equal(
        guest_memory_create(many, GUEST_MEMORY_MAX_REGIONS, GUEST_MEMORY_PRIVATE, &memory, NULL),
        0);
    guest_memory_destroy(memory);
    guest_memory_destroy(NULL);
}

static void too_much_memory_is_an_error_that_says_so(void **state)
{
    const struct guest_region_spec half_the_world[] = {{gpa(0), 1ull << 62}};
    struct guest_memory *memory = NULL;
    struct husk_error err = {0};

    for (unsigned backing = GUEST_MEMORY_PRIVATE; backing <= GUEST_MEMORY_SHARED; backing++) {
        assert_true(guest_memory_create(half_the_world, 1, backing, &memory, &err) < 0);
        assert_null(memory);
        assert_string_equal(err.where, "memory");
    }
}

/* ---- shared backing ---- */

static void a_peer_sees_shared_memory_and_cannot_resize_it(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_SHARED);

    for (unsigned i = 0; i < guest_memory_region_count(memory); i++) {
        const struct guest_region *region = guest_memory_region(memory, i);
        uint8_t *peer;

        assert_true(region->fd >= 0);
        assert_true(fcntl(region->fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(region->fd_offset, i * MIB);
        peer = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd,
                    (off_t)region->fd_offset);
        assert_true(peer != MAP_FAILED);
        ((uint8_t *)region->hva)[100] = 7;
        peer[200] = 8;
        assert_int_equal(peer[100], 7);
        assert_int_equal(((uint8_t *)region->hva)[200], 8);
        munmap(peer, region->size);
        assert_int_equal(ftruncate(region->fd, 0), -1);
        assert_int_equal(ftruncate(region->fd, 100 * MIB), -1);
    }
    guest_memory_destroy(memory);
}

/* ---- files mapped over memory ---- */

/* A file of `size` bytes, each of the value of its page plus one. */
static int make_file(size_t size)
{
    char path[] = "/tmp/husk-memory-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    uint8_t *bytes = malloc(size + 1);

    assert_true(fd >= 0);
    assert_non_null(bytes);
    unlink(path);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i / PAGE + 1);
    assert_int_equal(write_full(fd, bytes, size), 0);
    free(bytes);
    return fd;
}

static void a_file_appears_and_is_not_written(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    uint8_t *at = guest_memory_at(memory, gpa(MIB), MIB);
    int fd = make_file(3 * PAGE);
    uint8_t byte;

    memset(at, 0xee, 5 * PAGE);
    assert_int_equal(guest_memory_map_file(memory, gpa(MIB + PAGE), fd, PAGE, 2 * PAGE), 0);
    assert_int_equal(at[PAGE - 1], 0xee);
    assert_int_equal(at[PAGE], 2);
    assert_int_equal(at[3 * PAGE - 1], 3);
    assert_int_equal(at[3 * PAGE], 0xee);
    at[PAGE] = 99;
    assert_int_equal(pread_full(fd, &byte, 1, PAGE), 0);
    assert_int_equal(byte, 2);
    close_fd(&fd);
    assert_int_equal(at[2 * PAGE], 3); /* the mapping holds the file */
    guest_memory_destroy(memory);
}

static void a_file_s_last_page_ends_in_zeroes(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    uint8_t *at = guest_memory_at(memory, gpa(0), MIB);
    int fd = make_file(PAGE + 10);

    memset(at, 0xee, 2 * PAGE);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, 2 * PAGE), 0);
    assert_int_equal(at[PAGE + 9], 2);
    assert_int_equal(at[PAGE + 10], 0);
    assert_int_equal(at[2 * PAGE - 1], 0);
    close_fd(&fd);
    guest_memory_destroy(memory);
}

/* A device would go on using the pages that were there before. */
static void nothing_is_mapped_over_pinned_memory(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    uint8_t *at = guest_memory_at(memory, gpa(0), MIB);
    int fd = make_file(PAGE);

    at[0] = 5;
    guest_memory_set_pinned(memory, true);
    assert_true(guest_memory_is_pinned(memory));
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, PAGE), -EINVAL);
    assert_int_equal(at[0], 5);
    guest_memory_set_pinned(memory, false);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, PAGE), 0);
    close_fd(&fd);
    guest_memory_destroy(memory);
}

/* Pages behind the end of the file would be a SIGBUS in whoever touches them. */
static void a_file_that_is_too_short_is_refused(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    uint8_t *at = guest_memory_at(memory, gpa(0), MIB);
    int fd = make_file(PAGE), empty = make_file(0);

    at[0] = 5;
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, 2 * PAGE), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, PAGE, PAGE), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 1ull << 40, PAGE), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), empty, 0, PAGE), -EINVAL);
    assert_int_equal(at[0], 5);
    close_fd(&fd);
    close_fd(&empty);
    guest_memory_destroy(memory);
}

static void what_cannot_be_mapped_is_refused(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    struct guest_memory *shared = three_regions(GUEST_MEMORY_SHARED);
    int fd = make_file(4 * PAGE), closed = -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    uint8_t *at = guest_memory_at(memory, gpa(0), PAGE);

    at[0] = 5;
    assert_int_equal(guest_memory_map_file(memory, gpa(1), fd, 0, PAGE), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 1, PAGE), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, PAGE + 1), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, 0), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, UINT64_MAX & ~(PAGE - 1), PAGE),
                     -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(MIB - PAGE), fd, 0, 2 * PAGE), -EINVAL);
    assert_int_equal(guest_memory_map_file(memory, gpa(2 * MIB), fd, 0, PAGE), -EINVAL);
    assert_int_equal(guest_memory_map_file(shared, gpa(0), fd, 0, PAGE), -EINVAL);
    assert_true(guest_memory_map_file(memory, gpa(0), closed, 0, PAGE) < 0);
    assert_true(guest_memory_map_file(memory, gpa(0), null, 0, PAGE) < 0);
    assert_int_equal(at[0], 5);
    close_fd(&null);
    close_fd(&fd);
    guest_memory_destroy(shared);
    guest_memory_destroy(memory);
}

/* What a forked child still has of a page: ENOMEM when nothing is mapped there (msync(2)). */
static int errno_in_child(void *page)
{
    /* Not fork(): a sanitizer's would map things of its own into the child's gaps. */
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    int status;

    assert_true(child >= 0);
    if (child == 0)
        _exit(msync(page, PAGE, MS_ASYNC) ? errno : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

/* Whether the mapping that begins at `at` has this flag in smaps ("hg": huge pages advised). */
static bool has_flag(const void *at, const char *flag)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool is_it = false, has = false;
    char line[512], start[32];

    assert_non_null(smaps);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)at);
    while (fgets(line, sizeof(line), smaps)) {
        if (!strncmp(line, start, strlen(start)))
            is_it = true;
        if (is_it && !strncmp(line, "VmFlags:", 8)) {
            has = strstr(line, flag) != NULL;
            break;
        }
    }
    fclose(smaps);
    return has;
}

/* Every guest has boot data there, few have more. */
static void the_first_2_mib_are_of_small_pages(void **state)
{
    const struct guest_region_spec specs[] = {{gpa(0), 8 * MIB}, {gpa(4 * GIB), 2 * MIB}};
    struct guest_memory *memory = create(specs, 2, GUEST_MEMORY_PRIVATE);

    if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK)) {
        guest_memory_destroy(memory);
        print_message("skipped: this kernel has no transparent huge pages\n");
        skip();
    }
    assert_true(has_flag(guest_memory_at(memory, gpa(0), 1), " nh"));
    assert_true(has_flag(guest_memory_at(memory, gpa(2 * MIB), 1), " hg"));
    assert_true(has_flag(guest_memory_at(memory, gpa(4 * GIB), 1), " hg"));
    guest_memory_destroy(memory);
}

static void children_do_not_inherit(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_int_equal(guest_memory_map_file(memory, gpa(0), fd, 0, PAGE), 0);
    assert_int_equal(errno_in_child(guest_memory_at(memory, gpa(0), PAGE)), ENOMEM);
    assert_int_equal(errno_in_child(guest_memory_at(memory, gpa(PAGE), PAGE)), ENOMEM);
    close_fd(&fd);
    guest_memory_destroy(memory);
}

static void check_resident(enum guest_memory_backing backing)
{
    const struct guest_region_spec spec = {gpa(0), 256 * MIB};
    struct guest_memory *memory;

    assert_int_equal(guest_memory_create(&spec, 1, backing, &memory, NULL), 0);
    assert_int_equal(guest_memory_resident(memory), 0);
    /* On both sides of a chunk's border, and in the last page. A page may be a huge one. */
    memset(guest_memory_at(memory, gpa(63 * MIB), 2 * MIB), 1, 2 * MIB);
    memset(guest_memory_at(memory, gpa(256 * MIB - PAGE), PAGE), 1, PAGE);
    assert_in_range(guest_memory_resident(memory), 2 * MIB + PAGE, 6 * MIB);
    guest_memory_destroy(memory);
}

static void what_was_touched_is_resident(void **state)
{
    check_resident(GUEST_MEMORY_PRIVATE);
    check_resident(GUEST_MEMORY_SHARED);
}

static void whole_pages_are_dropped(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_PRIVATE);
    uint8_t *at = guest_memory_at(memory, gpa(0), 4 * PAGE);
    uint8_t *last = guest_memory_at(memory, gpa(4 * GIB + MIB - PAGE), PAGE);

    memset(at, 1, 4 * PAGE);
    assert_int_equal(guest_memory_drop(memory, at + 1, 3 * PAGE), 2 * PAGE);
    assert_true(at[0] == 1 && at[PAGE - 1] == 1 && at[PAGE] == 0 && at[3 * PAGE - 1] == 0);
    assert_int_equal(at[3 * PAGE], 1);
    assert_int_equal(guest_memory_drop(memory, at + 1, PAGE), 0);
    /* Nothing beyond a region is reached. */
    memset(last, 1, PAGE);
    assert_int_equal(guest_memory_drop(memory, last, 1ull << 40), PAGE);
    assert_int_equal(last[0], 0);
    assert_int_equal(guest_memory_drop(memory, &memory, PAGE), 0);
    guest_memory_destroy(memory);
}

static void what_others_use_is_not_dropped(void **state)
{
    struct guest_memory *memory = three_regions(GUEST_MEMORY_SHARED);
    uint8_t *at = guest_memory_at(memory, gpa(0), PAGE);

    *at = 1;
    assert_int_equal(guest_memory_drop(memory, at, PAGE), 0);
    assert_int_equal(*at, 1);
    guest_memory_destroy(memory);
    memory = three_regions(GUEST_MEMORY_PRIVATE);
    at = guest_memory_at(memory, gpa(0), PAGE);
    *at = 1;
    guest_memory_set_pinned(memory, true);
    assert_int_equal(guest_memory_drop(memory, at, PAGE), 0);
    assert_int_equal(*at, 1);
    guest_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_lie_wholly_inside_one_region),
        cmocka_unit_test(ranges_that_wrap_are_refused),
        cmocka_unit_test(memory_up_to_the_last_address),
        cmocka_unit_test(addresses_and_pointers_move_together),
        cmocka_unit_test(copies_are_whole_or_not_at_all),
        cmocka_unit_test(memory_begins_as_zero),
        cmocka_unit_test(impossible_layouts_are_refused),
        cmocka_unit_test(too_much_memory_is_an_error_that_says_so),
        cmocka_unit_test(a_peer_sees_shared_memory_and_cannot_resize_it),
        cmocka_unit_test(a_file_appears_and_is_not_written),
        cmocka_unit_test(a_file_s_last_page_ends_in_zeroes),
        cmocka_unit_test(a_file_that_is_too_short_is_refused),
        cmocka_unit_test(nothing_is_mapped_over_pinned_memory),
        cmocka_unit_test(what_cannot_be_mapped_is_refused),
        cmocka_unit_test(the_first_2_mib_are_of_small_pages),
        cmocka_unit_test(children_do_not_inherit),
        cmocka_unit_test(what_was_touched_is_resident),
        cmocka_unit_test(whole_pages_are_dropped),
        cmocka_unit_test(what_others_use_is_not_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
