// SPDX-License-Identifier: Apache-2.0
/* boot/bzimage.c and linux64.c, through boot_load(): header checks, placement, the zero page. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "tests/harness/boot_fixture.h"
#include "tests/harness/image_builder.h"

#define MEMORY_BYTES (32u << 20)
#define PAYLOAD      0x30000u
#define PREFERRED    0x1000000u

static int setup(void **state)
{
    static struct boot_fixture fixture;

    boot_fixture_setup(&fixture, MEMORY_BYTES, GUEST_MEMORY_PRIVATE);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    boot_fixture_teardown(*state);
    return 0;
}

static int load(struct boot_fixture *fixture, struct image_builder *image)
{
    int r = boot_fixture_load(fixture, image_memfd(image), -1);

    image_free(image);
    return r;
}

static void assert_refused(struct boot_fixture *fixture, struct image_builder *image, int code,
                           const char *text)
{
    int r = load(fixture, image);

    if (r != -code || !strstr(fixture->message, text))
        print_message("got %d: %s\n", r, fixture->message);
    assert_int_equal(r, -code);
    assert_non_null(strstr(fixture->message, text));
}

static void assert_payload_at(struct boot_fixture *fixture, uint64_t address, size_t offset)
{
    const uint8_t *memory = boot_fixture_at(fixture, address, PAYLOAD + 1);

    for (size_t i = 0; i < PAYLOAD; i++)
        assert_int_equal(memory[i], image_pattern(offset + i));
    assert_int_equal(memory[PAYLOAD], 0);
}

static void test_loads_at_preferred_address(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    assert_int_equal(load(fixture, &image), 0);
    assert_int_equal(fixture->entry.protocol, BOOT_LINUX64);
    assert_int_equal(fixture->entry.rip.value, PREFERRED + 0x200);
    assert_int_equal(fixture->entry.page_tables.value, FIXTURE_PAGE_TABLES);
    assert_true(fixture->entry.is_linux);
    assert_string_equal(fixture->entry.format, "bzImage");
    assert_payload_at(fixture, PREFERRED, IMAGE_BZ_PAYLOAD_OFFSET);
}

/* setup_sects 7 puts the payload at a page boundary, so that it is mapped; 0 means 4. */
static void test_setup_sectors(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    image.bytes[0x1f1] = 7;
    image_put_pattern(&image, 4096, PAYLOAD);
    assert_int_equal(load(fixture, &image), 0);
    assert_payload_at(fixture, PREFERRED, 4096);

    image_put_bzimage(&image, PAYLOAD);
    image.bytes[0x1f1] = 0;
    assert_int_equal(load(fixture, &image), 0);
    assert_payload_at(fixture, PREFERRED, IMAGE_BZ_PAYLOAD_OFFSET);
}

static void test_zero_page(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0}, initrd = {0};
    const uint8_t *page;

    image_put_bzimage(&image, PAYLOAD);
    image_put_pattern(&initrd, 0, 5000);
    memset(guest_memory_at(fixture->memory, gpa(FIXTURE_BOOT_INFO), 4096), 0xee, 4096);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&image), image_memfd(&initrd)), 0);
    page = boot_fixture_at(fixture, fixture->entry.boot_info.value, 4096);

    assert_memory_equal(page + 0x230, image.bytes + 0x230, 0x26c - 0x230);
    assert_int_equal(get_le16(page + 0x206), 0x020f);
    assert_int_equal(page[0x1ef], 0); /* the sentinel: a clean page */
    assert_int_equal(page[0x26c], 0);
    assert_int_equal(page[0x210], 0xff);
    assert_int_equal(get_le32(page + 0x228), FIXTURE_COMMAND_LINE);
    assert_int_equal(get_le64(page + 0x70), FIXTURE_RSDP);
    assert_int_equal(get_le32(page + 0x218), MEMORY_BYTES - 0x2000);
    assert_int_equal(get_le32(page + 0x21c), 5000);
    assert_int_equal(page[0x1e8], 3);
    assert_int_equal(get_le64(page + 0x2d0), 0);
    assert_int_equal(get_le64(page + 0x2d8), 0xa0000);
    assert_int_equal(get_le32(page + 0x2e0), 1);
    assert_int_equal(get_le32(page + 0x2e0 + 20), 3);
    assert_int_equal(get_le64(page + 0x2d0 + 40), 0x100000);
    image_free(&image);
    image_free(&initrd);
}

/* An ELF kernel brings no setup header: the page gets one that Linux accepts. */
static void test_zero_page_of_elf(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};
    const uint8_t *page;

    image_put_kernel(&image, IMAGE_NOTE_LINUX);
    assert_int_equal(load(fixture, &image), 0);
    page = boot_fixture_at(fixture, FIXTURE_BOOT_INFO, 4096);
    assert_int_equal(get_le16(page + 0x1fe), 0xaa55);
    assert_memory_equal(page + 0x202, "HdrS", 4);
    assert_int_equal(get_le32(page + 0x21c), 0);
    assert_int_equal(get_le32(page + 0x238), 2047);
}

/* Every 2 MiB page below 4 GiB maps to itself. */
static void test_identity_map(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    assert_int_equal(load(fixture, &image), 0);
    for (uint64_t address = 0; address < 1ull << 32; address += 2u << 20) {
        uint64_t table = fixture->entry.page_tables.value;

        for (unsigned shift = 39; shift >= 21; shift -= 9) {
            uint64_t at = table + (address >> shift & 511) * 8;
            uint64_t entry = get_le64(boot_fixture_at(fixture, at, 8));

            assert_int_equal(entry & 3, 3);
            assert_int_equal((entry >> 7) & 1, shift == 21);
            table = entry & ~0xfffull;
        }
        assert_int_equal(table, address);
    }
}

static void test_gdt(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};
    const uint8_t *gdt;

    image_put_bzimage(&image, PAYLOAD);
    assert_int_equal(load(fixture, &image), 0);
    gdt = boot_fixture_at(fixture, FIXTURE_GDT, 64);
    assert_int_equal(get_le64(gdt), 0);
    assert_int_equal(get_le64(gdt + 0x10), 0x00af9b000000ffff);
    assert_int_equal(get_le64(gdt + 0x18), 0x00cf93000000ffff);
}

static void test_old_and_foreign_headers(void **state)
{
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    image_put16(&image, 0x206, 0x020b);
    assert_refused(*state, &image, ENOEXEC, "boot protocol is 2.11, 2.12");
    image_put_bzimage(&image, PAYLOAD);
    image_put16(&image, 0x236, 0x007e);
    assert_refused(*state, &image, ENOEXEC, "no 64-bit entry");
    image_put_bzimage(&image, PAYLOAD);
    image.bytes[0x201] = 0x30;
    assert_refused(*state, &image, ENOEXEC, "setup header is corrupt");
    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x230, 0x300000);
    assert_refused(*state, &image, ENOEXEC, "not a power of two");
    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x230, 0);
    assert_refused(*state, &image, ENOEXEC, "not a power of two");
    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x1f4, 0x20);
    assert_refused(*state, &image, ENOEXEC, "no kernel behind");
}

static void test_truncated_anywhere(void **state)
{
    struct image_builder whole = {0};

    image_put_bzimage(&whole, PAYLOAD);
    for (size_t size = 0x206; size < whole.size; size += size < 0x2a0 ? 1 : 4999) {
        struct image_builder image = {0};

        image_put(&image, 0, whole.bytes, size);
        assert_refused(*state, &image, ENOEXEC, "truncated");
    }
    image_free(&whole);
}

static void test_syssize_beyond_file(void **state)
{
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x1f4, UINT32_MAX);
    assert_refused(*state, &image, ENOEXEC, "should have 68719479280 bytes");
}

/* Distributions append signatures behind syssize: they are not loaded and do not disturb. */
static void test_signature_behind(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    image_put(&image, image.size, "signature", 9);
    assert_int_equal(load(fixture, &image), 0);
    assert_payload_at(fixture, PREFERRED, IMAGE_BZ_PAYLOAD_OFFSET);
}

static void test_init_size_needs_memory(void **state)
{
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x260, MEMORY_BYTES - PREFERRED + 1);
    assert_refused(*state, &image, ENOMEM, "the guest has 32 MiB: give it at least 33 MiB");
    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x260, MEMORY_BYTES - PREFERRED);
    assert_int_equal(load(*state, &image), 0);
    image_put_bzimage(&image, PAYLOAD);
    image_put64(&image, 0x258, UINT64_MAX - 0xfffff);
    assert_refused(*state, &image, ENOEXEC, "wraps");
}

/* A relocatable kernel goes up when its place is taken, in steps of its alignment. */
static void test_relocates(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    fixture->options.layout.boot_info = gpa(PREFERRED + 0x1000);
    image_put_bzimage(&image, PAYLOAD);
    assert_int_equal(load(fixture, &image), 0);
    assert_int_equal(fixture->entry.rip.value, PREFERRED + 0x200000 + 0x200);
    assert_payload_at(fixture, PREFERRED + 0x200000, IMAGE_BZ_PAYLOAD_OFFSET);

    image_put_bzimage(&image, PAYLOAD);
    image.bytes[0x234] = 0;
    assert_refused(fixture, &image, ENOMEM, "overlaps");
}

static void test_command_line_limit(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x238, 13);
    assert_int_equal(load(fixture, &image), 0);
    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x238, 12);
    assert_refused(fixture, &image, E2BIG, "it has 13 bytes, this kernel takes at most 12");
}

static void test_initrd_addr_max(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0}, initrd = {0};
    const uint8_t *page;

    image_put_bzimage(&image, PAYLOAD);
    image_put32(&image, 0x22c, 0x7fffff);
    image_put_pattern(&initrd, 0, 0x20000);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&image), image_memfd(&initrd)), 0);
    page = boot_fixture_at(fixture, FIXTURE_BOOT_INFO, 4096);
    assert_int_equal(get_le32(page + 0x218), 0x800000 - 0x20000);
    image_free(&image);
    image_free(&initrd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loads_at_preferred_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_setup_sectors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zero_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zero_page_of_elf, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity_map, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gdt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_and_foreign_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_syssize_beyond_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signature_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_size_needs_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_relocates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_line_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_initrd_addr_max, setup, teardown),
    };

    return cmocka_run_group_tests_name("boot/bzimage", tests, NULL, NULL);
}
