// SPDX-License-Identifier: Apache-2.0
/*
 * InstanceStart: the settings as calls to libhusk. The VM runs in this process, its threads under
 * system call filters. Files are opened by the build; what fails leaves no VM behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "vmm/api/start.h"

#define PREFIX "Start microvm error"

/*
 * Firecracker's command line for guests whose client gives none, so that they boot alike:
 *   reboot=k            a reboot is asked of the keyboard controller, and ends the machine
 *   panic=1             and so does a panic, a second later
 *   nomodule            (no module is loaded)
 *   8250.nr_uarts=0     no serial console, which would slow the boot
 *   i8042.*             nothing is looked for behind the keyboard controller
 *   swiotlb=noforce     no bounce buffers
 */
#define DEFAULT_BOOT_ARGS                                                              \
    "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd " \
    "swiotlb=noforce"

/*
 * Clients pass "noapic" out of habit (firectl by default). It has Linux do with an 8259 PIC, of
 * which the machine has none: interrupts come through the I/O APIC only.
 */
static void drop_noapic(char *args)
{
    const char *found;

    while ((found = find_word(args, "noapic"))) {
        char *at = args + (found - args);
        char *rest = at + strlen("noapic");

        rest += *rest == ' ';
        memmove(at, rest, strlen(rest) + 1);
    }
}

/* What the words of a client cannot mean here. */
static void warn_of_words(struct api *api)
{
    const char *args = api->boot.boot_args;

    if (args && find_word(args, "noapic"))
        log_print(&api->log, HUSK_LOG_WARN,
                  "boot_args: \"noapic\" is left out: interrupts come through the I/O APIC");
    if (args && api->options.enable_pci && find_word(args, "pci=off"))
        log_print(&api->log, HUSK_LOG_WARN,
                  "boot_args: with \"pci=off\" the guest finds no devices: they are on a PCI bus");
    if (args && find_word(args, "acpi=off"))
        log_print(&api->log, HUSK_LOG_WARN,
                  "boot_args: with \"acpi=off\" the guest finds no devices");
}

/* Takes a line and returns it with words more; NULL without memory. */
__attribute__((format(printf, 2, 3))) static char *add_words(char *line, const char *format, ...)
{
    char *words = NULL, *longer = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&words, format, args) < 0)
        words = NULL;
    va_end(args);
    if (line && words && asprintf(&longer, "%s%s%s", line, *line ? " " : "", words) < 0)
        longer = NULL;
    free(words);
    free(line);
    return longer;
}

char *command_line_of(const struct api *api)
{
    const struct drive_settings *root = api->drive_count ? &api->drives[0] : NULL;
    char *line = strdup(api->boot.boot_args ? api->boot.boot_args : DEFAULT_BOOT_ARGS);

    if (!line)
        return NULL;
    drop_noapic(line);
    /* Without it Linux looks for a bus that is not there. */
    if (!api->options.enable_pci && !find_word(line, "pci=off"))
        line = add_words(line, "pci=off");
    if (root && root->is_root_device.value)
        line =
            add_words(line, "root=%s%s %s", root->partuuid ? "PARTUUID=" : "/dev/vda",
                      root->partuuid ? root->partuuid : "", root->is_read_only.value ? "ro" : "rw");
    return line;
}

void vm_options_of(struct api *api, const char *command_line, struct husk_vm_options *out)
{
    *out = (struct husk_vm_options)HUSK_VM_OPTIONS_INIT;
    out->id = api->id;
    out->mode = HUSK_MODE_IN_PROCESS;
    out->confine_threads = !api->options.no_seccomp;
    out->kernel_path = api->boot.kernel_image_path;
    out->initrd_path = api->boot.initrd_path;
    out->command_line = command_line;
    out->memory_bytes = api->machine.mem_size_mib.value << 20;
    out->pages =
        api->machine.huge_pages.value == HUGE_PAGES_2M ? HUSK_PAGES_2M : HUSK_PAGES_DEFAULT;
    out->vcpus = (unsigned)api->machine.vcpu_count.value;
    out->threads_per_core = api->machine.smt.value && out->vcpus % 2 == 0 ? 2 : 1;
    out->cpuid_changes = api->cpu.cpuid;
    out->cpuid_change_count = api->cpu.cpuid_count;
    out->msr_changes = api->cpu.msrs;
    out->msr_change_count = api->cpu.msr_count;
    out->console = HUSK_CONSOLE_SERIAL;
    out->console_in_fd = api->options.console_in_fd;
    out->console_out_fd = console_vm_fd(&api->console);
    out->no_rng = !api->entropy.given;
    out->rng_rate = rate_of_bucket(&api->entropy.rate_limiter.bandwidth);
    out->log_level = log_vm_level(&api->log);
    out->log = log_vm_line;
    out->log_arg = &api->log;
    out->transport = api->options.enable_pci ? HUSK_TRANSPORT_PCI : HUSK_TRANSPORT_MMIO;
}

void drive_options_of(const struct drive_settings *drive, struct husk_drive_options *out)
{
    *out = (struct husk_drive_options)HUSK_DRIVE_OPTIONS_INIT;
    out->id = drive->drive_id;
    out->path = drive->path_on_host;
    out->read_only = drive->is_read_only.value;
    if (drive->io_engine.given)
        out->engine = drive->io_engine.value == IO_ENGINE_ASYNC ? HUSK_BLOCK_ENGINE_URING
                                                                : HUSK_BLOCK_ENGINE_THREADS;
    out->operations = rate_of_bucket(&drive->rate_limiter.ops);
    out->bandwidth = rate_of_bucket(&drive->rate_limiter.bandwidth);
}

void net_options_of(const struct net_settings *net, struct husk_net_options *out)
{
    *out = (struct husk_net_options)HUSK_NET_OPTIONS_INIT;
    out->id = net->iface_id;
    out->tap_name = net->host_dev_name;
    /* Checked when it was put. */
    if (net->guest_mac)
        parse_mac(net->guest_mac, out->mac);
    out->mtu = (uint16_t)net->mtu.value;
    /* Limits may come at any time, and the kernel's data path knows none. */
    out->vhost = HUSK_VHOST_OFF;
    out->rx_bandwidth = rate_of_bucket(&net->rx_rate_limiter.bandwidth);
    out->rx_operations = rate_of_bucket(&net->rx_rate_limiter.ops);
    out->tx_bandwidth = rate_of_bucket(&net->tx_rate_limiter.bandwidth);
    out->tx_operations = rate_of_bucket(&net->tx_rate_limiter.ops);
}

void vfio_options_of(const struct vfio_settings *vfio, struct husk_vfio_options *out)
{
    *out = (struct husk_vfio_options)HUSK_VFIO_OPTIONS_INIT;
    out->id = vfio->vfio_id;
    out->address = vfio->address;
    out->iommu = (enum husk_vfio_iommu)vfio->iommu.value;
}

static int add_devices(struct api *api, struct husk_vm *vm, struct husk_error *err)
{
    struct husk_vsock_options vsock = HUSK_VSOCK_OPTIONS_INIT;
    int ret = 0;

    for (unsigned i = 0; !ret && i < api->drive_count; i++) {
        struct husk_drive_options drive;

        drive_options_of(&api->drives[i], &drive);
        ret = husk_vm_add_drive(vm, &drive, err);
    }
    for (unsigned i = 0; !ret && i < api->net_count; i++) {
        struct husk_net_options net;

        net_options_of(&api->nets[i], &net);
        ret = husk_vm_add_net(vm, &net, err);
    }
    for (unsigned i = 0; !ret && i < api->vfio_count; i++) {
        struct husk_vfio_options vfio;

        vfio_options_of(&api->vfios[i], &vfio);
        ret = husk_vm_add_vfio(vm, &vfio, err);
    }
    if (ret || !api->vsock.given)
        return ret;
    vsock.guest_cid = (uint32_t)api->vsock.guest_cid.value;
    vsock.path = api->vsock.uds_path;
    return husk_vm_set_vsock(vm, &vsock, err);
}

static int make_vm(struct api *api, struct husk_vm **out, struct husk_error *err)
{
    struct husk_vm_options options;
    struct husk_vm *vm = NULL;
    char *line = command_line_of(api);
    int ret;

    if (!line)
        return error_set(err, ENOMEM, "", "cannot start the VM", NULL);
    warn_of_words(api);
    vm_options_of(api, line, &options);
    ret = husk_vm_new(&options, &vm, err);
    free(line);
    if (ret)
        return ret;
    ret = add_devices(api, vm, err);
    if (!ret)
        ret = husk_vm_build(vm, err);
    if (!ret)
        ret = husk_vm_start(vm, err);
    if (ret) {
        husk_vm_free(vm);
        return ret;
    }
    *out = vm;
    return 0;
}

static int open_console(struct api *api, struct husk_error *err)
{
    static const char cannot_open[] = "cannot open the serial port's output";
    const char *path = api->serial.serial_out_path;
    int fd, ret;

    if (!path && api->options.console_out_fd < 0)
        return 0;
    fd = path ? open_sink(path) : dup_nonblocking(api->options.console_out_fd, O_WRONLY);
    if (fd < 0)
        return error_set(err, -fd, path ? path : "stdout", cannot_open, NULL);
    ret = console_open(&api->console, fd, rate_of_bucket(&api->serial.rate_limiter));
    return ret ? error_set(err, -ret, path ? path : "stdout", cannot_open, NULL) : 0;
}

int start_vm(struct api *api, struct api_fault *fault)
{
    struct husk_error err = {0};
    int ret;

    if (!api->boot.given)
        return api_fault_set(fault, PREFIX ": Cannot start microvm without kernel configuration "
                                           "(boot-source).");
    api->started_ns = monotonic_ns();
    ret = open_console(api, &err);
    if (!ret)
        ret = make_vm(api, &api->vm, &err);
    if (!ret)
        return 0;
    console_close(&api->console);
    return api_fault_error(fault, PREFIX, &err);
}
