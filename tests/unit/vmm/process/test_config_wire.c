// SPDX-License-Identifier: Apache-2.0
/* A configuration goes over to husk-vmm whole, and what is cut or altered is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "vmm/process/config_wire.h"

static struct {
    int ends[2];
    struct message message;
    struct machine_config got;
} t;

static int set_up(void **state)
{
    memset(&t, 0, sizeof(t));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t.ends), 0);
    t.got.kvm_fd = t.got.kernel.fd = t.got.initrd.fd = -1;
    t.got.vfio_iommu_fd = t.got.vsock.listen_fd = t.got.console_in_fd = t.got.console_out_fd = -1;
    return 0;
}

static int tear_down(void **state)
{
    close_fd(&t.got.console_in_fd);
    close_fd(&t.got.console_out_fd);
    machine_config_release(&t.got);
    close(t.ends[0]);
    close(t.ends[1]);
    return 0;
}

static int null_fd(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* Over the socket and back, `cut` bytes short. */
static void carry(struct wire_writer *writer, struct wire_reader *reader, size_t cut)
{
    writer->at -= cut;
    assert_int_equal(message_send(t.ends[0], &t.message, writer, 0), 0);
    assert_true(message_receive(t.ends[1], &t.message, reader, 0) > 0);
}

static struct machine_config whole_vm(void)
{
    static struct husk_cpuid_change cpuid[2] = {
        {.leaf = 1, .eax = {1, 2}, .edx = {3, 4}},
        {.leaf = 7, .subleaf = 1, .flags = 1, .ebx = {5, 6}, .ecx = {7, 8}},
    };
    static struct husk_msr_change msr = {.index = 0x10a, .mask = ~0ull, .bits = 0x1234567890ull};

    return (struct machine_config){
        .kernel = {.path = "/boot/vmlinux", .fd = null_fd()},
        .initrd = {.fd = null_fd()},
        .command_line = "console=ttyS0",
        .kvm_fd = null_fd(),
        .kvm_is_pvm = true,
        .memory_bytes = 0x123456000,
        .memory_shared = true,
        .pages = HUSK_PAGES_2M,
        .vcpus = 6,
        .threads_per_core = 2,
        .cpuid_changes = cpuid,
        .cpuid_change_count = 2,
        .msr_changes = &msr,
        .msr_change_count = 1,
        .console = HUSK_CONSOLE_VIRTIO,
        .console_columns = 80,
        .console_rows = 25,
        .rng = true,
        .rng_rate = {1000, 2000},
        .free_page_reporting = true,
        .transport = HUSK_TRANSPORT_PCI,
        .vfio_iommu = HUSK_VFIO_IOMMU_GROUP,
        .vfio_iommu_fd = null_fd(),
    };
}

static void close_vm(struct machine_config *vm)
{
    close_fd(&vm->kernel.fd);
    close_fd(&vm->initrd.fd);
    close_fd(&vm->kvm_fd);
    close_fd(&vm->vfio_iommu_fd);
}

static void test_vm(void **state)
{
    struct machine_config vm = whole_vm();
    struct wire_writer writer;
    struct wire_reader reader;
    int out = null_fd();

    message_begin(&t.message, &writer, PROTOCOL_VM);
    config_put_vm(&t.message, &writer, &vm, -1, out);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_vm(&t.message, &reader, &t.got), 0);
    assert_string_equal(t.got.kernel.path, "/boot/vmlinux");
    assert_null(t.got.initrd.path);
    assert_string_equal(t.got.command_line, "console=ttyS0");
    assert_true(t.got.memory_bytes == vm.memory_bytes && t.got.memory_shared);
    assert_int_equal(t.got.pages, HUSK_PAGES_2M);
    assert_int_equal(t.got.transport, HUSK_TRANSPORT_PCI);
    assert_int_equal(t.got.vcpus, 6);
    assert_int_equal(t.got.threads_per_core, 2);
    assert_int_equal(t.got.cpuid_change_count, 2);
    assert_memory_equal(t.got.cpuid_changes, vm.cpuid_changes, 2 * sizeof(*vm.cpuid_changes));
    assert_int_equal(t.got.msr_change_count, 1);
    assert_true(t.got.msr_changes[0].bits == 0x1234567890ull);
    assert_int_equal(t.got.console, HUSK_CONSOLE_VIRTIO);
    assert_int_equal(t.got.console_columns, 80);
    assert_int_equal(t.got.console_rows, 25);
    assert_true(t.got.rng && t.got.kvm_is_pvm && t.got.confine_threads);
    assert_int_equal(t.got.rng_rate.burst, 2000);
    assert_true(t.got.free_page_reporting);
    assert_int_equal(t.got.console_in_fd, -1);
    assert_int_equal(t.got.vfio_iommu, HUSK_VFIO_IOMMU_GROUP);
    for (unsigned i = 0; i < 5; i++) {
        int fds[] = {t.got.kvm_fd, t.got.kernel.fd, t.got.initrd.fd, t.got.console_out_fd,
                     t.got.vfio_iommu_fd};

        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
    }
    close_vm(&vm);
    close(out);
}

/* However much is missing, it is refused, and what came is released. */
static void test_cut_vm(void **state)
{
    struct machine_config vm = whole_vm();

    for (size_t cut = 1; cut < 200; cut += 7) {
        struct wire_writer writer;
        struct wire_reader reader;

        message_begin(&t.message, &writer, PROTOCOL_VM);
        config_put_vm(&t.message, &writer, &vm, -1, -1);
        if (cut >= wire_written(&writer))
            break;
        carry(&writer, &reader, cut);
        assert_int_equal(config_get_vm(&t.message, &reader, &t.got), -EPROTO);
        message_release(&t.message);
        machine_config_release(&t.got);
    }
    close_vm(&vm);
}

static void test_drive(void **state)
{
    struct drive_config drive = {
        .id = "root",
        .path = "disk.img",
        .fd = null_fd(),
        .size_bytes = 1 << 20,
        .read_only = true,
        .engine = HUSK_BLOCK_ENGINE_THREADS,
        .queues = 3,
        .operations = {10, 20},
        .bandwidth = {30, 40},
    };
    struct wire_writer writer;
    struct wire_reader reader;

    message_begin(&t.message, &writer, PROTOCOL_DRIVE);
    config_put_drive(&t.message, &writer, &drive);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_drive(&t.message, &reader, &t.got), 0);
    assert_int_equal(t.got.drive_count, 1);
    assert_string_equal(t.got.drives[0].id, "root");
    assert_string_equal(t.got.drives[0].path, "disk.img");
    assert_int_equal(t.got.drives[0].size_bytes, 1 << 20);
    assert_true(t.got.drives[0].read_only);
    assert_int_equal(t.got.drives[0].engine, HUSK_BLOCK_ENGINE_THREADS);
    assert_int_equal(t.got.drives[0].queues, 3);
    assert_int_equal(t.got.drives[0].operations.burst, 20);
    assert_int_equal(t.got.drives[0].bandwidth.per_second, 30);
    assert_int_equal(t.got.drives[0].more_count, 0);
    close(drive.fd);
}

/* As many files as there may be; and a count that is not to be believed. */
static void test_drive_of_files(void **state)
{
    struct drive_part more[CONFIG_PARTS_MAX];
    struct drive_config drive = {
        .id = "root", .fd = null_fd(), .more = more, .more_count = CONFIG_PARTS_MAX};
    struct drive_config got = {.fd = -1};
    struct wire_writer writer;
    struct wire_reader reader;

    for (unsigned i = 0; i < CONFIG_PARTS_MAX; i++)
        more[i] = (struct drive_part){.fd = drive.fd, .size_bytes = 512 * (i + 1)};
    message_begin(&t.message, &writer, PROTOCOL_PLUG_DRIVE);
    config_put_drive(&t.message, &writer, &drive);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_plugged_drive(&t.message, &reader, &got), 0);
    assert_int_equal(got.more_count, CONFIG_PARTS_MAX);
    for (unsigned i = 0; i < CONFIG_PARTS_MAX; i++) {
        assert_int_equal(got.more[i].size_bytes, 512 * (i + 1));
        assert_true(got.more[i].fd >= 0 && got.more[i].fd != drive.fd);
    }
    drive_config_release(&got);

    drive.more_count = 0;
    message_begin(&t.message, &writer, PROTOCOL_PLUG_DRIVE);
    wire_put_string(&writer, "root");
    wire_put_string(&writer, NULL);
    message_put_fd(&t.message, &writer, drive.fd);
    wire_put_u64(&writer, 512);
    wire_put_u32(&writer, CONFIG_PARTS_MAX + 1);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_plugged_drive(&t.message, &reader, &got), -EPROTO);
    drive_config_release(&got);
    close(drive.fd);
}

static void test_net(void **state)
{
    struct net_config net = {
        .id = "eth0",
        .mac = {2, 1, 2, 3, 4, 5},
        .mtu = 9000,
        .queue_pairs = 2,
        .vhost = HUSK_VHOST_ON,
        .tx_operations = {7, 8},
    };
    struct wire_writer writer;
    struct wire_reader reader;

    for (unsigned i = 0; i < CONFIG_QUEUES_MAX; i++)
        net.tap_fds[i] = net.vhost_fds[i] = -1;
    net.tap_fds[0] = null_fd();
    net.tap_fds[1] = null_fd();
    net.vhost_fds[1] = null_fd();
    message_begin(&t.message, &writer, PROTOCOL_NET);
    config_put_net(&t.message, &writer, &net);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_net(&t.message, &reader, &t.got), 0);
    assert_string_equal(t.got.nets[0].id, "eth0");
    assert_memory_equal(t.got.nets[0].mac, net.mac, 6);
    assert_int_equal(t.got.nets[0].mtu, 9000);
    assert_int_equal(t.got.nets[0].queue_pairs, 2);
    assert_int_equal(t.got.nets[0].tx_operations.burst, 8);
    assert_true(t.got.nets[0].tap_fds[1] >= 0 && t.got.nets[0].vhost_fds[1] >= 0);
    assert_int_equal(t.got.nets[0].vhost_fds[0], -1);
    assert_int_equal(t.got.nets[0].tap_fds[2], -1);
    net_config_release(&net);
}

/* The most descriptors that a message has. */
static void test_all_queue_pairs(void **state)
{
    struct net_config net = {.id = "eth0", .queue_pairs = CONFIG_QUEUES_MAX};
    struct wire_writer writer;
    struct wire_reader reader;

    for (unsigned i = 0; i < CONFIG_QUEUES_MAX; i++) {
        net.tap_fds[i] = null_fd();
        net.vhost_fds[i] = null_fd();
    }
    message_begin(&t.message, &writer, PROTOCOL_NET);
    config_put_net(&t.message, &writer, &net);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_net(&t.message, &reader, &t.got), 0);
    for (unsigned i = 0; i < CONFIG_QUEUES_MAX; i++)
        assert_true(t.got.nets[0].tap_fds[i] >= 0 && t.got.nets[0].vhost_fds[i] >= 0);
    net_config_release(&net);
}

static void test_vfio(void **state)
{
    struct vfio_config vfio = {
        .id = "nic", .address = "0000:01:10.0", .device_fd = -1, .group_fd = null_fd()};
    struct wire_writer writer;
    struct wire_reader reader;

    message_begin(&t.message, &writer, PROTOCOL_VFIO);
    config_put_vfio(&t.message, &writer, &vfio);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_vfio(&t.message, &reader, &t.got), 0);
    assert_int_equal(t.got.vfio_count, 1);
    assert_string_equal(t.got.vfios[0].id, "nic");
    assert_string_equal(t.got.vfios[0].address, "0000:01:10.0");
    assert_int_equal(t.got.vfios[0].device_fd, -1);
    assert_true(t.got.vfios[0].group_fd >= 0);
    /* An address for which there is no room. */
    message_begin(&t.message, &writer, PROTOCOL_VFIO);
    wire_put_string(&writer, "nic");
    wire_put_string(&writer, "0000:0000:0000:01:10.0");
    message_put_fd(&t.message, &writer, -1);
    message_put_fd(&t.message, &writer, vfio.group_fd);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_vfio(&t.message, &reader, &t.got), -EPROTO);
    vfio_config_release(&vfio);
}

static void test_plugged_vfio(void **state)
{
    struct vfio_config vfio = {
        .id = "nic", .address = "0000:01:10.0", .device_fd = -1, .group_fd = -1, .group_rdev = 1};
    struct vfio_config got = {.device_fd = -1, .group_fd = -1};
    int iommu_fd = null_fd(), got_iommu_fd = -1;
    struct wire_writer writer;
    struct wire_reader reader;

    vfio.group_rdev += UINT64_C(1) << 40;
    for (size_t cut = 0; cut < 2; cut++) {
        message_begin(&t.message, &writer, PROTOCOL_PLUG_VFIO);
        config_put_plugged_vfio(&t.message, &writer, &vfio, iommu_fd);
        carry(&writer, &reader, cut);
        assert_int_equal(config_get_plugged_vfio(&t.message, &reader, &got, &got_iommu_fd),
                         cut ? -EPROTO : 0);
        assert_string_equal(got.id, "nic");
        assert_string_equal(got.address, "0000:01:10.0");
        assert_true(got.device_fd == -1 && got.group_fd == -1);
        assert_true(got.group_rdev == vfio.group_rdev);
        assert_true(cut || got_iommu_fd >= 0);
        close_fd(&got_iommu_fd);
    }
    close_fd(&iommu_fd);
}

static void test_vsock(void **state)
{
    struct vsock_config vsock = {.guest_cid = 42, .path = "/run/vm/v.sock", .listen_fd = null_fd()};
    struct wire_writer writer;
    struct wire_reader reader;

    message_begin(&t.message, &writer, PROTOCOL_VSOCK);
    config_put_vsock(&t.message, &writer, &vsock);
    carry(&writer, &reader, 0);
    assert_int_equal(config_get_vsock(&t.message, &reader, &t.got), 0);
    assert_true(t.got.vsock.present);
    assert_int_equal(t.got.vsock.guest_cid, 42);
    /* The path as the jail has it. */
    assert_string_equal(t.got.vsock.connect_prefix, "/vsock/v.sock");
    close(vsock.listen_fd);
}

/* What a terminal would obey is not in it; other letters are. */
static void test_text(void **state)
{
    struct wire_writer writer;
    struct wire_reader reader;
    uint8_t bytes[64];
    char text[12];

    wire_writer_init(&writer, bytes, sizeof(bytes));
    wire_put_string(&writer, "\x1b[m\xc2\x9b\x7f\xc3\x9f\n");
    wire_put_string(&writer, NULL);
    wire_put_string(&writer, "cut after it\xc2\x9b");
    wire_reader_init(&reader, bytes, wire_written(&writer));
    wire_get_text(&reader, text, sizeof(text));
    assert_string_equal(text, "?[m???\xc3\x9f?");
    wire_get_text(&reader, text, sizeof(text));
    assert_string_equal(text, "");
    wire_get_text(&reader, text, sizeof(text));
    assert_string_equal(text, "cut after i");
    assert_true(wire_complete(&reader));
}

/* A descriptor that was promised and did not come. */
static void test_missing_descriptor(void **state)
{
    struct wire_writer writer;
    struct wire_reader reader;

    message_begin(&t.message, &writer, PROTOCOL_NET);
    wire_put_u8(&writer, 1);
    carry(&writer, &reader, 0);
    assert_int_equal(message_take_fd(&t.message, &reader), -1);
    assert_true(reader.bad);
}

/* Descriptors that nobody takes do not stay open. */
static void test_unwanted_descriptors(void **state)
{
    struct wire_writer writer;
    struct wire_reader reader;
    int ends[2], received;
    char byte;

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    message_begin(&t.message, &writer, PROTOCOL_PAUSE);
    message_put_fd(&t.message, &writer, ends[1]);
    carry(&writer, &reader, 0);
    close(ends[1]);
    received = t.message.fds[0];
    assert_true(fcntl(received, F_GETFD) >= 0);
    message_release(&t.message);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* the last writer is gone */
    close(ends[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_vm),
        TEST(test_cut_vm),
        TEST(test_drive),
        TEST(test_drive_of_files),
        TEST(test_net),
        TEST(test_vfio),
        TEST(test_plugged_vfio),
        TEST(test_vsock),
        TEST(test_all_queue_pairs),
        TEST(test_text),
        TEST(test_missing_descriptor),
        TEST(test_unwanted_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
