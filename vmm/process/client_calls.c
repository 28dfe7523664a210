// SPDX-License-Identifier: Apache-2.0
/* The calls on a jailed VM that is built: see client.h. */
#include <errno.h>

#include "base/error.h"
#include "base/timeline.h"
#include "vmm/process/internal.h"

int vm_process_start(struct vm_process *process, struct husk_error *err)
{
    return call_simply(process, PROTOCOL_START, "cannot start the VM", ANSWER_MS, err);
}

int vm_process_pause(struct vm_process *process, struct husk_error *err)
{
    atomic_fetch_add(&process->pauses, 1);
    return call_simply(process, PROTOCOL_PAUSE, "cannot pause the VM", LONG_ANSWER_MS, err);
}

int vm_process_resume(struct vm_process *process, struct husk_error *err)
{
    atomic_fetch_add(&process->resumes, 1);
    return call_simply(process, PROTOCOL_RESUME, "cannot resume the VM", ANSWER_MS, err);
}

int vm_process_power_button(struct vm_process *process, struct husk_error *err)
{
    return call_simply(process, PROTOCOL_POWER_BUTTON, "cannot press the power button", ANSWER_MS,
                       err);
}

int vm_process_ctrl_alt_del(struct vm_process *process, struct husk_error *err)
{
    return call_simply(process, PROTOCOL_CTRL_ALT_DEL, "cannot press Ctrl-Alt-Del", ANSWER_MS, err);
}

int vm_process_stop(struct vm_process *process, struct husk_error *err)
{
    return call_simply(process, PROTOCOL_STOP, "cannot stop the VM", ANSWER_MS, err);
}

enum husk_state vm_process_state(struct vm_process *process)
{
    enum husk_state state = HUSK_STATE_STOPPED;
    struct call call;

    if (process_has_ended(process))
        return state;
    call_begin(&call, process, PROTOCOL_STATE, "cannot ask for the VM's state");
    if (call_finish(&call, ANSWER_MS, NULL) == 0) {
        uint8_t answer = wire_get_u8(&call.in);

        if (call_check(&call, NULL) == 0 && answer <= HUSK_STATE_STOPPED)
            state = answer;
    }
    call_end(&call);
    return state;
}

void vm_process_console_resize(struct vm_process *process, uint16_t columns, uint16_t rows)
{
    struct call call;

    call_begin(&call, process, PROTOCOL_CONSOLE_SIZE, "cannot resize the console");
    wire_put_u16(&call.out, columns);
    wire_put_u16(&call.out, rows);
    call_finish(&call, ANSWER_MS, NULL);
    call_end(&call);
}

unsigned vm_process_timeline(struct vm_process *process, struct husk_moment *out, unsigned max)
{
    unsigned count = 0;
    struct call call;

    call_begin(&call, process, PROTOCOL_TIMELINE, "cannot ask for the VM's timeline");
    if (call_finish(&call, ANSWER_MS, NULL) == 0) {
        for (unsigned point = 0; point < TIMELINE_POINTS && count < max; point++) {
            uint64_t at_ns = wire_get_u64(&call.in);

            if (at_ns)
                out[count++] = (struct husk_moment){.name = timeline_name(point), .at_ns = at_ns};
        }
    }
    call_end(&call);
    return count;
}

int vm_process_shutdown(struct vm_process *process, unsigned grace_ms, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, PROTOCOL_SHUTDOWN, "cannot shut the VM down");
    wire_put_u32(&call.out, grace_ms);
    ret = call_finish(&call, ANSWER_MS, err);
    call_end(&call);
    return ret;
}

/* NULL: unchanged. */
static void put_change(struct wire_writer *writer, const struct husk_rate *rate)
{
    wire_put_u8(writer, rate != NULL);
    if (rate)
        wire_put_rate(writer, rate);
}

int vm_process_update_drive(struct vm_process *process, const char *id,
                            const struct husk_drive_update *update, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, PROTOCOL_UPDATE_DRIVE, "cannot change the drive");
    wire_put_string(&call.out, id);
    wire_put_string(&call.out, update->path);
    message_put_fd(&process->request, &call.out, update->fd);
    put_change(&call.out, update->operations);
    put_change(&call.out, update->bandwidth);
    ret = call_finish(&call, LONG_ANSWER_MS, err);
    call_end(&call);
    return ret;
}

int vm_process_update_net(struct vm_process *process, const char *id,
                          const struct husk_net_update *update, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, PROTOCOL_UPDATE_NET, "cannot change the network device");
    wire_put_string(&call.out, id);
    put_change(&call.out, update->rx_bandwidth);
    put_change(&call.out, update->tx_bandwidth);
    put_change(&call.out, update->rx_operations);
    put_change(&call.out, update->tx_operations);
    ret = call_finish(&call, ANSWER_MS, err);
    call_end(&call);
    return ret;
}

/* Counters of one kind, as the struct of this release: both programs are of one. Whatever the
 * process says is a number. */
static int ask_counters(struct vm_process *process, enum protocol_kind kind, const char *what,
                        const char *id, void *out, size_t size, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, kind, what);
    if (id)
        wire_put_string(&call.out, id);
    ret = call_finish(&call, ANSWER_MS, err);
    if (!ret) {
        wire_get_bytes(&call.in, out, size);
        ret = call_check(&call, err);
    }
    call_end(&call);
    return ret;
}

int vm_process_stats(struct vm_process *process, struct husk_vm_stats *stats,
                     struct husk_error *err)
{
    return ask_counters(process, PROTOCOL_STATS, "cannot tell about the VM", NULL, stats,
                        sizeof(*stats), err);
}

int vm_process_drive_stats(struct vm_process *process, const char *id,
                           struct husk_drive_stats *stats, struct husk_error *err)
{
    return ask_counters(process, PROTOCOL_DRIVE_STATS, "cannot tell about the drive", id, stats,
                        sizeof(*stats), err);
}

int vm_process_net_stats(struct vm_process *process, const char *id, struct husk_net_stats *stats,
                         struct husk_error *err)
{
    return ask_counters(process, PROTOCOL_NET_STATS, "cannot tell about the network device", id,
                        stats, sizeof(*stats), err);
}

bool vm_process_has_stopped(struct vm_process *process)
{
    return atomic_load(&process->stopped_delivered) || process_has_ended(process);
}

pid_t vm_process_pid(const struct vm_process *process)
{
    return process->pid;
}

const char *vm_process_kernel_format(const struct vm_process *process)
{
    return process->kernel_format;
}

bool vm_process_kernel_is_linux(const struct vm_process *process)
{
    return process->kernel_is_linux;
}
