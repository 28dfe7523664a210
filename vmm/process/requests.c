// SPDX-License-Identifier: Apache-2.0
/* What husk-vmm does for each request: see protocol.h for the order in which they come. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "jail/jail.h"
#include "jail/seccomp.h"
#include "vmm/process/config_wire.h"
#include "vmm/process/server_internal.h"

#define CANNOT_BUILD "cannot build the VM"

/* ---- setting up ---- */

int request_out_of_order(struct husk_error *err)
{
    return error_set(err, EINVAL, "husk-vmm", "cannot serve the request", "it is out of order");
}

int request_refused(struct husk_error *err, int code)
{
    return error_set(err, code, "husk-vmm", "cannot serve the request", NULL);
}

/* One line for all, for they have one reason: what this host permits. */
static void tell_gaps(const struct server *server, const struct jail_report *report)
{
    char list[300] = "";
    size_t used = 0;

    for (unsigned i = 0; i < report->count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s (%s)", i ? ", " : "",
                                 report->gaps[i].wall, error_text(report->gaps[i].error));
    if (report->count > 0)
        log_warn(&server->log, "jail", "this host does not permit: %s", list);
}

static int on_hello(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    const char *version = wire_get_string(in);
    uint32_t level = wire_get_u32(in);
    struct jail_plan plan = {.first_free_fd = server->first_free_fd};
    struct jail_report report;
    int ret = 0;

    plan.namespaces = wire_get_u32(in);
    plan.uid = wire_get_u32(in);
    plan.gid = wire_get_u32(in);
    plan.strict = wire_get_u8(in) != 0;
    plan.nofile = wire_get_u32(in);
    plan.memlock_bytes = wire_get_u64(in);
    plan.may_grow = wire_get_u8(in) != 0;
    plan.vsock_dir_fd = message_take_fd(&server->message, in);
    if (!wire_complete(in) || !version || level > LOG_LEVEL_DEBUG || server->jailed)
        ret = request_refused(err, EPROTO);
    else if (strcmp(version, HUSK_VERSION) != 0)
        ret = error_set(err, EPROTO, "husk-vmm", CANNOT_BUILD,
                        "it is of version " HUSK_VERSION ", the library of version %s", version);
    if (ret) {
        close_fd(&plan.vsock_dir_fd);
        return ret;
    }
    server->log.level = level;
    ret = jail_enter(&plan, &report, err);
    if (ret)
        return ret;
    server->jailed = true;
    tell_gaps(server, &report);
    ret = seccomp_install(SECCOMP_BUILD);
    return ret ? error_set(err, -ret, "seccomp", "cannot put up the wall", NULL) : 0;
}

static int on_vm(struct server *server, struct wire_reader *in, struct wire_writer *out,
                 struct husk_error *err)
{
    int ret;

    if (!server->jailed || server->machine || server->config.command_line)
        return request_out_of_order(err);
    ret = config_get_vm(&server->message, in, &server->config);
    return ret ? request_refused(err, -ret) : 0;
}

static int on_drive(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    int ret;

    if (server->machine)
        return request_out_of_order(err);
    ret = config_get_drive(&server->message, in, &server->config);
    return ret ? request_refused(err, -ret) : 0;
}

static int on_net(struct server *server, struct wire_reader *in, struct wire_writer *out,
                  struct husk_error *err)
{
    int ret;

    if (server->machine)
        return request_out_of_order(err);
    ret = config_get_net(&server->message, in, &server->config);
    return ret ? request_refused(err, -ret) : 0;
}

static int on_vsock(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    int ret;

    if (server->machine)
        return request_out_of_order(err);
    ret = config_get_vsock(&server->message, in, &server->config);
    return ret ? request_refused(err, -ret) : 0;
}

static int on_vfio(struct server *server, struct wire_reader *in, struct wire_writer *out,
                   struct husk_error *err)
{
    int ret;

    if (server->machine)
        return request_out_of_order(err);
    ret = config_get_vfio(&server->message, in, &server->config);
    return ret ? request_refused(err, -ret) : 0;
}

static int on_build(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    int ret;

    if (server->machine || !server->config.command_line)
        return request_out_of_order(err);
    ret = machine_build(&server->config, &server->log, &server->machine, err);
    if (!ret)
        ret = machine_make_threads(server->machine, err);
    if (ret)
        return ret;
    /* From here on nothing is made any more; no guest code has run yet. */
    ret = seccomp_install(SECCOMP_CONTROL);
    if (ret)
        return error_set(err, -ret, "seccomp", "cannot put up the wall", NULL);
    wire_put_string(out, server->machine->entry.format);
    wire_put_u8(out, server->machine->entry.is_linux);
    return 0;
}

/* ---- the machine's life ---- */

static int on_start(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    return machine_start(server->machine, err);
}

static int on_pause(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    return machine_pause(server->machine, err);
}

static int on_resume(struct server *server, struct wire_reader *in, struct wire_writer *out,
                     struct husk_error *err)
{
    return machine_resume(server->machine, err);
}

static int on_power_button(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    int ret = machine_check_started(server->machine, "cannot press the power button", err);

    if (!ret)
        machine_power_button(server->machine);
    return ret;
}

static int on_ctrl_alt_del(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    int ret = machine_check_started(server->machine, "cannot press Ctrl-Alt-Del", err);

    if (!ret)
        machine_ctrl_alt_del(server->machine);
    return ret;
}

static int on_stop(struct server *server, struct wire_reader *in, struct wire_writer *out,
                   struct husk_error *err)
{
    int ret = machine_check_started(server->machine, "cannot stop the VM", err);

    if (!ret)
        machine_stop(server->machine, HUSK_STOP_HOST_REQUEST, 0, NULL);
    return ret;
}

static int on_state(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    wire_put_u8(out, (uint8_t)machine_state(server->machine));
    return 0;
}

static int on_console_size(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    uint16_t columns = wire_get_u16(in);
    uint16_t rows = wire_get_u16(in);

    machine_console_resize(server->machine, columns, rows);
    return 0;
}

static int on_timeline(struct server *server, struct wire_reader *in, struct wire_writer *out,
                       struct husk_error *err)
{
    for (unsigned point = 0; point < TIMELINE_POINTS; point++)
        wire_put_u64(out, atomic_load(&server->machine->timeline.at_ns[point]));
    return 0;
}

static int on_shutdown(struct server *server, struct wire_reader *in, struct wire_writer *out,
                       struct husk_error *err)
{
    return machine_shutdown(server->machine, wire_get_u32(in), err);
}

/* NULL: unchanged. */
static const struct husk_rate *get_change(struct wire_reader *in, struct husk_rate *rate)
{
    if (!wire_get_u8(in))
        return NULL;
    wire_get_rate(in, rate);
    return rate;
}

static int on_update_drive(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    struct husk_drive_update update = HUSK_DRIVE_UPDATE_INIT;
    struct husk_rate operations, bandwidth;
    const char *id = wire_get_string(in);
    int ret;

    update.path = wire_get_string(in);
    update.fd = message_take_fd(&server->message, in);
    update.operations = get_change(in, &operations);
    update.bandwidth = get_change(in, &bandwidth);
    ret = wire_complete(in) && id ? machine_update_drive(server->machine, id, &update, err)
                                  : request_refused(err, EPROTO);
    if (ret)
        close_fd(&update.fd);
    return ret;
}

static int on_update_net(struct server *server, struct wire_reader *in, struct wire_writer *out,
                         struct husk_error *err)
{
    struct husk_net_update update = HUSK_NET_UPDATE_INIT;
    struct husk_rate rates[4];
    const char *id = wire_get_string(in);

    update.rx_bandwidth = get_change(in, &rates[0]);
    update.tx_bandwidth = get_change(in, &rates[1]);
    update.rx_operations = get_change(in, &rates[2]);
    update.tx_operations = get_change(in, &rates[3]);
    return wire_complete(in) && id ? machine_update_net(server->machine, id, &update, err)
                                   : request_refused(err, EPROTO);
}

/* What was got of it is closed when it could not be had whole. */
static int on_plug_drive(struct server *server, struct wire_reader *in, struct wire_writer *out,
                         struct husk_error *err)
{
    struct drive_config drive = {.fd = -1};
    int ret = config_get_plugged_drive(&server->message, in, &drive);

    if (!ret)
        return machine_plug_drive(server->machine, &drive, err);
    drive_config_release(&drive);
    return request_refused(err, -ret);
}

static int on_plug_net(struct server *server, struct wire_reader *in, struct wire_writer *out,
                       struct husk_error *err)
{
    struct net_config net = {0};
    int ret = config_get_plugged_net(&server->message, in, &net);

    if (!ret)
        return machine_plug_net(server->machine, &net, err);
    net_config_release(&net);
    return request_refused(err, -ret);
}

static int on_plug_vfio(struct server *server, struct wire_reader *in, struct wire_writer *out,
                        struct husk_error *err)
{
    struct vfio_config vfio = {.device_fd = -1, .group_fd = -1};
    int iommu_fd = -1;
    int ret = config_get_plugged_vfio(&server->message, in, &vfio, &iommu_fd);

    if (!ret)
        return machine_plug_vfio(server->machine, &vfio, iommu_fd, err);
    vfio_config_release(&vfio);
    close_fd(&iommu_fd);
    return request_refused(err, -ret);
}

static int on_unplug_vfio(struct server *server, struct wire_reader *in, struct wire_writer *out,
                          struct husk_error *err)
{
    const char *id = wire_get_string(in);

    return wire_complete(in) && id ? machine_unplug_vfio(server->machine, id, err)
                                   : request_refused(err, EPROTO);
}

static int on_has_vfio(struct server *server, struct wire_reader *in, struct wire_writer *out,
                       struct husk_error *err)
{
    const char *id = wire_get_string(in);

    return wire_complete(in) && id ? machine_has_vfio(server->machine, id, err)
                                   : request_refused(err, EPROTO);
}

static int on_unplug_drive(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    const char *id = wire_get_string(in);

    return wire_complete(in) && id ? machine_unplug_drive(server->machine, id, err)
                                   : request_refused(err, EPROTO);
}

static int on_unplug_net(struct server *server, struct wire_reader *in, struct wire_writer *out,
                         struct husk_error *err)
{
    const char *id = wire_get_string(in);

    return wire_complete(in) && id ? machine_unplug_net(server->machine, id, err)
                                   : request_refused(err, EPROTO);
}

static int on_stats(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    struct husk_vm_stats stats;
    int ret = machine_stats(server->machine, &stats, err);

    if (!ret)
        wire_put_bytes(out, &stats, sizeof(stats));
    return ret;
}

static int on_drive_stats(struct server *server, struct wire_reader *in, struct wire_writer *out,
                          struct husk_error *err)
{
    struct husk_drive_stats stats;
    const char *id = wire_get_string(in);
    int ret =
        id ? machine_drive_stats(server->machine, id, &stats, err) : request_refused(err, EPROTO);

    if (!ret)
        wire_put_bytes(out, &stats, sizeof(stats));
    return ret;
}

static int on_net_stats(struct server *server, struct wire_reader *in, struct wire_writer *out,
                        struct husk_error *err)
{
    struct husk_net_stats stats;
    const char *id = wire_get_string(in);
    int ret =
        id ? machine_net_stats(server->machine, id, &stats, err) : request_refused(err, EPROTO);

    if (!ret)
        wire_put_bytes(out, &stats, sizeof(stats));
    return ret;
}

static int on_free(struct server *server, struct wire_reader *in, struct wire_writer *out,
                   struct husk_error *err)
{
    machine_destroy(server->machine);
    server->machine = NULL;
    server->finished = true;
    return 0;
}

const struct request requests[] = {
    [PROTOCOL_HELLO] = {on_hello, false},
    [PROTOCOL_VM] = {on_vm, false},
    [PROTOCOL_DRIVE] = {on_drive, false},
    [PROTOCOL_NET] = {on_net, false},
    [PROTOCOL_VSOCK] = {on_vsock, false},
    [PROTOCOL_BUILD] = {on_build, false},
    [PROTOCOL_START] = {on_start, true},
    [PROTOCOL_PAUSE] = {on_pause, true},
    [PROTOCOL_RESUME] = {on_resume, true},
    [PROTOCOL_POWER_BUTTON] = {on_power_button, true},
    [PROTOCOL_CTRL_ALT_DEL] = {on_ctrl_alt_del, true},
    [PROTOCOL_STOP] = {on_stop, true},
    [PROTOCOL_STATE] = {on_state, true},
    [PROTOCOL_CONSOLE_SIZE] = {on_console_size, true},
    [PROTOCOL_TIMELINE] = {on_timeline, true},
    [PROTOCOL_SHUTDOWN] = {on_shutdown, true},
    [PROTOCOL_UPDATE_DRIVE] = {on_update_drive, true},
    [PROTOCOL_UPDATE_NET] = {on_update_net, true},
    [PROTOCOL_PLUG_DRIVE] = {on_plug_drive, true},
    [PROTOCOL_PLUG_NET] = {on_plug_net, true},
    [PROTOCOL_UNPLUG_DRIVE] = {on_unplug_drive, true},
    [PROTOCOL_UNPLUG_NET] = {on_unplug_net, true},
    [PROTOCOL_STATS] = {on_stats, true},
    [PROTOCOL_DRIVE_STATS] = {on_drive_stats, true},
    [PROTOCOL_NET_STATS] = {on_net_stats, true},
    [PROTOCOL_VFIO] = {on_vfio, false},
    [PROTOCOL_PLUG_VFIO] = {on_plug_vfio, true},
    [PROTOCOL_UNPLUG_VFIO] = {on_unplug_vfio, true},
    [PROTOCOL_HAS_VFIO] = {on_has_vfio, true},
    [PROTOCOL_FREE] = {on_free, false},
};

const unsigned request_count = ARRAY_SIZE(requests);
