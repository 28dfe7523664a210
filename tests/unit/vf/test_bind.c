// SPDX-License-Identifier: Apache-2.0
/* Binding and giving back on a fake sysfs, also when the process dies at any of its steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vf/change.h"
#include "tests/harness/fake_pci.h"

static int set_up(void **state)
{
    const struct fake_pci *fake;
    struct husk_error err = {0};
    int ret = fake_pci_set_up(state);

    fake = *state;
    return ret ? ret : vf_create(&fake->host, FAKE_PF, 2, &err);
}

static void expect_driver(const struct fake_pci *fake, const char *address, const char *driver)
{
    char found[64];

    fake_pci_driver(fake, address, found);
    assert_string_equal(found, driver);
}

static void expect_as_found(const struct fake_pci *fake)
{
    char path[128], override[64];

    expect_driver(fake, FAKE_VF, "igbvf");
    assert_int_equal(sysfs_read(fake->host.sysfs, override, sizeof(override),
                                "bus/pci/devices/" FAKE_VF "/driver_override"),
                     0);
    assert_string_equal(override, "(null)");
    snprintf(path, sizeof(path), "%s/vf/" FAKE_VF, fake->state);
    assert_int_equal(access(path, F_OK), -1);
}

static void expect_refusal(int ret, int code, const struct husk_error *err, const char *text)
{
    assert_int_equal(ret, -code);
    if (!strstr(err->why, text))
        fail_msg("\"%s: %s\" does not say \"%s\"", err->what, err->why, text);
}

static void test_there_and_back(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    assert_int_equal(vf_bind(&fake->host, FAKE_VF, &err), 0);
    expect_driver(fake, FAKE_VF, "vfio-pci");
    expect_driver(fake, "0000:01:10.1", "igbvf");
    assert_int_equal(vf_bind(&fake->host, FAKE_VF, &err), VF_ALREADY);
    assert_int_equal(vf_unbind(&fake->host, FAKE_VF, &err), 0);
    expect_as_found(fake);
    assert_int_equal(vf_unbind(&fake->host, FAKE_VF, &err), VF_ALREADY);
}

static void test_without_driver(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    fake->host.store(fake, "/unbind", FAKE_VF);
    assert_int_equal(vf_bind(&fake->host, FAKE_VF, &err), 0);
    assert_int_equal(vf_unbind(&fake->host, FAKE_VF, &err), 0);
    expect_driver(fake, FAKE_VF, "");
}

/* Dead in place of its Nth write, for every N: the same call again ends it, or the opposite one. */
static void die_in(struct fake_pci *fake,
                   int (*call)(const struct vf_host *, const char *, struct husk_error *),
                   unsigned at)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        fake->stores = 0;
        fake->die_at = at;
        call(&fake->host, FAKE_VF, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
}

static void test_killed(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    for (unsigned at = 1; at <= 4; at++) {
        die_in(fake, vf_bind, at);
        assert_int_equal(vf_unbind(&fake->host, FAKE_VF, &err), 0);
        expect_as_found(fake);

        die_in(fake, vf_bind, at);
        assert_true(vf_bind(&fake->host, FAKE_VF, &err) >= 0);
        expect_driver(fake, FAKE_VF, "vfio-pci");

        die_in(fake, vf_unbind, at);
        assert_true(vf_unbind(&fake->host, FAKE_VF, &err) >= 0);
        expect_as_found(fake);
    }
}

/* A record that was being written goes with the next look at the records. */
static void test_unfinished_record(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/vf/.new", fake->state);
    file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(vf_unbind(&fake->host, FAKE_VF, &err), VF_ALREADY);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_probe_fails(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    fake->vfio_refuses = true;
    expect_refusal(vf_bind(&fake->host, FAKE_VF, &err), ENODEV, &err, "kernel's log");
    expect_as_found(fake);
}

static void test_refusals(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    expect_refusal(vf_bind(&fake->host, "0000:09:00.0", &err), ENODEV, &err, "husk vf list");
    expect_refusal(vf_bind(&fake->host, "0000:02:00.0", &err), ENODEV, &err, "IOMMU is off");
    expect_refusal(vf_bind(&fake->host, "0000:00:01.0", &err), EINVAL, &err, "endpoints");
    expect_refusal(vf_bind(&fake->host, FAKE_PF, &err), EBUSY, &err, "husk vf remove");
    fake_pci_file(fake, "0x1003\n", "class/net/vf0/flags");
    expect_refusal(vf_bind(&fake->host, FAKE_VF, &err), EBUSY, &err, "ip link set vf0 down");
    fake_pci_file(fake, "0x1002\n", "class/net/vf0/flags");
    assert_int_equal(
        rmdir(strcat(strcpy((char[128]){0}, fake->sysfs), "/bus/pci/drivers/vfio-pci")), 0);
    expect_refusal(vf_bind(&fake->host, FAKE_VF, &err), ENODEV, &err, "modprobe vfio-pci");
    expect_as_found(fake);
}

static void test_foreign(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    fake_pci_file(fake, "vfio-pci\n", "bus/pci/devices/" FAKE_VF "/driver_override");
    fake->host.store(fake, "/unbind", FAKE_VF);
    fake->host.store(fake, "/drivers_probe", FAKE_VF);
    assert_int_equal(vf_bind(&fake->host, FAKE_VF, &err), VF_ALREADY);
    expect_refusal(vf_unbind(&fake->host, FAKE_VF, &err), ENOENT, &err, "no record");
    expect_driver(fake, FAKE_VF, "vfio-pci");
}

static void test_damaged_record(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};
    static const char *const texts[] = {
        "",
        "husk-vf 2\ndriver igbvf\noverride -\n",
        "husk-vf 1\ndriver ../../x\noverride -\n",
        "husk-vf 1\ndriver \noverride -\n",
        "husk-vf 1\ndriver igbvf\n",
        "husk-vf 1\ndriver igbvf\noverride -\nmore\n",
    };

    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fake_pci_file(fake, texts[i], "../state/vf/" FAKE_VF);
        expect_refusal(vf_bind(&fake->host, FAKE_VF, &err), EPROTO, &err, "remove ");
        expect_refusal(vf_unbind(&fake->host, FAKE_VF, &err), EPROTO, &err, "remove ");
        expect_driver(fake, FAKE_VF, "igbvf");
    }
}

static void test_group(void **state)
{
    struct fake_pci *fake = *state;
    struct pci_function function, other;

    assert_int_equal(pci_function_read(&fake->host, FAKE_VF, &function), 0);
    assert_false(vf_group_blocker(&fake->host, &function, &other));
    fake_pci_directory(fake, "kernel/iommu_groups/10/devices/0000:00:01.0");
    assert_false(vf_group_blocker(&fake->host, &function, &other));
    fake_pci_directory(fake, "kernel/iommu_groups/10/devices/0000:01:10.1");
    assert_true(vf_group_blocker(&fake->host, &function, &other));
    assert_string_equal(other.address, "0000:01:10.1");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, fake_pci_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_there_and_back),    CASE(test_without_driver), CASE(test_killed),
        CASE(test_unfinished_record), CASE(test_probe_fails),    CASE(test_refusals),
        CASE(test_foreign),           CASE(test_damaged_record), CASE(test_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
