// SPDX-License-Identifier: Apache-2.0
/* What the command line of `husk vf` accepts and refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/vf_options.h"

/* The words of a line, split at blanks. */
static int parse(struct vf_options *out, const char *line)
{
    static char text[256];
    char *argv[32], *rest = text;
    int argc = 0;

    snprintf(text, sizeof(text), "%s", line);
    for (char *word; argc < 31 && (word = strsep(&rest, " "));)
        argv[argc++] = word;
    argv[argc] = NULL;
    return vf_options_parse(out, argc, argv);
}

static void test_good(void **state)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 5}, zero[6];
    struct vf_options o;

    assert_int_equal(parse(&o, "vf list"), 0);
    assert_true(o.action == VF_LIST && !o.pf && !o.json);
    assert_int_equal(parse(&o, "vf --json list eth0"), 0);
    assert_true(o.json);
    assert_string_equal(o.pf, "eth0");
    assert_int_equal(parse(&o, "vf create eth0 7"), 0);
    assert_true(o.action == VF_CREATE && o.number == 7);
    assert_int_equal(parse(&o, "vf bind 1:10.0"), 0);
    assert_string_equal(o.address, "0000:01:10.0");
    assert_int_equal(
        parse(&o,
              "vf set e 0 mac=02:00:00:00:00:05 vlan=4094 rate=0 trust=on spoofchk=off link=auto"),
        0);
    assert_int_equal(o.settings.known, VF_ALL_SETTINGS);
    assert_memory_equal(o.settings.mac, mac, 6);
    assert_true(o.settings.vlan == 4094 && o.settings.trust && !o.settings.spoofchk);
    assert_int_equal(o.settings.link, IFLA_VF_LINK_STATE_AUTO);
    assert_int_equal(parse(&o, "vf set e 0 mac=00:00:00:00:00:00"), 0);
    assert_memory_equal(o.settings.mac, zero, 6);
    assert_int_equal(parse(&o, "vf frob --help"), 0);
    assert_true(o.help);
}

static void test_bad(void **state)
{
    static const char *const lines[] = {
        "vf",
        "vf frob",
        "vf list a b",
        "vf list --xml",
        "vf create eth0",
        "vf create eth0 0",
        "vf create eth0 -1",
        "vf create eth0 65536",
        "vf create eth0 1 2",
        "vf remove",
        "vf bind",
        "vf bind eth0",
        "vf unbind 0000:01:20.0",
        "vf set eth0 0",
        "vf set eth0 x vlan=1",
        "vf set eth0 0 vlan=4095",
        "vf set eth0 0 vlan=",
        "vf set eth0 0 vlan",
        "vf set eth0 0 vlan=1 vlan=2",
        "vf set eth0 0 mac=01:00:00:00:00:00",
        "vf set eth0 0 rate=1000001",
        "vf set eth0 0 trust=maybe",
        "vf set eth0 0 link=down",
        "vf set eth0 0 qos=1",
        "vf set eth0 0 =1",
        "vf a b c d e f g h i j k l m n o p q",
    };
    struct vf_options o;

    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (parse(&o, lines[i]) != STATUS_USAGE)
            fail_msg("%s is accepted", lines[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
