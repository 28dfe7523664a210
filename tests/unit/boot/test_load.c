// SPDX-License-Identifier: Apache-2.0
/* boot/load.c, image.c and pvh.c: recognising files, the initrd's place, the PVH start info. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

static void assert_message(struct boot_fixture *fixture, const char *text)
{
    if (!strstr(fixture->message, text))
        print_message("got: %s\n", fixture->message);
    assert_non_null(strstr(fixture->message, text));
    assert_int_equal(fixture->err.code > 0, 1);
}

static void test_names_what_is_no_kernel(void **state)
{
    static const struct {
        size_t offset;
        size_t len;
        const char *bytes;
        const char *text;
    } files[] = {
        {0, 6, "\xfd\x37zXZ\0", "xz-compressed"},
        {0, 4, "\x5d\0\0\x80", "lzma-compressed"},
        {0, 4, "\x02\x21\x4c\x18", "lz4-compressed"},
        {0, 4, "BZh9", "bzip2-compressed"},
        {0x38, 4, "ARMd", "aarch64"},
        {0, 6, "070701", "cpio archive, perhaps the initrd"},
        {0, 4, "QFI\xfb", "qcow2"},
        {0, 11, "#!/bin/bash", "script"},
        {0, 2, "MZ", "EFI or Windows program"},
        {0x1fe, 2, "\x55\xaa", "disk image or a boot sector"},
        {0, 5, "hello", "neither an ELF file nor a Linux bzImage"},
    };
    struct boot_fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct image_builder image = {0};

        image_put(&image, files[i].offset, files[i].bytes, files[i].len);
        assert_int_equal(boot_fixture_load(fixture, image_memfd(&image), -1), -ENOEXEC);
        assert_message(fixture, files[i].text);
        image_free(&image);
    }
}

static void test_files_that_cannot_be_read(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder empty = {0}, kernel = {0};
    int pipe_fds[2];

    assert_int_equal(boot_fixture_load(fixture, image_memfd(&empty), -1), -ENOEXEC);
    assert_message(fixture, "kernel: cannot load the kernel: the file is empty");
    assert_int_equal(boot_fixture_load(fixture, open("/", O_RDONLY | O_CLOEXEC), -1), -EISDIR);
    assert_message(fixture, "it is a directory");
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    assert_int_equal(boot_fixture_load(fixture, pipe_fds[0], -1), -EINVAL);
    assert_message(fixture, "not a regular file");
    close(pipe_fds[1]);
    assert_int_equal(boot_fixture_load(fixture, -1, -1), -EBADF);

    image_put_kernel(&kernel, IMAGE_NOTE_PVH);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), image_memfd(&empty)),
                     -ENOEXEC);
    assert_message(fixture, "initrd: cannot load the initrd: the file is empty");
    image_free(&kernel);
}

static void test_compressed(void **state)
{
    static const struct {
        void (*compress)(struct image_builder *image);
        const char *elf, *bzimage;
    } formats[] = {
        {image_gzip, "gzip-compressed ELF (PVH)", "gzip-compressed bzImage"},
        {image_zstd, "zstd-compressed ELF (PVH)", "zstd-compressed bzImage"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        struct boot_fixture fixture;
        struct image_builder image = {0};

        boot_fixture_setup(&fixture, 32u << 20, GUEST_MEMORY_PRIVATE);
        image_put_kernel(&image, IMAGE_NOTE_PVH);
        formats[i].compress(&image);
        assert_int_equal(boot_fixture_load(&fixture, image_memfd(&image), -1), 0);
        assert_string_equal(fixture.entry.format, formats[i].elf);
        for (size_t at = 0; at < IMAGE_ELF_BYTES; at++)
            assert_int_equal(*boot_fixture_at(&fixture, IMAGE_ELF_BASE + at, 1),
                             image_pattern(IMAGE_ELF_OFFSET + at));

        formats[i].compress(&image);
        assert_int_equal(boot_fixture_load(&fixture, image_memfd(&image), -1), -ENOEXEC);
        assert_message(&fixture, "compressed twice");
        image_free(&image);

        image_put_bzimage(&image, 0x20000);
        formats[i].compress(&image);
        assert_int_equal(boot_fixture_load(&fixture, image_memfd(&image), -1), 0);
        assert_string_equal(fixture.entry.format, formats[i].bzimage);
        image_free(&image);
        boot_fixture_teardown(&fixture);
    }
}

static void test_pvh_start_info(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder kernel = {0}, initrd = {0};
    const uint8_t *info, *module, *map;

    image_put_kernel(&kernel, IMAGE_NOTE_PVH);
    image_put_pattern(&initrd, 0, 0x12345);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), image_memfd(&initrd)), 0);
    info = boot_fixture_at(fixture, fixture->entry.boot_info.value, 56);
    assert_int_equal(get_le32(info), 0x336ec578);
    assert_int_equal(get_le32(info + 4), 1);
    assert_int_equal(get_le32(info + 12), 1);
    assert_int_equal(get_le64(info + 24), FIXTURE_COMMAND_LINE);
    assert_int_equal(get_le64(info + 32), FIXTURE_RSDP);
    assert_int_equal(get_le32(info + 48), 3);
    module = boot_fixture_at(fixture, get_le64(info + 16), 32);
    assert_int_equal(get_le64(module), MEMORY_BYTES - 0x13000);
    assert_int_equal(get_le64(module + 8), 0x12345);
    map = boot_fixture_at(fixture, get_le64(info + 40), 3 * 24);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get_le64(map + i * 24), fixture->ranges[i].base.value);
        assert_int_equal(get_le64(map + i * 24 + 8), fixture->ranges[i].size);
        assert_int_equal(get_le32(map + i * 24 + 16), fixture->ranges[i].kind);
    }
    assert_string_equal((const char *)boot_fixture_at(fixture, FIXTURE_COMMAND_LINE, 14),
                        "console=ttyS0");
    image_free(&kernel);
    image_free(&initrd);
}

/* Without initrd the info of an earlier load does not shine through. */
static void test_pvh_without_initrd(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder kernel = {0};
    const uint8_t *info;

    image_put_kernel(&kernel, IMAGE_NOTE_PVH);
    fixture->options.command_line = NULL;
    memset(guest_memory_at(fixture->memory, gpa(FIXTURE_BOOT_INFO), 8192), 0xee, 8192);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), -1), 0);
    info = boot_fixture_at(fixture, FIXTURE_BOOT_INFO, 56);
    assert_int_equal(get_le32(info + 12), 0);
    assert_int_equal(get_le64(info + 16), 0);
    assert_int_equal(*boot_fixture_at(fixture, FIXTURE_COMMAND_LINE, 1), 0);
    image_free(&kernel);
}

/* The initrd of every size is whole, and the rest of its last page is zero. */
static void test_initrd_sizes(void **state)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 65535, 65536, 65537, 200000, 262144};

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (int backing = GUEST_MEMORY_PRIVATE; backing <= GUEST_MEMORY_SHARED; backing++) {
            struct boot_fixture fixture;
            struct image_builder kernel = {0}, initrd = {0};
            size_t pages = (sizes[i] + 4095) / 4096 * 4096;
            const uint8_t *memory;

            boot_fixture_setup(&fixture, MEMORY_BYTES, (enum guest_memory_backing)backing);
            fixture.options.layout.initrd_limit = gpa(MEMORY_BYTES - 0x1234);
            image_put_kernel(&kernel, IMAGE_NOTE_PVH);
            image_put_pattern(&initrd, 0, sizes[i]);
            assert_int_equal(
                boot_fixture_load(&fixture, image_memfd(&kernel), image_memfd(&initrd)), 0);
            memory = boot_fixture_at(&fixture, MEMORY_BYTES - 0x2000 - pages, pages + 0x2000);
            for (size_t at = 0; at < pages + 0x2000; at++)
                assert_int_equal(memory[at], at < sizes[i] ? image_pattern(at) : 0);
            image_free(&kernel);
            image_free(&initrd);
            boot_fixture_teardown(&fixture);
        }
    }
}

/* A kernel at the top of memory: the initrd goes below it, never into it. */
static void test_initrd_avoids_kernel(void **state)
{
    static const struct image_segment segment = {1,      0x1000,   0,   MEMORY_BYTES - 0x200000,
                                                 0x1000, 0x200000, 4096};
    struct boot_fixture *fixture = *state;
    struct image_builder kernel = {0}, initrd = {0};
    const uint8_t *page;

    image_put_pattern(&kernel, 0x1000, 0x1000);
    image_put_elf(&kernel, MEMORY_BYTES - 0x200000, &segment, 1);
    image_put_pattern(&initrd, 0, 0x20001);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), image_memfd(&initrd)), 0);
    page = boot_fixture_at(fixture, FIXTURE_BOOT_INFO, 4096);
    assert_int_equal(get_le32(page + 0x218), MEMORY_BYTES - 0x200000 - 0x21000);
    image_free(&kernel);
    image_free(&initrd);
}

static void test_initrd_too_large(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder kernel = {0};
    int fd;

    image_put_kernel(&kernel, IMAGE_NOTE_PVH);
    fd = memfd_create("initrd", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 20 << 20), 0);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), fd), -ENOMEM);
    assert_message(fixture, "initrd: cannot load the initrd: it has 20 MiB, which does not fit "
                            "beside the kernel into the guest's 16 MiB of memory: give it at "
                            "least 22 MiB");

    /* What the message says is enough. */
    boot_fixture_teardown(fixture);
    boot_fixture_setup(fixture, 22u << 20, GUEST_MEMORY_PRIVATE);
    fd = memfd_create("initrd", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 20 << 20), 0);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), fd), 0);

    /* A file larger than any memory. */
    fd = memfd_create("initrd", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, INT64_MAX), 0);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), fd), -ENOMEM);
    assert_message(fixture, "there is no such room");
    image_free(&kernel);
}

static void test_layout_without_room_for_tables(void **state)
{
    struct boot_fixture *fixture = *state;
    struct image_builder kernel = {0};

    image_put_kernel(&kernel, IMAGE_NOTE_PVH);
    fixture->options.layout.command_line = fixture->options.layout.boot_info;
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), -1), -EBUSY);
    fixture->options.layout.command_line = gpa(0xa0000);
    assert_int_equal(boot_fixture_load(fixture, image_memfd(&kernel), -1), -EFAULT);
    assert_message(fixture, "memory layout");
    image_free(&kernel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_what_is_no_kernel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, setup, teardown),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test_setup_teardown(test_pvh_start_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pvh_without_initrd, setup, teardown),
        cmocka_unit_test(test_initrd_sizes),
        cmocka_unit_test_setup_teardown(test_initrd_avoids_kernel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_initrd_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layout_without_room_for_tables, setup, teardown),
    };

    return cmocka_run_group_tests_name("boot/load", tests, NULL, NULL);
}
