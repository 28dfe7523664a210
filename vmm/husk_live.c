// SPDX-License-Identifier: Apache-2.0
/*
 * The public interface (husk/husk.h): what is changed, asked and typed while a VM lives; its life
 * is in husk.c.
 *
 * Threads: any; a VM object is constant from its build on, and what it points to guards itself.
 */
#include "vmm/husk_vm.h"

#include <errno.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/console_callback.h"
#include "vmm/machine.h"

/* ---- changes ---- */

int husk_vm_update_drive(struct husk_vm *vm, const char *id, const struct husk_drive_update *given,
                         struct husk_error *err)
{
    static const char what[] = "cannot change the drive";
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    struct drive_file file;
    int ret = husk_vm_check_built(vm, what, err);

    if (!ret)
        ret = config_copy_options(&update, sizeof(update), given, id, err);
    if (!ret)
        ret = machine_reopen_drive(&vm->config, id, &update, &file, err);
    if (ret)
        return ret;
    update.fd = file.fd;
    if (vm->process) {
        ret = vm_process_update_drive(vm->process, id, &update, err);
        if (!ret)
            close_fd(&file.fd); /* the process has a duplicate */
    } else {
        ret = machine_update_drive(vm->machine, id, &update, err);
    }
    return machine_reopen_done(&file, ret, err);
}

int husk_vm_update_net(struct husk_vm *vm, const char *id, const struct husk_net_update *given,
                       struct husk_error *err)
{
    static const char what[] = "cannot change the network device";
    struct husk_net_update update = HUSK_NET_UPDATE_INIT;
    int ret = husk_vm_check_built(vm, what, err);

    if (!ret)
        ret = config_copy_options(&update, sizeof(update), given, id, err);
    if (ret)
        return ret;
    return vm->process ? vm_process_update_net(vm->process, id, &update, err)
                       : machine_update_net(vm->machine, id, &update, err);
}

int husk_vm_shutdown(struct husk_vm *vm, unsigned grace_ms, struct husk_error *err)
{
    static const char what[] = "cannot shut the VM down";
    int ret = husk_vm_check_built(vm, what, err);

    if (ret)
        return ret;
    return vm->process ? vm_process_shutdown(vm->process, grace_ms, err)
                       : machine_shutdown(vm->machine, grace_ms, err);
}

/* ---- statistics ---- */

int husk_vm_stats(struct husk_vm *vm, struct husk_vm_stats *stats, struct husk_error *err)
{
    static const char what[] = "cannot tell about the VM";
    struct husk_vm_stats whole;
    int ret = husk_vm_check_built(vm, what, err);

    if (!ret)
        ret = vm->process ? vm_process_stats(vm->process, &whole, err)
                          : machine_stats(vm->machine, &whole, err);
    return ret ? ret : config_copy_results(stats, &whole, sizeof(whole), what, err);
}

int husk_vm_drive_stats(struct husk_vm *vm, const char *id, struct husk_drive_stats *stats,
                        struct husk_error *err)
{
    static const char what[] = "cannot tell about the drive";
    struct husk_drive_stats whole;
    int ret = husk_vm_check_built(vm, what, err);

    if (!ret)
        ret = vm->process ? vm_process_drive_stats(vm->process, id, &whole, err)
                          : machine_drive_stats(vm->machine, id, &whole, err);
    return ret ? ret : config_copy_results(stats, &whole, sizeof(whole), what, err);
}

int husk_vm_net_stats(struct husk_vm *vm, const char *id, struct husk_net_stats *stats,
                      struct husk_error *err)
{
    static const char what[] = "cannot tell about the network device";
    struct husk_net_stats whole;
    int ret = husk_vm_check_built(vm, what, err);

    if (!ret)
        ret = vm->process ? vm_process_net_stats(vm->process, id, &whole, err)
                          : machine_net_stats(vm->machine, id, &whole, err);
    return ret ? ret : config_copy_results(stats, &whole, sizeof(whole), what, err);
}

/* ---- the console by callback ---- */

ssize_t husk_vm_console_input(struct husk_vm *vm, const void *bytes, size_t len)
{
    if (!vm->console)
        return -EINVAL;
    if (vm->process ? vm_process_has_stopped(vm->process) : husk_vm_state(vm) == HUSK_STATE_STOPPED)
        return -EPIPE;
    return console_callback_input(vm->console, bytes, len);
}
