// SPDX-License-Identifier: Apache-2.0
/* boot/elf.c, through boot_load(): entries, notes, segments, and every refusal with its reason. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "tests/harness/boot_fixture.h"
#include "tests/harness/image_builder.h"

#define MEMORY_BYTES (16u << 20)

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

/* Loading fails with -code and a message that has `text` in it. */
static void assert_refused(struct boot_fixture *fixture, struct image_builder *image, int code,
                           const char *text)
{
    int r = load(fixture, image);

    if (r != -code || !strstr(fixture->message, text))
        print_message("got %d: %s\n", r, fixture->message);
    assert_int_equal(r, -code);
    assert_non_null(strstr(fixture->message, text));
    assert_string_equal(fixture->err.where, "kernel");
}

static void test_pvh(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};
    const uint8_t *memory;

    image_put_kernel(&image, IMAGE_NOTE_PVH);
    assert_int_equal(load(fixture, &image), 0);
    assert_int_equal(fixture->entry.protocol, BOOT_PVH);
    assert_int_equal(fixture->entry.rip.value, IMAGE_ELF_BASE + 0x10);
    assert_int_equal(fixture->entry.boot_info.value, FIXTURE_BOOT_INFO);
    assert_int_equal(fixture->entry.page_tables.value, 0);
    assert_false(fixture->entry.is_linux);
    assert_string_equal(fixture->entry.format, "ELF (PVH)");

    memory = boot_fixture_at(fixture, IMAGE_ELF_BASE, IMAGE_ELF_MEMORY);
    for (size_t i = 0; i < IMAGE_ELF_MEMORY; i++)
        assert_int_equal(memory[i], i < IMAGE_ELF_BYTES ? image_pattern(IMAGE_ELF_OFFSET + i) : 0);
}

static void test_is_linux(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_kernel(&image, IMAGE_NOTE_PVH | IMAGE_NOTE_LINUX);
    assert_int_equal(load(fixture, &image), 0);
    assert_true(fixture->entry.is_linux);
    assert_int_equal(fixture->entry.protocol, BOOT_PVH);
}

static void test_linux64_without_note(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_kernel(&image, IMAGE_NOTE_LINUX);
    assert_int_equal(load(fixture, &image), 0);
    assert_int_equal(fixture->entry.protocol, BOOT_LINUX64);
    assert_int_equal(fixture->entry.rip.value, IMAGE_ELF_BASE);
    assert_int_equal(fixture->entry.page_tables.value, FIXTURE_PAGE_TABLES);
    assert_string_equal(fixture->entry.format, "ELF (64-bit Linux)");
}

static void test_virtual_entry_is_translated(void **state)
{
    static const struct image_segment segment = {
        PT_LOAD, 0x1000, 0xffffffff81000000ull, 0x200000, 0x2000, 0x2000, 4096};
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_pattern(&image, 0x1000, 0x2000);
    image_put_elf(&image, 0xffffffff81000123ull, &segment, 1);
    assert_int_equal(load(fixture, &image), 0);
    assert_int_equal(fixture->entry.rip.value, 0x200123);
}

/* A note segment of our own making in front of the standard kernel. */
static void put_kernel_with_notes(struct image_builder *image, size_t note_bytes, uint64_t align)
{
    struct image_segment segments[] = {
        {PT_LOAD, IMAGE_ELF_OFFSET, IMAGE_ELF_BASE, IMAGE_ELF_BASE, IMAGE_ELF_BYTES,
         IMAGE_ELF_BYTES, 4096},
        {PT_NOTE, 0x200, 0, 0, note_bytes, note_bytes, align},
    };

    image_put_pattern(image, IMAGE_ELF_OFFSET, IMAGE_ELF_BYTES);
    image_put_elf(image, 0, segments, 2);
}

static void test_note_layouts(void **state)
{
    static const struct {
        size_t padding;
        uint64_t align;
        uint32_t desc_bytes;
    } layouts[] = {{4, 4, 4}, {4, 4, 8}, {8, 8, 8}, {8, 8, 4}, {4, 8, 4}, {4, 0, 8}, {4, 1, 4}};

    for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
        struct boot_fixture *fixture = *state;
        struct image_builder image = {0};
        size_t end = 0x200;
        uint8_t desc[8];

        put_le64(desc, IMAGE_ELF_BASE + 0x40);
        image_put_note(&image, &end, "GNU", 3, "0123456789abcdefghij", 20, layouts[i].padding);
        image_put_note(&image, &end, "Xen", 18, desc, layouts[i].desc_bytes, layouts[i].padding);
        put_kernel_with_notes(&image, end - 0x200, layouts[i].align);
        assert_int_equal(load(fixture, &image), 0);
        assert_int_equal(fixture->entry.protocol, BOOT_PVH);
        assert_int_equal(fixture->entry.rip.value, IMAGE_ELF_BASE + 0x40);
    }
}

/* The same type number by another owner, or a malformed note, is not an entry. */
static void test_foreign_and_broken_notes(void **state)
{
    struct image_builder image = {0};
    uint8_t desc[4];
    size_t end = 0x200;

    put_le32(desc, IMAGE_ELF_BASE);
    image_put_note(&image, &end, "Xyz", 18, desc, 4, 4);
    put_kernel_with_notes(&image, end - 0x200, 4);
    assert_refused(*state, &image, ENOEXEC, "no PVH note");

    end = 0x200;
    image_put_note(&image, &end, "Xen", 18, desc, 4, 4);
    image_put32(&image, 0x204, 0xffffffff); /* descsz */
    put_kernel_with_notes(&image, end - 0x200, 4);
    assert_refused(*state, &image, ENOEXEC, "no PVH note");

    end = 0x200;
    image_put_note(&image, &end, "Xen", 18, desc, 4, 4);
    image_put32(&image, 0x200, 0xfffffff0); /* namesz */
    put_kernel_with_notes(&image, end - 0x200, 4);
    assert_refused(*state, &image, ENOEXEC, "no PVH note");
}

static void test_pvh_entry_outside(void **state)
{
    struct image_builder image = {0};
    uint8_t desc[4];
    size_t end = 0x200;

    put_le32(desc, IMAGE_ELF_BASE + IMAGE_ELF_BYTES);
    image_put_note(&image, &end, "Xen", 18, desc, 4, 4);
    put_kernel_with_notes(&image, end - 0x200, 4);
    assert_refused(*state, &image, ENOEXEC, "PVH entry 0x110000 is not inside");
}

static void test_foreign_files(void **state)
{
    static const struct {
        uint16_t machine;
        const char *text;
    } foreign[] = {{EM_AARCH64, "for aarch64"}, {EM_RISCV, "for riscv"}, {999, "unknown machine"}};
    struct image_builder image = {0};

    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        image_put_kernel(&image, IMAGE_NOTE_PVH);
        image_put16(&image, 18, foreign[i].machine);
        assert_refused(*state, &image, ENOEXEC, foreign[i].text);
    }
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image.bytes[EI_DATA] = ELFDATA2MSB;
    image_put16(&image, 18, EM_S390 << 8);
    assert_refused(*state, &image, ENOEXEC, "big-endian ELF file for s390x");

    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image.bytes[EI_CLASS] = ELFCLASS32;
    image_put16(&image, 18, EM_386);
    assert_refused(*state, &image, ENOEXEC, "32-bit");

    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image.bytes[EI_CLASS] = ELFCLASS32;
    assert_refused(*state, &image, ENOEXEC, "32-bit");
}

static void test_other_elf_types(void **state)
{
    static const struct image_segment program[] = {
        {PT_INTERP, 0x1000, 0, 0, 16, 16, 1},
        {PT_LOAD, 0x1000, 0x400000, 0x400000, 0x1000, 0x1000, 4096},
    };
    struct image_builder image = {0};

    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put16(&image, 16, ET_REL);
    assert_refused(*state, &image, ENOEXEC, "object file");
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put16(&image, 16, ET_CORE);
    assert_refused(*state, &image, ENOEXEC, "core dump");
    image_put_pattern(&image, 0x1000, 0x1000);
    image_put_elf(&image, 0x400000, program, 2);
    assert_refused(*state, &image, ENOEXEC, "user-space program");
}

static void test_implausible_entry(void **state)
{
    struct image_builder image = {0};

    image_put_kernel(&image, 0);
    image_put64(&image, 24, 0x900000);
    assert_refused(*state, &image, ENOEXEC, "entry 0x900000 is not inside");
}

/* Whatever the length a file is cut at: a clear refusal, never a crash. */
static void test_truncated_anywhere(void **state)
{
    struct image_builder whole = {0};

    image_put_kernel(&whole, IMAGE_NOTE_PVH);
    for (size_t size = 1; size < whole.size; size += size < 0x300 ? 1 : 4093) {
        struct image_builder image = {0};

        image_put(&image, 0, whole.bytes, size);
        assert_refused(*state, &image, ENOEXEC, size < 4 ? "not a kernel" : "truncated");
    }
    image_free(&whole);
}

static void test_corrupt_headers(void **state)
{
    struct image_builder image = {0};

    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put16(&image, offsetof(Elf64_Ehdr, e_phnum), 0);
    assert_refused(*state, &image, ENOEXEC, "no program headers");
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put16(&image, offsetof(Elf64_Ehdr, e_phnum), 0xffff);
    assert_refused(*state, &image, ENOEXEC, "more than 64");
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put16(&image, offsetof(Elf64_Ehdr, e_phentsize), 32);
    assert_refused(*state, &image, ENOEXEC, "program headers are corrupt");
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put64(&image, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 8);
    assert_refused(*state, &image, ENOEXEC, "truncated");
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put64(&image, 64 + offsetof(Elf64_Phdr, p_offset), UINT64_MAX - 8);
    assert_refused(*state, &image, ENOEXEC, "truncated");
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put64(&image, 64 + offsetof(Elf64_Phdr, p_memsz), 0x100);
    assert_refused(*state, &image, ENOEXEC, "larger in the file than in memory");
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    image_put32(&image, 64 + offsetof(Elf64_Phdr, p_type), PT_NULL);
    assert_refused(*state, &image, ENOEXEC, "nothing to load");
}

static void test_segments_outside_memory(void **state)
{
    static const struct {
        uint64_t address, memory_bytes;
        const char *text;
    } cases[] = {
        {MEMORY_BYTES - 0x1000, 0x2000, "give it at least 17 MiB"},
        {0x9f000, 0x2000, "not inside the guest's memory"},
        {UINT64_MAX - 0xfff, 0x2000, "wraps"},
        {0x100000, UINT64_MAX - 0xfffff, "wraps"},
        {1ull << 40, 0x2000, "not inside the guest's memory"},
        {FIXTURE_BOOT_INFO, 0x1000, "overlaps"},
        {FIXTURE_COMMAND_LINE + 0xfff, 0x1000, "overlaps"},
        {FIXTURE_GDT, 0x1000, "overlaps"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct image_segment segments[] = {
            {PT_LOAD, 0x1000, 0, 0x200000, 0x1000, 0x1000, 4096},
            {PT_LOAD, 0x1000, 0, cases[i].address, 0x1000, cases[i].memory_bytes, 4096},
        };
        struct image_builder image = {0};

        image_put_pattern(&image, 0x1000, 0x1000);
        image_put_elf(&image, 0x200000, segments, 2);
        assert_refused(*state, &image, i == 2 || i == 3 ? ENOEXEC : ENOMEM, cases[i].text);
    }
}

/* Two segments too high: the advice is for the higher one. */
static void test_advice_is_for_all_segments(void **state)
{
    static const struct image_segment segments[] = {
        {PT_LOAD, 0x1000, 0, MEMORY_BYTES, 0x1000, 0x1000, 4096},
        {PT_LOAD, 0x1000, 0, 2 * MEMORY_BYTES, 0x1000, 0x1000, 4096},
        {PT_LOAD, 0x1000, 0, MEMORY_BYTES + 0x1000, 0x1000, 0x1000, 4096},
    };
    struct image_builder image = {0};

    image_put_pattern(&image, 0x1000, 0x1000);
    image_put_elf(&image, MEMORY_BYTES, segments, 3);
    assert_refused(*state, &image, ENOMEM, "the guest has 16 MiB: give it at least 33 MiB");
}

static void test_overlapping_segments(void **state)
{
    static const struct image_segment segments[] = {
        {PT_LOAD, 0x1000, 0x100000, 0x100000, 0x1000, 0x2000, 4096},
        {PT_LOAD, 0x1000, 0x101fff, 0x101fff, 0x1000, 0x1000, 4096},
    };
    struct image_builder image = {0};

    image_put_pattern(&image, 0x1000, 0x1000);
    image_put_elf(&image, 0x100000, segments, 2);
    assert_refused(*state, &image, ENOMEM, "overlaps another part");
}

/* Parts that share a page, one large enough to be mapped, keep each other's bytes. */
static void test_segments_sharing_a_page(void **state)
{
    static const struct image_segment segments[] = {
        {PT_LOAD, 0x1000, 0x100000, 0x100000, 0x345, 0x345, 4096},
        {PT_LOAD, 0x2345, 0x100345, 0x100345, 0x30001, 0x30001, 4096},
        {PT_LOAD, 0x1100, 0x130346, 0x130346, 0x10, 0x10, 4096},
    };
    struct boot_fixture *fixture = *state;
    struct image_builder image = {0};

    image_put_pattern(&image, 0x1000, 0x32000);
    image_put_elf(&image, 0x100000, segments, 3);
    assert_int_equal(load(fixture, &image), 0);
    for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
        const uint8_t *memory =
            boot_fixture_at(fixture, segments[i].physical_address, segments[i].file_bytes);

        for (size_t at = 0; at < segments[i].file_bytes; at++)
            assert_int_equal(memory[at], image_pattern(segments[i].offset + at));
    }
}

static void test_shared_memory_is_copied(void **state)
{
    struct boot_fixture fixture;
    struct image_builder image = {0};

    boot_fixture_setup(&fixture, MEMORY_BYTES, GUEST_MEMORY_SHARED);
    image_put_kernel(&image, IMAGE_NOTE_PVH);
    assert_int_equal(load(&fixture, &image), 0);
    assert_int_equal(*boot_fixture_at(&fixture, IMAGE_ELF_BASE + 0x8000, 1),
                     image_pattern(IMAGE_ELF_OFFSET + 0x8000));
    boot_fixture_teardown(&fixture);
}

/* Linux cuts a longer line silently; others get whatever fits into the page. */
static void test_command_line_limits(void **state)
{
    struct boot_fixture *fixture = *state;
    static char line[4097];

    for (size_t len = 2047; len <= 4096; len = len == 2047 ? 2048 : len == 2048 ? 4095 : len + 1) {
        for (int is_linux = 0; is_linux <= 1; is_linux++) {
            struct image_builder image = {0};
            bool fits = len <= (is_linux ? 2047 : 4095);

            memset(line, 'a', len);
            line[len] = '\0';
            fixture->options.command_line = line;
            image_put_kernel(&image, IMAGE_NOTE_PVH | (is_linux ? IMAGE_NOTE_LINUX : 0));
            assert_int_equal(load(fixture, &image), fits ? 0 : -E2BIG);
            if (fits)
                assert_string_equal(
                    (const char *)boot_fixture_at(fixture, FIXTURE_COMMAND_LINE, len + 1), line);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pvh, setup, teardown),
        cmocka_unit_test_setup_teardown(test_is_linux, setup, teardown),
        cmocka_unit_test_setup_teardown(test_linux64_without_note, setup, teardown),
        cmocka_unit_test_setup_teardown(test_virtual_entry_is_translated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_note_layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_and_broken_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pvh_entry_outside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_elf_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_implausible_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_corrupt_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_segments_outside_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_advice_is_for_all_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overlapping_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_segments_sharing_a_page, setup, teardown),
        cmocka_unit_test(test_shared_memory_is_copied),
        cmocka_unit_test_setup_teardown(test_command_line_limits, setup, teardown),
    };

    return cmocka_run_group_tests_name("boot/elf", tests, NULL, NULL);
}
