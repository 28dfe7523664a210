// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/run_options.h"

static int parse(struct run_options *options, char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return run_options_parse(options, argc, argv);
}

static void test_everything(void **state)
{
    static struct run_options o;
    char *argv[] = {"run",
                    "-k",
                    "K",
                    "-i",
                    "I",
                    "-a",
                    "quiet x=1",
                    "-m",
                    "1G,shared,hugepages",
                    "--cpus=4,threads=2",
                    "-d",
                    "a=b/a.img",
                    "-d",
                    "b,,c.img,ro,id=data_2,engine=threads,queues=2,iops=10,bw=1M",
                    "-n",
                    "tap=t0,id=lan,mac=52:54:00:00:00:01,vhost=off,queues=2,mtu=9000",
                    "--console=virtio",
                    "--transport=pci",
                    "--no-rng",
                    "--vsock=cid=52,path=/run/v,,sock",
                    "--timeline=x.svg",
                    NULL};

    assert_int_equal(parse(&o, argv), 0);
    assert_string_equal(o.vm.kernel_path, "K");
    assert_string_equal(o.vm.initrd_path, "I");
    assert_string_equal(o.vm.command_line_append, "quiet x=1");
    assert_true(o.vm.memory_bytes == 1ull << 30 && o.vm.memory_shared);
    assert_int_equal(o.vm.pages, HUSK_PAGES_2M);
    assert_int_equal(o.vm.vcpus, 4);
    assert_int_equal(o.vm.threads_per_core, 2);
    assert_int_equal(o.drive_count, 2);
    assert_string_equal(o.drives[0].path, "a=b/a.img");
    assert_false(o.drives[0].read_only);
    assert_string_equal(o.drives[1].path, "b,c.img");
    assert_true(o.drives[1].read_only);
    assert_null(o.drives[0].id);
    assert_string_equal(o.drives[1].id, "data_2");
    assert_int_equal(o.drives[1].engine, HUSK_BLOCK_ENGINE_THREADS);
    assert_int_equal(o.drives[1].queues, 2);
    assert_int_equal(o.drives[1].operations.per_second, 10);
    assert_int_equal(o.drives[1].bandwidth.per_second, 1 << 20);
    assert_int_equal(o.net_count, 1);
    assert_string_equal(o.nets[0].tap_name, "t0");
    assert_string_equal(o.nets[0].id, "lan");
    assert_int_equal(o.nets[0].mac[5], 1);
    assert_int_equal(o.nets[0].vhost, HUSK_VHOST_OFF);
    assert_int_equal(o.nets[0].queue_pairs, 2);
    assert_int_equal(o.nets[0].mtu, 9000);
    assert_int_equal(o.vm.console, HUSK_CONSOLE_VIRTIO);
    assert_int_equal(o.vm.transport, HUSK_TRANSPORT_PCI);
    assert_true(o.vm.no_rng && o.timeline);
    assert_string_equal(o.timeline_svg, "x.svg");
    assert_int_equal(o.vsock.guest_cid, 52);
    assert_string_equal(o.vsock.path, "/run/v,sock");
    run_options_release(&o);
}

/* Each is one flag with one bad value. */
static void test_free_page_reporting(void **state)
{
    static struct run_options o;
    char *argv[] = {"run", "-k", "K", "-m", "1G,free-page-reporting", NULL};

    assert_int_equal(parse(&o, argv), 0);
    assert_true(o.vm.free_page_reporting);
    assert_false(o.vm.memory_shared);
}

static void test_refused(void **state)
{
    static char *const bad[][3] = {
        {"-m", "12Q"},
        {"-m", ""},
        {"-m", "0"},
        {"-m", "1G,private"},
        {"-m", "99999999T"},
        {"-c", "0"},
        {"-c", "-1"},
        {"-c", "two"},
        {"-c", "5000"},
        {"-c", "cpus=2"},
        {"-c", "2,"},
        {"-c", "2,smt"},
        {"-c", "2,threads=0"},
        {"-c", "2,threads=3"},
        {"-c", "2,cores=1"},
        {"-m", "1G,hugepages=1"},
        {"-d", ""},
        {"-d", ",ro"},
        {"-m", "512"},
        {"-d", "x,rw"},
        {"-d", "x,engine=aio"},
        {"-d", "x,queues=0"},
        {"-d", "x,iops=0"},
        {"-d", "x,bw=1Z"},
        {"-d", "x,"},
        {"-d", "x,id=a-b"},
        {"-d", "x,id="},
        {"-n", "t0"},
        {"-n", "mtu=1500"},
        {"-n", "tap=t,mtu=67"},
        {"-n", "tap=t,mac=x"},
        {"-n", "tap=t,vhost=x"},
        {"-n", "tap=t,z=1"},
        {"-n", "tap=t,tap=u"},
        {"-n", "tap=t,id=a,id=b"},
        {"--vsock", ""},
        {"--vsock", "cid=3"},
        {"--vsock", "path=x"},
        {"--vsock", "cid=2,path=x"},
        {"--vsock", "cid=4294967295,path=x"},
        {"--vsock", "cid=3,cid=4,path=x"},
        {"--vsock", "cid=3,path=x,path=y"},
        {"--vsock", "cid=3,path=x,mode=0"},
        {"--vsock", "cid=3,path"},
        {"--console", "vga"},
        {"--transport", "isa"},
        {"--timeline="},
        {"--bogus"},
        {"-q"},
        {"stray"},
        {"-k"},
        {"--no-rng=1"},
        {"--verbose=1"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        static struct run_options o;
        char *argv[] = {"run", bad[i][0], bad[i][1], NULL};
        int status;

        status = parse(&o, argv);
        run_options_release(&o);
        if (status != STATUS_USAGE)
            fail_msg("%s %s: status %d", bad[i][0], bad[i][1] ? bad[i][1] : "", status);
    }
}

static void test_too_many_devices(void **state)
{
    static struct run_options o;
    char *argv[2 * (RUN_MAX_DEVICES + 1) + 2] = {"run"};

    for (unsigned i = 0; i <= RUN_MAX_DEVICES; i++) {
        argv[1 + 2 * i] = "-d";
        argv[2 + 2 * i] = "x";
    }
    assert_int_equal(parse(&o, argv), STATUS_USAGE);
    run_options_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_free_page_reporting),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_many_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
