// SPDX-License-Identifier: Apache-2.0
/*
 * husk vm: control a running VM through its API socket, that of `husk run --api-sock` or `husk
 * serve`. vm_options.h is its command line, vm_client.h talks to the socket, vm_body.h says what is
 * asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/cli.h"
#include "cli/vm_body.h"
#include "cli/vm_client.h"
#include "cli/vm_options.h"

/* The VM understood and said no. */
#define STATUS_REFUSED 1

#define GUEST_PATIENCE_S 30u

/* A request that is answered by nothing but success. Takes the body over. */
static int ask(struct vm_socket *vm, const char *verb, const char *path, json_t *body,
               struct husk_error *err)
{
    json_t *result = NULL;
    int ret = body ? vm_request(vm, verb, path, body, &result, err)
                   : error_set(err, ENOMEM, vm->path, "cannot make the request", NULL);

    json_decref(body);
    json_decref(result);
    return ret;
}

/* A kind of devices: where they are among resources, in the configuration, and which member is the
 * id. */
struct kind {
    const char *name, *member, *prefix;
};

static const struct kind drives = {"drives", "drive_id", "drive"};
static const struct kind nets = {"network-interfaces", "iface_id", "net"};
static const struct kind vfios = {"vfio", "vfio_id", "vfio"};

/* Whether the VM has a device of this id. 1, 0 or -errno. */
static int is_there(struct vm_socket *vm, const struct kind *kind, const char *id,
                    struct husk_error *err)
{
    json_t *config = NULL;
    int ret = vm_request(vm, "GET", "/vm/config", NULL, &config, err);

    if (!ret)
        ret = vm_has_id(json_object_get(config, kind->name), kind->member, id);
    json_decref(config);
    return ret;
}

/* A guest is asked to let go of a device, and takes its time. */
static int wait_until_gone(struct vm_socket *vm, const struct kind *kind, const char *id,
                           struct husk_error *err)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    uint64_t deadline_ns = monotonic_ns() + GUEST_PATIENCE_S * 1000000000ull;
    int ret;

    while ((ret = is_there(vm, kind, id, err)) == 1) {
        if (monotonic_ns() > deadline_ns) {
            snprintf(
                vm->refusal, sizeof(vm->refusal),
                "%s: the guest has not let go of it within %u seconds; it is gone when it does", id,
                GUEST_PATIENCE_S);
            return -ECANCELED;
        }
        nanosleep(&pause, NULL);
    }
    return ret;
}

static int remove_device(struct vm_socket *vm, const char *id, const struct kind *kind,
                         struct husk_error *err)
{
    json_t *result = NULL;
    char path[128];
    int ret;

    if (!vm_id_is_valid(id))
        return error_set(err, ENOENT, vm->path, "there is no such device", "%s", id);
    snprintf(path, sizeof(path), "/%s/%s", kind->name, id);
    ret = vm_request(vm, "DELETE", path, NULL, &result, err);
    json_decref(result);
    return ret ? ret : wait_until_gone(vm, kind, id, err);
}

/* The id for a device without one: the first free "drive1", "drive2", … */
static int choose_id(struct vm_socket *vm, const struct kind *kind, char id[VM_ID_SIZE],
                     struct husk_error *err)
{
    json_t *config = NULL;
    int ret = vm_request(vm, "GET", "/vm/config", NULL, &config, err);

    if (!ret)
        vm_free_id(json_object_get(config, kind->name), kind->member, kind->prefix, id);
    json_decref(config);
    return ret;
}

static int add_drive(struct vm_socket *vm, const struct vm_options *options, struct husk_error *err)
{
    char id[VM_ID_SIZE], path[128];
    json_t *body = NULL;
    int ret = 0;

    if (options->drive.id)
        snprintf(id, sizeof(id), "%s", options->drive.id);
    else
        ret = choose_id(vm, &drives, id, err);
    if (!ret)
        ret = vm_drive_body(&options->drive, id, &body, err);
    if (ret)
        return ret;
    snprintf(path, sizeof(path), "/drives/%s", id);
    ret = ask(vm, "PUT", path, body, err);
    if (!ret)
        printf("%s\n", id);
    return ret;
}

static int add_net(struct vm_socket *vm, const struct vm_options *options, struct husk_error *err)
{
    char id[VM_ID_SIZE], path[128];
    int ret = 0;

    if (options->net.id)
        snprintf(id, sizeof(id), "%s", options->net.id);
    else
        ret = choose_id(vm, &nets, id, err);
    if (ret)
        return ret;
    snprintf(path, sizeof(path), "/network-interfaces/%s", id);
    ret = ask(vm, "PUT", path, vm_net_body(&options->net, id), err);
    if (!ret)
        printf("%s\n", id);
    return ret;
}

static int add_vfio(struct vm_socket *vm, const struct vm_options *options, struct husk_error *err)
{
    char id[VM_ID_SIZE], path[128];
    int ret = 0;

    if (options->vfio.id)
        snprintf(id, sizeof(id), "%s", options->vfio.id);
    else
        ret = choose_id(vm, &vfios, id, err);
    if (ret)
        return ret;
    snprintf(path, sizeof(path), "/vfio/%s", id);
    ret = ask(vm, "PUT", path, vm_vfio_body(&options->vfio, id), err);
    if (!ret)
        printf("%s\n", id);
    return ret;
}

static int info(struct vm_socket *vm, const struct vm_options *options, struct husk_error *err)
{
    json_t *instance = NULL, *config = NULL, *both;
    int ret = vm_request(vm, "GET", "/", NULL, &instance, err);

    if (!ret)
        ret = vm_request(vm, "GET", "/vm/config", NULL, &config, err);
    if (!ret && options->json) {
        both = json_pack("{s:O, s:O}", "instance", instance, "config", config);
        if (!both || json_dumpf(both, stdout, JSON_INDENT(2)))
            ret = error_set(err, EIO, "standard output", "cannot write the report", NULL);
        printf("\n");
        json_decref(both);
    } else if (!ret) {
        vm_info_print(stdout, instance, config);
    }
    json_decref(instance);
    json_decref(config);
    return ret;
}

static int act(struct vm_socket *vm, const struct vm_options *options, struct husk_error *err)
{
    switch (options->action) {
    case VM_INFO:
        return info(vm, options, err);
    case VM_PAUSE:
        return ask(vm, "PATCH", "/vm", json_pack("{s:s}", "state", "Paused"), err);
    case VM_RESUME:
        return ask(vm, "PATCH", "/vm", json_pack("{s:s}", "state", "Resumed"), err);
    case VM_CTRL_ALT_DEL:
        return ask(vm, "PUT", "/actions", json_pack("{s:s}", "action_type", "SendCtrlAltDel"), err);
    case VM_DRIVE_ADD:
        return add_drive(vm, options, err);
    case VM_DRIVE_REMOVE:
        return remove_device(vm, options->id, &drives, err);
    case VM_NET_ADD:
        return add_net(vm, options, err);
    case VM_NET_REMOVE:
        return remove_device(vm, options->id, &nets, err);
    case VM_VFIO_ADD:
        return add_vfio(vm, options, err);
    case VM_VFIO_REMOVE:
        return remove_device(vm, options->id, &vfios, err);
    }
    return -EINVAL;
}

static int run_vm(int argc, char **argv, uint64_t started_ns)
{
    struct husk_error err = {0};
    struct vm_options options;
    int status = vm_options_parse(&options, argc, argv);
    int ret;

    if (!status && options.help) {
        command_print_help(&cmd_vm);
    } else if (!status) {
        struct vm_socket vm = {.path = options.socket};

        ret = act(&vm, &options, &err);
        if (ret == -ECANCELED)
            cli_message("%s: refused by the VM: %s", vm.path, vm.refusal);
        else if (ret)
            cli_error(&err);
        status = ret == -ECANCELED ? STATUS_REFUSED : ret ? STATUS_MONITOR_ERROR : STATUS_OK;
    }
    vm_options_release(&options);
    return status;
}

const struct command cmd_vm = {
    .name = "vm",
    .summary = "control a running microVM through its API socket",
    .synopsis =
        "vm info|pause|resume|ctrl-alt-del SOCKET; vm drive|net|vfio add|remove SOCKET ARGUMENT",
    .help =
        "  info SOCKET [--json]     what the VM is and has\n"
        "  pause SOCKET             every CPU of it stands still\n"
        "  resume SOCKET\n"
        "  ctrl-alt-del SOCKET      type these keys\n"
        "  drive add SOCKET FILE[,id=ID][,ro][,engine=uring|threads][,iops=N][,bw=SIZE]\n"
        "                           plug a disk in, as -d of `husk run`; prints its id\n"
        "  drive remove SOCKET ID   ask the guest to let go of it, and wait until it is gone\n"
        "  net add SOCKET tap=NAME[,id=ID][,mac=MAC][,mtu=N][,bw=SIZE]\n"
        "                           plug an interface in, as -n; prints its id\n"
        "  net remove SOCKET ID     likewise\n"
        "  vfio add SOCKET ADDRESS[,id=ID][,iommu=auto|iommufd|group]\n"
        "                           plug in a PCI device of the host, bound to vfio-pci, as "
        "--vfio;\n"
        "                           prints its id\n"
        "  vfio remove SOCKET ID    likewise\n"
        "\n"
        "SOCKET is what --api-sock of `husk run` or `husk serve` names. Devices come and go on a\n"
        "PCI bus only (--transport pci, --enable-pci).\n"
        "\n"
        "Exit status: 0 done; 1 the VM or its guest refused; 119 usage error; 125 no VM answers "
        "there, or the\n"
        "host failed.\n",
    .run = run_vm,
};
