// SPDX-License-Identifier: Apache-2.0
/*
 * A guest to and from which a device of the host's is plugged and unplugged, through the library,
 * in a jailed VM: the program that tests/e2e/linux/vfio_hotplug.py tells what to do.
 *
 *   vfio-guest KERNEL INITRD TEXT group|iommufd ADDRESS
 *
 * TEXT is appended to the kernel's command line. Standard input takes lines, "add" and "remove", of
 * the device of that address. Standard output has the guest's console and, in lines of their own
 * that begin with "vfio-guest: ", "added", "removed", and how the VM stopped. Ends with 0 when the
 * guest powered itself off.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "husk/husk.h"

#define MEMORY_BYTES (128u << 20)
#define ID           "device"
#define TURN_MS      50

static int complain(const struct husk_error *err)
{
    char text[640];

    dprintf(STDOUT_FILENO, "vfio-guest: %s\n", husk_error_format(err, text, sizeof(text)));
    return EXIT_FAILURE;
}

static void on_line(void *arg, enum husk_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    dprintf(STDERR_FILENO, "%s\n", line);
}

/* What standard input asks for next; 0 or -errno as of the library. */
static int obey(struct husk_vm *vm, const struct husk_vfio_options *device, struct husk_error *err)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[16];
    int ret = 0;

    if (poll(&input, 1, 0) != 1 || !(input.revents & POLLIN) || !fgets(line, sizeof(line), stdin))
        return 0;
    if (!strcmp(line, "add\n")) {
        ret = husk_vm_add_vfio(vm, device, err);
        if (!ret)
            dprintf(STDOUT_FILENO, "vfio-guest: added\n");
    } else if (!strcmp(line, "remove\n")) {
        ret = husk_vm_remove_vfio(vm, ID, err);
    }
    return ret;
}

/* Until it stops. */
static int follow(struct husk_vm *vm, const struct husk_vfio_options *device)
{
    struct husk_event event = {0};
    struct husk_error err;

    for (;;) {
        int ret = husk_vm_wait_event(vm, TURN_MS, &event);

        if (ret == 1 && event.type == HUSK_EVENT_DEVICE_REMOVED)
            dprintf(STDOUT_FILENO, "vfio-guest: removed\n");
        if (ret == 1 && event.type == HUSK_EVENT_STOPPED)
            break;
        if (obey(vm, device, &err))
            return complain(&err);
    }
    if (event.reason == HUSK_STOP_MONITOR_ERROR)
        return complain(&event.error);
    dprintf(STDOUT_FILENO, "vfio-guest: %s\n", husk_stop_reason_name(event.reason));
    return event.reason == HUSK_STOP_POWER_OFF ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_vfio_options device = HUSK_VFIO_OPTIONS_INIT;
    struct husk_error err;
    struct husk_vm *vm;
    int status;

    if (argc != 6) {
        fprintf(stderr, "usage: %s KERNEL INITRD TEXT group|iommufd ADDRESS\n", argv[0]);
        return EXIT_FAILURE;
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what is left */
    options.kernel_path = argv[1];
    options.initrd_path = argv[2];
    options.command_line_append = argv[3];
    options.memory_bytes = MEMORY_BYTES;
    options.console_out_fd = STDOUT_FILENO;
    options.transport = HUSK_TRANSPORT_PCI;
    options.log = on_line;
    device.id = ID;
    device.address = argv[5];
    device.iommu = strcmp(argv[4], "iommufd") ? HUSK_VFIO_IOMMU_GROUP : HUSK_VFIO_IOMMU_IOMMUFD;
    if (husk_vm_new(&options, &vm, &err))
        return complain(&err);
    if (husk_vm_build(vm, &err) || husk_vm_start(vm, &err))
        status = complain(&err);
    else
        status = follow(vm, &device);
    husk_vm_free(vm); /* the last of the output is written now */
    return status;
}
