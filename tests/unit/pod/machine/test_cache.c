// SPDX-License-Identifier: Apache-2.0
/* The cache of files, and what is put into it: RAM disks (initrd.c), kernels (vmlinux.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "pod/machine/cache.h"
#include "pod/machine/initrd.h"
#include "pod/machine/vmlinux.h"

static char top[64];

static const char *below_top(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static bool shell(const char *command)
{
    char line[512];

    snprintf(line, sizeof(line), "cd %s && { %s; }", top, command);
    return system(line) == 0;
}

static int set_up(void **state)
{
    strcpy(top, "/tmp/husk-cache-XXXXXX");
    return mkdtemp(top) ? setenv("XDG_CACHE_HOME", top, 1) : -1;
}

static int tear_down(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

struct maker {
    unsigned calls;
    int fail;
};

static int make(void *arg, int fd, struct husk_error *err)
{
    struct maker *maker = arg;

    maker->calls++;
    assert_int_equal(write(fd, "made", 4), 4);
    return maker->fail;
}

static int look(const char *key, struct maker *maker)
{
    struct digest digest;
    char bytes[5] = "";
    int fd;

    assert_int_equal(digest_of(key, strlen(key), &digest), 0);
    fd = cache_file("kind", &digest, make, maker, NULL);
    if (fd < 0)
        return fd;
    assert_int_equal(pread(fd, bytes, 5, 0), 4);
    assert_string_equal(bytes, "made");
    close(fd);
    return 0;
}

static void makes_a_file_once(void **state)
{
    struct maker maker = {0};

    assert_int_equal(look("a", &maker), 0);
    assert_int_equal(look("a", &maker), 0);
    assert_int_equal(maker.calls, 1);
    assert_int_equal(look("b", &maker), 0);
    assert_int_equal(maker.calls, 2);
    assert_true(shell("test $(ls husk/kind | wc -l) = 2"));
}

static void keeps_nothing_half_made(void **state)
{
    struct maker maker = {.fail = -EIO};

    assert_int_equal(look("a", &maker), -EIO);
    assert_true(shell("test -z \"$(ls husk/kind)\""));
    maker.fail = 0;
    assert_int_equal(look("a", &maker), 0);
}

static void forgets_what_is_not_used(void **state)
{
    struct maker maker = {0};

    assert_int_equal(look("a", &maker), 0);
    assert_int_equal(look("b", &maker), 0);
    assert_true(
        shell("touch -d '40 days ago' husk/kind/*; touch -d '40 days ago' husk/kind/new-7"));
    assert_int_equal(look("b", &maker), 0); /* used today */
    assert_int_equal(look("c", &maker), 0);
    assert_true(shell("test $(ls husk/kind | wc -l) = 2"));
    assert_int_equal(look("b", &maker), 0);
    assert_int_equal(maker.calls, 3);
}

/* Links, and files of others, are not taken for one's own. */
static void takes_no_strange_files(void **state)
{
    struct maker maker = {0};

    assert_int_equal(look("a", &maker), 0);
    assert_true(shell("f=$(ls husk/kind); echo evil >evil; ln -sf ../../evil husk/kind/$f"));
    assert_int_equal(look("a", &maker), 0);
    assert_int_equal(maker.calls, 2);
    assert_true(shell("test $(cat evil) = evil"));
    if (geteuid() != 0)
        return;
    assert_true(shell("chown 1:1 husk/kind/*"));
    assert_int_equal(look("a", &maker), 0);
    assert_int_equal(maker.calls, 3);
}

static void does_without_a_cache(void **state)
{
    struct maker maker = {0};

    assert_true(shell("touch husk")); /* where the directory would be */
    assert_int_equal(look("a", &maker), 0);
    assert_int_equal(look("a", &maker), 0);
    assert_int_equal(maker.calls, 2);
}

/* ---- RAM disks ---- */

static void joins_agent_and_modules(void **state)
{
    struct guest_kernel kernel = {.path = ""};
    const struct initrd_needs none = {.network = false}, network = {.network = true};
    const struct initrd_needs device = {.network = true, .device = "pci:v1d2"};
    struct husk_error err;
    struct stat agent, with;
    int fd;

    assert_true(shell(
        "printf agent >a.cpio; mkdir t; echo k/virtio_net.ko: >t/modules.dep; "
        "mkdir t/k; echo module >t/k/virtio_net.ko; for m in virtio_mmio virtio_blk "
        "virtio-rng vmw_vsock_virtio_transport erofs overlay ext4 pvpanic-mmio virtio_balloon "
        "af_packet; do echo $m.ko; done >t/modules.builtin"));
    setenv("HUSK_AGENT", below_top("a.cpio"), 1);
    fd = initrd_open(&kernel, &network, &err); /* nothing to add */
    assert_int_equal(fstat(fd, &agent), 0);
    assert_int_equal(agent.st_size, 5);
    close(fd);

    snprintf(kernel.modules, sizeof(kernel.modules), "%s/t", top);
    fd = initrd_open(&kernel, &network, &err);
    assert_int_equal(fstat(fd, &with), 0);
    close(fd);
    assert_true(shell("f=husk/initrd/*; test \"$(head -c 5 $f)\" = agent && "
                      "tail -c +9 $f | grep -q virtio_net.ko"));
    /* With the driver of a device, which must be there. */
    assert_int_equal(initrd_open(&kernel, &device, &err), -ENOENT);
    assert_true(shell("echo alias 'pci:v1d*' vf >t/modules.alias; echo k/vf.ko: >>t/modules.dep; "
                      "echo driver >t/k/vf.ko; echo virtio_pci.ko >>t/modules.builtin"));
    fd = initrd_open(&kernel, &device, &err);
    assert_true(fd >= 0);
    close(fd);
    assert_true(shell("grep -q modules/vf.ko husk/initrd/* && rm -r husk/initrd"));
    close(initrd_open(&kernel, &network, &err));
    fd = initrd_open(&kernel, &none, &err);
    assert_true(fd >= 0);
    close(fd);
    assert_true(shell("test $(ls husk/initrd | wc -l) = 2"));
    /* A new agent has a file of its own. */
    assert_true(shell("printf another >a.cpio"));
    close(initrd_open(&kernel, &none, &err));
    assert_true(shell("test $(ls husk/initrd | wc -l) = 3"));

    assert_true(shell("rm t/modules.builtin"));
    assert_true(shell("echo '' >>t/modules.dep"));
    assert_int_equal(initrd_open(&kernel, &none, &err), -ENOENT);
    setenv("HUSK_AGENT", "/nowhere", 1);
    assert_int_equal(initrd_open(&kernel, &none, &err), -ENOENT);
    assert_string_equal(err.where, "/nowhere");
}

/* ---- kernels ---- */

/* A bzImage with the file "payload" in it, as the kernel's build puts it there. */
static void write_bzimage(unsigned claimed)
{
    uint8_t header[1024] = {0};
    struct stat info;
    FILE *file;

    assert_int_equal(stat(below_top("payload"), &info), 0);
    header[0x1f1] = 1;
    put_le32(header + 0x202, 0x53726448);
    put_le16(header + 0x206, 0x20f);
    put_le32(header + 0x248, 16);
    put_le32(header + 0x24c, claimed ? claimed : (uint32_t)info.st_size);
    file = fopen(below_top("bz"), "we");
    assert_int_equal(fwrite(header, 1, sizeof(header), file), sizeof(header));
    assert_int_equal(fclose(file), 0);
    assert_true(shell("printf 0123456789abcdef >>bz; cat payload >>bz; printf behind >>bz"));
}

static int unpacks(void)
{
    struct husk_error err;
    int fd = vmlinux_open(below_top("bz"), &err);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static void takes_kernels_out(void **state)
{
    static const char *const ways[] = {"xz", "gzip", "bzip2"};

    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        char command[300];

        snprintf(command, sizeof(command), "command -v %s >/dev/null", ways[i]);
        if (!shell(command))
            continue;
        snprintf(command, sizeof(command),
                 "rm -rf husk bz; { printf '\\177ELF'; head -c 300000 /dev/zero; printf end; } "
                 ">elf; { %s <elf; printf 'size'; } >payload",
                 ways[i]);
        assert_true(shell(command));
        write_bzimage(0);
        assert_int_equal(unpacks(), 0);
        assert_true(shell("cmp elf husk/vmlinux/*"));
        assert_int_equal(unpacks(), 0);
        assert_true(shell("test $(ls husk/vmlinux | wc -l) = 1"));
    }
}

static void leaves_other_files_as_they_are(void **state)
{
    assert_true(shell("printf '\\177ELF' >bz"));
    assert_int_equal(unpacks(), -ENOTSUP); /* an ELF file already */
    assert_true(shell("rm bz"));
    assert_int_equal(unpacks(), -ENOENT);
    assert_true(shell("{ head -c 300000 /dev/zero | gzip; printf size; } >payload"));
    write_bzimage(0);
    assert_int_equal(unpacks(), -ENOTSUP); /* not a kernel */
    assert_true(shell("{ printf '\\177ELF'; head -c 300000 /dev/urandom; } | gzip | "
                      "head -c 100000 >payload"));
    write_bzimage(0);
    assert_int_equal(unpacks(), -ENOTSUP); /* cut */
    write_bzimage(0x7fffffff);
    assert_int_equal(unpacks(), -ENOTSUP); /* behind the end */
    write_bzimage(3);
    assert_int_equal(unpacks(), -ENOTSUP);
    assert_true(shell("test -z \"$(ls husk/vmlinux)\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_a_file_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_nothing_half_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgets_what_is_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_no_strange_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_without_a_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(joins_agent_and_modules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_kernels_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_other_files_as_they_are, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
