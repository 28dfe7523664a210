// SPDX-License-Identifier: Apache-2.0
/* Disks and interfaces as users write them; test_run_options.c has the refusals one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "cli/device_options.h"

static const struct option_place place = {&cmd_run, "-x"};

static void test_drive(void **state)
{
    struct option_texts texts = {0};
    struct husk_drive_options drive;

    assert_int_equal(drive_option_parse(&place,
                                        "a,,b=c,id=x_1,ro,engine=uring,queues=16,iops=7,"
                                        "bw=2K",
                                        &drive, &texts),
                     0);
    assert_string_equal(drive.path, "a,b=c");
    assert_string_equal(drive.id, "x_1");
    assert_true(drive.read_only);
    assert_int_equal(drive.engine, HUSK_BLOCK_ENGINE_URING);
    assert_int_equal(drive.queues, 16);
    assert_int_equal(drive.operations.per_second, 7);
    assert_int_equal(drive.bandwidth.per_second, 2048);
    assert_int_equal(drive.fd, -1);
    assert_int_equal(texts.count, 2);
    option_texts_release(&texts);
    assert_int_equal(texts.count, 0);
}

static void test_net(void **state)
{
    struct option_texts texts = {0};
    struct husk_net_options net;

    assert_int_equal(
        net_option_parse(&place, "id=lan,tap=t,vhost=off,queues=2,mtu=68,bw=1M", &net, &texts), 0);
    assert_string_equal(net.id, "lan");
    assert_string_equal(net.tap_name, "t");
    assert_int_equal(net.vhost, HUSK_VHOST_OFF);
    assert_int_equal(net.queue_pairs, 2);
    assert_int_equal(net.mtu, 68);
    assert_int_equal(net.rx_bandwidth.per_second, 1 << 20);
    assert_int_equal(net.tx_bandwidth.per_second, 1 << 20);
    option_texts_release(&texts);
}

static void test_ids(void **state)
{
    static const char *const bad[] = {"", "a b", "a-b", "\xc3\xa9"};
    struct option_texts texts = {0};
    struct husk_drive_options drive;
    char text[128];

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "f,id=%s", bad[i]);
        assert_int_equal(drive_option_parse(&place, text, &drive, &texts), STATUS_USAGE);
        option_texts_release(&texts);
    }
    for (unsigned len = 64; len <= 65; len++) {
        snprintf(text, sizeof(text), "f,id=%0*d", (int)len, 0);
        assert_int_equal(drive_option_parse(&place, text, &drive, &texts),
                         len == 64 ? 0 : STATUS_USAGE);
        option_texts_release(&texts);
    }
}

/* A list that never ends does not take memory without end. */
static void test_texts_are_bounded(void **state)
{
    struct option_texts texts = {0};
    struct husk_drive_options drive;
    int status = 0;

    for (unsigned i = 0; i <= OPTION_TEXTS_MAX && !status; i++)
        status = drive_option_parse(&place, "f", &drive, &texts);
    assert_int_equal(status, STATUS_MONITOR_ERROR);
    assert_int_equal(texts.count, OPTION_TEXTS_MAX);
    option_texts_release(&texts);
}

/* The words that only a command which makes disks of images takes. */
static void test_disk_source(void **state)
{
    struct option_texts texts = {.count = 0};
    struct husk_drive_options drive;
    struct disk_source source;

    assert_int_equal(disk_option_parse(&place, "f", &drive, &source, &texts), 0);
    assert_int_equal(source.format, DISK_FORMAT_AUTO);
    assert_null(source.overlay);
    assert_int_equal(
        disk_option_parse(&place, "f,ro,format=qcow2,overlay=a,,b", &drive, &source, &texts), 0);
    assert_int_equal(source.format, DISK_FORMAT_QCOW2);
    assert_string_equal(source.overlay, "a,b");
    assert_true(drive.read_only);
    assert_int_equal(disk_option_parse(&place, "f,format=raw", &drive, &source, &texts), 0);
    assert_int_equal(source.format, DISK_FORMAT_RAW);
    assert_int_equal(disk_option_parse(&place, "f,format=vmdk", &drive, &source, &texts),
                     STATUS_USAGE);
    assert_int_equal(disk_option_parse(&place, "f,overlay=", &drive, &source, &texts),
                     STATUS_USAGE);
    assert_int_equal(drive_option_parse(&place, "f,overlay=x", &drive, &texts), STATUS_USAGE);
    option_texts_release(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drive),       cmocka_unit_test(test_net),
        cmocka_unit_test(test_ids),         cmocka_unit_test(test_texts_are_bounded),
        cmocka_unit_test(test_disk_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
