// SPDX-License-Identifier: Apache-2.0
/*
 * The public interface (husk/husk.h) over the machine, run in the caller's process. A VM object is
 * a configuration until it is built, and a machine from then on.
 *
 * Threads: as husk.h says; what may be called from any thread finds `machine` constant.
 */
#include "husk/husk.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "boot/cmdline.h"
#include "vmm/config.h"
#include "vmm/console_callback.h"
#include "vmm/husk_vm.h"
#include "vmm/machine.h"
#include "vmm/vfio_open.h"

const char *husk_version(void)
{
    return HUSK_VERSION;
}

const char *husk_error_format(const struct husk_error *err, char *buf, size_t size)
{
    return error_format(err, buf, size);
}

const char *husk_default_command_line(enum husk_console console)
{
    switch (console) {
    case HUSK_CONSOLE_SERIAL:
        return cmdline_default(CMDLINE_CONSOLE_SERIAL);
    case HUSK_CONSOLE_VIRTIO:
        return cmdline_default(CMDLINE_CONSOLE_VIRTIO);
    default:
        return cmdline_default(CMDLINE_CONSOLE_NONE);
    }
}

const char *husk_stop_reason_name(enum husk_stop_reason reason)
{
    switch (reason) {
    case HUSK_STOP_NONE:
        return "none";
    case HUSK_STOP_POWER_OFF:
        return "power-off";
    case HUSK_STOP_RESET:
        return "reset";
    case HUSK_STOP_TRIPLE_FAULT:
        return "triple-fault";
    case HUSK_STOP_PANIC:
        return "panic";
    case HUSK_STOP_GUEST_EXIT:
        return "guest-exit";
    case HUSK_STOP_HOST_REQUEST:
        return "host-request";
    case HUSK_STOP_MONITOR_ERROR:
        return "monitor-error";
    }
    return "unknown";
}

static void log_to_caller(void *arg, enum log_level level, const char *line)
{
    struct husk_vm *vm = arg;

    vm->log_fn(vm->log_arg, (enum husk_log_level)level, line);
}

/* Options of an older release are a prefix of ours: read them through a whole struct. */
static int set_up_mode_and_log(struct husk_vm *vm, const struct husk_vm_options *given,
                               struct husk_error *err)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    int ret = config_copy_options(&options, sizeof(options), given, "", err);

    if (!ret && (unsigned)options.mode > HUSK_MODE_IN_PROCESS)
        ret = error_set(err, EINVAL, "mode", "cannot configure the VM", "there is no mode %u",
                        (unsigned)options.mode);
    if (!ret && options.id)
        ret = config_check_id(options.id, "id", err);
    vm->mode = options.mode;
    if (!ret && vm->mode == HUSK_MODE_JAILED)
        ret = process_config_init(&vm->process_config, &options, err);
    if (ret)
        return ret;
    vm->console_write = options.console_write;
    vm->console_arg = options.console_arg;
    vm->log_fn = options.log;
    vm->log_arg = options.log_arg;
    vm->log.level = (enum log_level)options.log_level;
    if (options.log) {
        vm->log.sink = log_to_caller;
        vm->log.sink_arg = vm;
    }
    return 0;
}

int husk_vm_new(const struct husk_vm_options *options, struct husk_vm **out, struct husk_error *err)
{
    struct husk_vm *vm = calloc(1, sizeof(*vm));
    int ret;

    if (!vm)
        return error_set(err, ENOMEM, "", "cannot create the VM", NULL);
    pthread_mutex_init(&vm->plug_lock, NULL);
    ret = machine_config_init(&vm->config, options, err);
    if (ret) {
        free(vm);
        return ret;
    }
    ret = set_up_mode_and_log(vm, options, err);
    if (ret) {
        machine_config_release(&vm->config);
        free(vm);
        return ret;
    }
    *out = vm;
    return 0;
}

/* Configuration ends with the build. */
int husk_vm_check_not_built(const struct husk_vm *vm, const char *what, struct husk_error *err)
{
    if (husk_vm_is_built(vm))
        return error_set(err, EINVAL, "", what, "the VM is built already");
    if (vm->build_failed)
        return error_set(err, EINVAL, "", what, "building the VM failed before");
    return 0;
}

int husk_vm_check_built(const struct husk_vm *vm, const char *what, struct husk_error *err)
{
    return husk_vm_is_built(vm) ? 0 : error_set(err, EINVAL, "", what, "the VM is not built");
}

int husk_vm_set_vsock(struct husk_vm *vm, const struct husk_vsock_options *options,
                      struct husk_error *err)
{
    int ret = husk_vm_check_not_built(vm, "cannot add a vsock device", err);

    return ret ? ret : machine_config_set_vsock(&vm->config, options, err);
}

/* With a callback, the console's descriptors are of our making. */
static int open_console(struct husk_vm *vm, struct husk_error *err)
{
    int ret;

    if (!vm->console_write)
        return 0;
    ret = console_callback_create(vm->console_write, vm->console_arg, &vm->console);
    if (ret)
        return error_set(err, -ret, "console", "cannot create the console", NULL);
    vm->config.console_in_fd = vm->config.console_out_fd = console_callback_fd(vm->console);
    return 0;
}

int husk_vm_build(struct husk_vm *vm, struct husk_error *err)
{
    int ret = husk_vm_check_not_built(vm, "cannot build the VM", err);

    if (ret)
        return ret;
    ret = machine_config_settle(&vm->config, err);
    if (!ret)
        ret = open_console(vm, err);
    if (!ret)
        ret = machine_open(&vm->config, &vm->log, err);
    if (!ret)
        ret = vfio_check_locked(&vm->config, vm->mode == HUSK_MODE_JAILED, err);
    if (!ret && vm->mode == HUSK_MODE_JAILED) {
        ret = vm_process_build(&vm->process_config, &vm->config, &vm->log, &vm->process, err);
        machine_config_close(&vm->config);
    } else if (!ret)
        ret = machine_build(&vm->config, &vm->log, &vm->machine, err);
    vm->build_failed = ret != 0;
    return ret;
}

int husk_vm_start(struct husk_vm *vm, struct husk_error *err)
{
    int ret = husk_vm_check_built(vm, "cannot start the VM", err);

    if (ret)
        return ret;
    return vm->process ? vm_process_start(vm->process, err) : machine_start(vm->machine, err);
}

int husk_vm_pause(struct husk_vm *vm, struct husk_error *err)
{
    int ret = husk_vm_check_built(vm, "cannot pause the VM", err);

    if (ret)
        return ret;
    return vm->process ? vm_process_pause(vm->process, err) : machine_pause(vm->machine, err);
}

int husk_vm_resume(struct husk_vm *vm, struct husk_error *err)
{
    int ret = husk_vm_check_built(vm, "cannot resume the VM", err);

    if (ret)
        return ret;
    return vm->process ? vm_process_resume(vm->process, err) : machine_resume(vm->machine, err);
}

/* A jailed VM's process checks for itself. */
static int check_started(const struct husk_vm *vm, const char *what, struct husk_error *err)
{
    int ret = husk_vm_check_built(vm, what, err);

    return ret || vm->process ? ret : machine_check_started(vm->machine, what, err);
}

int husk_vm_power_button(struct husk_vm *vm, struct husk_error *err)
{
    int ret = check_started(vm, "cannot press the power button", err);

    if (ret)
        return ret;
    if (vm->process)
        return vm_process_power_button(vm->process, err);
    machine_power_button(vm->machine);
    return 0;
}

int husk_vm_ctrl_alt_del(struct husk_vm *vm, struct husk_error *err)
{
    int ret = check_started(vm, "cannot press Ctrl-Alt-Del", err);

    if (ret)
        return ret;
    if (vm->process)
        return vm_process_ctrl_alt_del(vm->process, err);
    machine_ctrl_alt_del(vm->machine);
    return 0;
}

int husk_vm_stop(struct husk_vm *vm, struct husk_error *err)
{
    int ret = check_started(vm, "cannot stop the VM", err);

    if (ret)
        return ret;
    if (vm->process)
        return vm_process_stop(vm->process, err);
    machine_stop(vm->machine, HUSK_STOP_HOST_REQUEST, 0, NULL);
    return 0;
}

enum husk_state husk_vm_state(const struct husk_vm *vm)
{
    if (vm->process)
        return vm_process_state(vm->process);
    return vm->machine ? machine_state(vm->machine) : HUSK_STATE_CREATED;
}

void husk_vm_console_resize(struct husk_vm *vm, uint16_t columns, uint16_t rows)
{
    if (vm->process)
        vm_process_console_resize(vm->process, columns, rows);
    else if (vm->machine)
        machine_console_resize(vm->machine, columns, rows);
}

int husk_vm_event_fd(const struct husk_vm *vm)
{
    if (vm->process)
        return vm_process_event_fd(vm->process);
    return vm->machine ? vm->machine->events.fd : -1;
}

int husk_vm_next_event(struct husk_vm *vm, struct husk_event *event)
{
    if (vm->process)
        return vm_process_next_event(vm->process, event);
    return vm->machine ? event_queue_pop(&vm->machine->events, event) : 0;
}

/* Milliseconds left until deadline_ns, rounded up so that a wait is never short. */
static int remaining_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = monotonic_ns();

    return now_ns >= deadline_ns ? 0 : (int)((deadline_ns - now_ns + 999999) / 1000000);
}

int husk_vm_wait_event(struct husk_vm *vm, int timeout_ms, struct husk_event *event)
{
    uint64_t deadline_ns = monotonic_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000;

    if (!husk_vm_is_built(vm))
        return error_set(NULL, EINVAL, "", "cannot wait for events", "the VM is not built");
    for (;;) {
        struct pollfd fd = {.fd = husk_vm_event_fd(vm), .events = POLLIN};
        int left_ms;

        if (husk_vm_next_event(vm, event))
            return 1;
        left_ms = timeout_ms < 0 ? -1 : remaining_ms(deadline_ns);
        if (left_ms == 0)
            return 0;
        if (poll(&fd, 1, left_ms) < 0 && errno != EINTR)
            return -errno;
    }
}

unsigned husk_vm_timeline(const struct husk_vm *vm, struct husk_moment *out, unsigned max)
{
    unsigned count = 0;

    if (vm->process)
        return vm_process_timeline(vm->process, out, max);
    for (unsigned point = 0; vm->machine && point < TIMELINE_POINTS && count < max; point++) {
        uint64_t at_ns = atomic_load(&vm->machine->timeline.at_ns[point]);

        if (at_ns)
            out[count++] = (struct husk_moment){.name = timeline_name(point), .at_ns = at_ns};
    }
    return count;
}

int husk_vm_info(const struct husk_vm *vm, struct husk_vm_info *info)
{
    struct husk_vm_info whole = {.size = info->size};
    int ret = husk_vm_check_built(vm, "cannot tell about the VM", NULL);

    if (ret)
        return ret;
    if (info->size < sizeof(info->size))
        return -EINVAL;
    if (vm->process) {
        whole.kernel_format = vm_process_kernel_format(vm->process);
        whole.kernel_is_linux = vm_process_kernel_is_linux(vm->process);
        whole.pid = vm_process_pid(vm->process);
    } else {
        whole.kernel_format = vm->machine->entry.format;
        whole.kernel_is_linux = vm->machine->entry.is_linux;
        whole.pid = getpid();
    }
    whole.command_line = vm->config.command_line;
    memcpy(info, &whole, min_u64(info->size, sizeof(whole)));
    return 0;
}

void husk_vm_free(struct husk_vm *vm)
{
    if (!vm)
        return;
    machine_destroy(vm->machine);
    vm_process_free(vm->process);
    console_callback_destroy(vm->console); /* after whoever wrote to it */
    machine_config_release(&vm->config);
    process_config_release(&vm->process_config);
    pthread_mutex_destroy(&vm->plug_lock);
    free(vm);
}
