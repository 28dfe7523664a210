// SPDX-License-Identifier: Apache-2.0
/* A pod's hold on a function of a fake card: claims, the record, and the way to vfio-pci and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pod/network/vf_hold.h"
#include "tests/harness/fake_pci.h"
#include "vf/change.h"

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

static struct fake_pci fake;
static struct network_state network;

static int set_up(void **state)
{
    struct husk_error err;

    fake_pci_make(&fake);
    network.vfs = open(fake.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return network.vfs < 0 ? -1 : vf_create(&fake.host, FAKE_PF, 2, &err);
}

static int tear_down(void **state)
{
    close(network.vfs);
    fake_pci_remove(&fake);
    return 0;
}

static int choose(const char *id, struct vf_hold *hold, struct husk_error *err)
{
    *hold = (struct vf_hold){.pf = FAKE_PF, .name = "pf0"};
    return vf_hold_choose(&fake.host, &network, id, hold, err);
}

static void no_two_have_one(void **state)
{
    struct vf_hold one, two, three;
    struct husk_error err;

    assert_int_equal(choose(ONE, &one, &err), 0);
    assert_int_equal(choose(TWO, &two, &err), 0);
    assert_string_equal(one.function, FAKE_VF);
    assert_int_equal(one.index, 0);
    assert_string_equal(two.function, "0000:01:10.1");
    assert_int_equal(two.index, 1);
    assert_int_equal(choose("3333", &three, &err), -EBUSY);
    assert_string_equal(err.where, "pf0");
    assert_int_equal(network_unclaim(network.vfs, ONE), 0);
    assert_int_equal(choose("3333", &three, &err), 0);
    assert_int_equal(three.index, 0);
}

static void goes_and_comes_back(void **state)
{
    struct vf_hold hold;
    struct husk_error err;
    char driver[64];

    assert_int_equal(choose(ONE, &hold, &err), 0);
    assert_int_equal(vf_hold_return(&fake.host, &hold, &err), 0); /* it is here still */
    assert_int_equal(vf_hold_bind(&fake.host, &hold, &err), 0);
    fake_pci_driver(&fake, FAKE_VF, driver);
    assert_string_equal(driver, "vfio-pci");
    assert_int_equal(vf_hold_bind(&fake.host, &hold, &err), -EALREADY);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vf_hold_return(&fake.host, &hold, &err), 0);
        fake_pci_driver(&fake, FAKE_VF, driver);
        assert_string_equal(driver, "igbvf");
    }
    assert_int_equal(vf_remove(&fake.host, FAKE_PF, &err), 0);
    assert_int_equal(vf_hold_return(&fake.host, &hold, &err), 0);
}

static void expect_home(void)
{
    char path[128], text[64];

    fake_pci_driver(&fake, FAKE_VF, text);
    assert_string_equal(text, "igbvf");
    assert_int_equal(sysfs_read(fake.host.sysfs, text, sizeof(text),
                                "bus/pci/devices/" FAKE_VF "/driver_override"),
                     0);
    assert_string_equal(text, "(null)");
    snprintf(path, sizeof(path), "%s/vf/" FAKE_VF, fake.state);
    assert_int_equal(access(path, F_OK), -1);
}

/* Dead in place of its Nth write; false when it came to its end. */
static bool dies(int (*call)(const struct vf_host *, const struct vf_hold *, struct husk_error *),
                 const struct vf_hold *hold, unsigned at)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        fake.stores = 0;
        fake.die_at = at;
        (void)call(&fake.host, hold, NULL);
        _exit(fake.stores < at ? 42 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) != 42;
}

static void killed_at_each_step(void **state)
{
    struct vf_hold hold;
    struct husk_error err;
    unsigned up = 1, down = 1;

    assert_int_equal(choose(ONE, &hold, &err), 0);
    for (; dies(vf_hold_bind, &hold, up); up++) {
        assert_int_equal(vf_hold_return(&fake.host, &hold, &err), 0);
        expect_home();
    }
    for (; dies(vf_hold_return, &hold, down); down++) {
        assert_int_equal(vf_hold_return(&fake.host, &hold, &err), 0);
        expect_home();
        assert_int_equal(vf_hold_bind(&fake.host, &hold, &err), 0);
    }
    expect_home();
    assert_true(up > 3 && down > 3);
}

/* It stays where it is, for `husk vf unbind` to give it back some day. */
static void the_driver_is_gone(void **state)
{
    char path[128], driver[64];
    struct vf_hold hold;
    struct husk_error err;

    assert_int_equal(choose(ONE, &hold, &err), 0);
    assert_int_equal(vf_hold_bind(&fake.host, &hold, &err), 0);
    snprintf(path, sizeof(path), "%s/bus/pci/drivers/igbvf", fake.sysfs);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(vf_hold_return(&fake.host, &hold, &err), -ENODEV);
    assert_non_null(strstr(err.why, "igbvf is missing"));
    fake_pci_driver(&fake, FAKE_VF, driver);
    assert_string_equal(driver, "vfio-pci");
    fake_pci_directory(&fake, "bus/pci/drivers/igbvf");
    assert_int_equal(vf_unbind(&fake.host, FAKE_VF, &err), 0);
    expect_home();
}

static void a_group_of_two(void **state)
{
    struct vf_hold hold;
    struct husk_error err;

    fake_pci_function(&fake, "0000:03:00.0", "0x020000\n", "e1000", 10);
    fake_pci_directory(&fake, "kernel/iommu_groups/10/devices/0000:03:00.0");
    assert_int_equal(choose(ONE, &hold, &err), 0);
    assert_int_equal(vf_hold_bind(&fake.host, &hold, &err), -EBUSY);
    assert_non_null(strstr(err.why, "not viable: 0000:03:00.0 in it has driver e1000"));
}

static void a_record_is_read_as_written(void **state)
{
    const struct vf_hold hold = {.pf = FAKE_PF,
                                 .name = "pf0",
                                 .function = FAKE_VF,
                                 .index = 5,
                                 .before = {.known = VF_MAC | VF_RATE | VF_TRUST | VF_SPOOFCHK,
                                            .mac = {2, 0, 0, 0, 0, 5},
                                            .rate_mbit = UINT32_MAX,
                                            .spoofchk = true}};
    struct vf_hold none = hold, got;
    struct husk_error err;
    json_t *object = vf_hold_encode(&hold);

    assert_int_equal(vf_hold_decode(object, "file", &got, &err), 0);
    json_decref(object);
    assert_string_equal(got.pf, hold.pf);
    assert_string_equal(got.name, hold.name);
    assert_string_equal(got.function, hold.function);
    assert_int_equal(got.index, 5);
    assert_int_equal(got.before.known, hold.before.known);
    assert_memory_equal(got.before.mac, hold.before.mac, 6);
    assert_int_equal(got.before.rate_mbit, UINT32_MAX);
    assert_true(got.before.spoofchk && !got.before.trust);
    /* A driver that tells nothing but that there is no address. */
    none.before = (struct vf_settings){.known = VF_MAC | VF_VLAN};
    object = vf_hold_encode(&none);
    assert_int_equal(vf_hold_decode(object, "file", &got, &err), 0);
    json_decref(object);
    assert_int_equal(got.before.known, VF_MAC);
}

static void a_stranger_wrote_it(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"pf\": \"../..\", \"name\": \"n\", \"function\": \"0000:01:10.0\", \"index\": 0, "
        "\"before\": {}}",
        "{\"pf\": \"0000:01:00.0\", \"name\": \"n\", \"function\": \"10\", \"index\": 0, "
        "\"before\": {}}",
        "{\"pf\": \"0000:01:00.0\", \"name\": \"n\\u0007\", \"function\": \"0000:01:10.0\", "
        "\"index\": 0, \"before\": {}}",
        "{\"pf\": \"0000:01:00.0\", \"name\": \"n\", \"function\": \"0000:01:10.0\", \"index\": "
        "4096, \"before\": {}}",
        "{\"pf\": \"0000:01:00.0\", \"name\": \"n\", \"function\": \"0000:01:10.0\", \"index\": "
        "0, \"before\": {\"mac\": \"01:00:00:00:00:00\"}}",
        "{\"pf\": \"0000:01:00.0\", \"name\": \"n\", \"function\": \"0000:01:10.0\", \"index\": "
        "0, \"before\": {\"rate\": -1}}",
        "{\"pf\": \"0000:01:00.0\", \"name\": \"n\", \"function\": \"0000:01:10.0\", \"index\": "
        "0, \"before\": {\"trust\": 1}}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *object = json_loads(texts[i], 0, NULL);
        struct husk_error err = {0};
        struct vf_hold hold;

        assert_non_null(object);
        assert_int_equal(vf_hold_decode(object, "file", &hold, &err), i == 4 ? -ERANGE : -EINVAL);
        assert_string_equal(err.where, "file");
        json_decref(object);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(no_two_have_one),     CASE(goes_and_comes_back),
                                       CASE(killed_at_each_step), CASE(the_driver_is_gone),
                                       CASE(a_group_of_two),      CASE(a_record_is_read_as_written),
                                       CASE(a_stranger_wrote_it)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
