// SPDX-License-Identifier: Apache-2.0
/* Headers of programs, hostile ones too; files that are no programs are in tests/e2e/test_jail.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "jail/program.h"

struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
};

static struct image make_image(void)
{
    struct image image = {
        .header = {.e_type = ET_DYN,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 2},
        .segments = {{.p_type = PT_LOAD}, {.p_type = PT_DYNAMIC}},
    };

    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    return image;
}

static int check(const void *bytes, size_t len, struct husk_error *err)
{
    char path[] = "/tmp/husk-program-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC), ret;
    struct program program;

    assert_true(fd >= 0);
    assert_int_equal(write_full(fd, bytes, len), 0);
    assert_int_equal(fchmod(fd, 0500), 0);
    close(fd);
    ret = program_open(path, &program, err);
    if (!ret) {
        assert_false(program.own);
        assert_string_equal(program.name, path + 5);
        assert_true(program.fd >= 0);
        program_close(&program);
    }
    assert_int_equal(program.fd, -1);
    unlink(path);
    return ret;
}

static void test_static_program(void **state)
{
    struct image image = make_image();
    struct husk_error err;

    assert_int_equal(check(&image, sizeof(image), &err), 0);
    image.header.e_type = ET_EXEC;
    assert_int_equal(check(&image, sizeof(image), &err), 0);
}

static void test_dynamic_program(void **state)
{
    struct image image = make_image();
    struct husk_error err;

    image.segments[1].p_type = PT_INTERP;
    assert_int_equal(check(&image, sizeof(image), &err), -ENOEXEC);
    assert_non_null(strstr(err.why, "dynamically linked"));
}

static void test_hostile_headers(void **state)
{
    struct image image;
    struct husk_error err;

    for (size_t len = 0; len < sizeof(image); len++) {
        image = make_image();
        assert_int_equal(check(&image, len, &err), -ENOEXEC);
    }
#define REFUSED(change)                                                 \
    do {                                                                \
        image = make_image();                                           \
        image.header.change;                                            \
        assert_int_equal(check(&image, sizeof(image), &err), -ENOEXEC); \
    } while (0)
    REFUSED(e_ident[EI_CLASS] = ELFCLASS32);
    REFUSED(e_ident[EI_DATA] = ELFDATA2MSB);
    REFUSED(e_machine = EM_AARCH64);
    REFUSED(e_type = ET_CORE);
    REFUSED(e_type = ET_REL);
    REFUSED(e_phentsize = 1);
    REFUSED(e_phnum = 0);
    REFUSED(e_phnum = 3);
    REFUSED(e_phnum = 0xffff);
    REFUSED(e_phoff = sizeof(image));
    REFUSED(e_phoff = UINT64_MAX);
    REFUSED(e_phoff = UINT64_MAX - sizeof(Elf64_Phdr));
    REFUSED(e_phoff = INT64_MAX);
#undef REFUSED
}

static void test_own_program(void **state)
{
    struct husk_error err;
    struct program program;

    assert_int_equal(program_open("/proc/self/exe", &program, &err), 0);
    assert_true(program.own);
    assert_string_equal(program.name, "exe");
    program_close(&program);
    program_close(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_static_program),
        cmocka_unit_test(test_dynamic_program),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_own_program),
    };

    return cmocka_run_group_tests_name("jail/program", tests, NULL, NULL);
}
