// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest program that runs a VM: boots a kernel, shows what it says, and tells how it ended.
 *
 *     cc hello.c -o hello $(pkg-config --cflags --libs husk)
 *     ./hello vmlinux
 */
#include <stdio.h>
#include <unistd.h>

#include <husk/husk.h>

static int complain(const struct husk_error *err)
{
    char text[600];

    fprintf(stderr, "hello: %s\n", husk_error_format(err, text, sizeof(text)));
    return 1;
}

int main(int argc, char **argv)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_event event = {0};
    struct husk_error err;
    struct husk_vm *vm;
    int status = 0;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: hello KERNEL [TEXT-FOR-ITS-COMMAND-LINE]\n");
        return 2;
    }
    options.kernel_path = argv[1];
    options.command_line_append = argv[2];
    options.console_out_fd = STDOUT_FILENO;
    if (husk_vm_new(&options, &vm, &err))
        return complain(&err);
    if (husk_vm_build(vm, &err) || husk_vm_start(vm, &err))
        status = complain(&err);
    else
        while (husk_vm_wait_event(vm, -1, &event) == 1 && event.type != HUSK_EVENT_STOPPED)
            ;
    husk_vm_free(vm); /* the last of the output is written now */
    if (status == 0)
        fprintf(stderr, "hello: it stopped: %s\n", husk_stop_reason_name(event.reason));
    return status;
}
