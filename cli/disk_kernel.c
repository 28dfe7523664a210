// SPDX-License-Identifier: Apache-2.0
/* See disk_kernel.h. The search itself is the library's. */
#include "cli/disk_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* An initrd with all of a distribution's modules does not unpack in the usual default. */
#define MEMORY_BYTES (1ull << 30)

#define LINE_MAX_BYTES 800u /* above it, each partition gets a line of its own */

/* The distribution's words stay; the last console is the one that /dev/console is. */
static const char *console_word(enum husk_console console)
{
    switch (console) {
    case HUSK_CONSOLE_SERIAL:
        return "console=ttyS0";
    case HUSK_CONSOLE_VIRTIO:
        return "console=hvc0";
    default:
        return "";
    }
}

static void say_what_was_looked_at(const char *path, const struct husk_error *err,
                                   const char *looked_at)
{
    if (strlen(path) + strlen(looked_at) <= LINE_MAX_BYTES) {
        cli_message("%s: %s: %s; name a kernel with -k", path, err->what, looked_at);
        return;
    }
    cli_message("%s: %s; name one with -k. What was looked at:", path, err->what);
    while (*looked_at) {
        size_t len = strcspn(looked_at, ";");

        cli_message("  %.*s", (int)len, looked_at);
        looked_at += len;
        looked_at += strspn(looked_at, "; ");
    }
}

int disk_kernel_use(struct disk_kernel *kernel, struct run_options *options)
{
    const struct husk_image_options image = {.size = sizeof(image),
                                             .path = options->drives[0].path,
                                             .fd = -1,
                                             .reader_path = options->image_path_found};
    const char *word = console_word(options->vm.console);
    struct husk_vm_options *vm = &options->vm;
    struct husk_error err;
    int ret;

    kernel->found = (struct husk_image_kernel)HUSK_IMAGE_KERNEL_INIT;
    ret = husk_image_find_kernel(&image, &kernel->found, &err);
    if (ret == -ENOENT && kernel->found.looked_at[0])
        say_what_was_looked_at(image.path, &err, kernel->found.looked_at);
    else if (ret)
        cli_error(&err);
    if (ret)
        return STATUS_MONITOR_ERROR;
    snprintf(kernel->command_line, sizeof(kernel->command_line), "%s%s%s",
             kernel->found.command_line, *kernel->found.command_line && *word ? " " : "", word);
    vm->kernel_fd = kernel->found.kernel_fd;
    vm->initrd_fd = kernel->found.initrd_fd;
    vm->command_line = kernel->command_line;
    if (vm->transport == HUSK_TRANSPORT_AUTO)
        vm->transport = HUSK_TRANSPORT_PCI;
    if (!vm->memory_bytes)
        vm->memory_bytes = MEMORY_BYTES;
    if (vm->log_level >= HUSK_LOG_INFO)
        cli_message("info: %s: %s", image.path, kernel->found.found);
    return 0;
}

void disk_kernel_release(struct disk_kernel *kernel)
{
    husk_image_kernel_release(&kernel->found);
}
