// SPDX-License-Identifier: Apache-2.0
/*
 * Devices of the host that come and go while a guest runs (tests/guests/hotplug.c), through the
 * library: in process, in process under the filters, and jailed.
 *
 *   vfio-plug GUESTS group|iommufd ADDRESS FIRST SECOND
 *
 * GUESTS is the directory of the guests, the addresses are NVMe controllers: one alone in its IOMMU
 * group, two of one group. All are bound to vfio-pci. It takes devices away from the host, so it is
 * for the lab (tests/lab/run --vfio). Exits with 77 where there is no /dev/kvm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"

#define SKIPPED      77
#define WAIT_MS      120000
#define MEMORY_BYTES (16u << 20)
#define DRIVER       "/sys/bus/pci/drivers/vfio-pci/"

static char kernel[PATH_MAX];
static const char *alone, *first, *second;
static enum husk_mode mode;
static enum husk_vfio_iommu interface;
static bool confined;
static struct husk_error err;
static int console_fd;

#define MUST(call)     \
    do {               \
        if (call)      \
            say_why(); \
    } while (0)

static void say_why(void)
{
    char text[640];

    fail_msg("%s", error_format(&err, text, sizeof(text)));
}

/* ---- machines ---- */

static void on_line(void *arg, enum husk_log_level level, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

static struct husk_vm *build(const char *words)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_vm *vm;

    console_fd = memfd_create("console", MFD_CLOEXEC);
    options.mode = mode;
    options.confine_threads = confined;
    options.kernel_path = kernel;
    options.command_line = words;
    options.memory_bytes = MEMORY_BYTES;
    options.console_out_fd = console_fd;
    options.transport = HUSK_TRANSPORT_PCI;
    options.log = on_line;
    options.log_level = HUSK_LOG_INFO;
    MUST(husk_vm_new(&options, &vm, &err));
    MUST(husk_vm_build(vm, &err));
    return vm;
}

static const char *console_text(void)
{
    static char text[65536];
    ssize_t len = pread(console_fd, text, sizeof(text) - 1, 0);

    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static struct husk_event next(struct husk_vm *vm)
{
    struct husk_event event = {0};

    if (husk_vm_wait_event(vm, WAIT_MS, &event) != 1)
        fail_msg("no event; the guest said:\n%s", console_text());
    return event;
}

static void start(struct husk_vm *vm)
{
    MUST(husk_vm_start(vm, &err));
    assert_int_equal(next(vm).type, HUSK_EVENT_READY);
}

/* So many controllers have told their names. */
static void wait_for_controllers(unsigned count)
{
    for (unsigned i = 0; i < WAIT_MS / 10; i++) {
        unsigned seen = 0;

        for (const char *at = console_text(); (at = strstr(at, " is husk-nvme-")); at++)
            seen++;
        if (seen == count)
            return;
        usleep(10000);
    }
    fail_msg("not %u controllers:\n%s", count, console_text());
}

static void expect(struct husk_vm *vm, enum husk_event_type type, const char *id)
{
    struct husk_event event = next(vm);

    if (event.type == HUSK_EVENT_STOPPED)
        fail_msg("%s %u\n%s", husk_stop_reason_name(event.reason), event.guest_status,
                 console_text());
    assert_int_equal(event.type, type);
    assert_int_equal(event.device.kind, HUSK_DEVICE_VFIO);
    assert_string_equal(event.device.id, id);
}

static void expect_end(struct husk_vm *vm)
{
    struct husk_event event = next(vm);

    if (event.type != HUSK_EVENT_STOPPED || event.reason != HUSK_STOP_GUEST_EXIT ||
        event.guest_status || strstr(console_text(), "FAIL"))
        fail_msg("type %u, %s, status %u\n%s", event.type, husk_stop_reason_name(event.reason),
                 event.guest_status, console_text());
    husk_vm_free(vm);
    close(console_fd);
}

static int add(struct husk_vm *vm, const char *id, const char *address)
{
    struct husk_vfio_options options = HUSK_VFIO_OPTIONS_INIT;

    options.id = id;
    options.address = address;
    options.iommu = interface;
    return husk_vm_add_vfio(vm, &options, &err);
}

static void assert_pinned(struct husk_vm *vm, uint64_t bytes)
{
    struct husk_vm_stats stats = {.size = sizeof(stats)};

    MUST(husk_vm_stats(vm, &stats, &err));
    assert_int_equal(stats.memory_pinned_bytes, bytes);
}

/* ---- tests ---- */

/* Memory is pinned with the first device and let go with the last, each time. */
static void it_comes_and_goes(void **state)
{
    struct husk_vm *vm = build("rounds=2");

    start(vm);
    assert_pinned(vm, 0);
    assert_int_equal(husk_vm_remove_vfio(vm, "disk", &err), -ENOENT);
    for (unsigned round = 1; round <= 2; round++) {
        MUST(add(vm, "disk", alone));
        wait_for_controllers(round);
        assert_pinned(vm, MEMORY_BYTES);
        assert_int_equal(add(vm, "disk", alone), -EEXIST);
        MUST(husk_vm_remove_vfio(vm, "disk", &err));
        expect(vm, HUSK_EVENT_DEVICE_REMOVED, "disk");
        if (round == 1)
            assert_pinned(vm, 0);
    }
    expect_end(vm);
}

/* There is no guest to ask, and none to tell. */
static void before_the_start(void **state)
{
    struct husk_vm *vm = build("rounds=1");

    MUST(add(vm, "disk", alone));
    assert_pinned(vm, MEMORY_BYTES);
    MUST(husk_vm_remove_vfio(vm, "disk", &err));
    expect(vm, HUSK_EVENT_DEVICE_REMOVED, "disk");
    assert_pinned(vm, 0);
    MUST(add(vm, "disk", alone));
    start(vm);
    MUST(husk_vm_remove_vfio(vm, "disk", &err));
    expect(vm, HUSK_EVENT_DEVICE_REMOVED, "disk");
    expect_end(vm);
}

/* Nobody asked for it. */
static void the_guest_lets_it_go(void **state)
{
    struct husk_vm *vm = build("rounds=1 early=1");

    start(vm);
    MUST(add(vm, "disk", alone));
    expect(vm, HUSK_EVENT_DEVICE_REMOVED, "disk");
    expect_end(vm);
}

/* The second finds the group that the first one brought. */
static void two_of_a_group(void **state)
{
    struct husk_vm *vm = build("rounds=2");

    start(vm);
    MUST(add(vm, "first", first));
    wait_for_controllers(1);
    MUST(add(vm, "second", second));
    wait_for_controllers(2);
    MUST(husk_vm_remove_vfio(vm, "first", &err));
    expect(vm, HUSK_EVENT_DEVICE_REMOVED, "first");
    assert_pinned(vm, MEMORY_BYTES);
    MUST(husk_vm_remove_vfio(vm, "second", &err));
    expect(vm, HUSK_EVENT_DEVICE_REMOVED, "second");
    expect_end(vm);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Returns when the VM has let it go. */
static void *unbind(void *arg)
{
    write_file(DRIVER "unbind", alone);
    return NULL;
}

static void the_host_wants_it(void **state)
{
    struct husk_vm *vm = build("rounds=1");
    pthread_t thread;

    start(vm);
    MUST(add(vm, "disk", alone));
    wait_for_controllers(1);
    assert_int_equal(pthread_create(&thread, NULL, unbind, NULL), 0);
    expect(vm, HUSK_EVENT_DEVICE_WANTED, "disk");
    expect(vm, HUSK_EVENT_DEVICE_REMOVED, "disk");
    pthread_join(thread, NULL);
    write_file(DRIVER "bind", alone);
    expect_end(vm);
}

/* ---- everything ---- */

static int run(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_and_goes),    cmocka_unit_test(before_the_start),
        cmocka_unit_test(the_guest_lets_it_go), cmocka_unit_test(two_of_a_group),
        cmocka_unit_test(the_host_wants_it),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* The jail first, for most can go wrong there. */
static int run_modes(void)
{
    int failed;

    mode = HUSK_MODE_JAILED;
    failed = run("jailed");
    mode = HUSK_MODE_IN_PROCESS;
    failed += run("in process");
    confined = true;
    return failed + run("under the filters");
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s GUESTS group|iommufd ADDRESS FIRST SECOND\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (access("/dev/kvm", R_OK | W_OK)) {
        fprintf(stderr, "no /dev/kvm\n");
        return SKIPPED;
    }
    snprintf(kernel, sizeof(kernel), "%s/hotplug.elf", argv[1]);
    interface = strcmp(argv[2], "iommufd") ? HUSK_VFIO_IOMMU_GROUP : HUSK_VFIO_IOMMU_IOMMUFD;
    alone = argv[3];
    first = argv[4];
    second = argv[5];
    return run_modes() ? EXIT_FAILURE : EXIT_SUCCESS;
}
