// SPDX-License-Identifier: Apache-2.0
/*
 * An API for a VM that its caller made with libhusk: the options become the settings that a client
 * would have put for the same VM, so that what it reads back is of one kind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "vmm/api/device_kind.h"

#define MIB 1048576u

/* A copy that JSON can say: paths may be any bytes, JSON is UTF-8. */
static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    json_t *value = copy ? json_string(copy) : NULL;

    if (copy && !value)
        make_printable(copy);
    json_decref(value);
    return copy;
}

static struct json_number number(uint64_t value)
{
    return (struct json_number){true, value};
}

/* A rate as the bucket that gives it: see rate_of_bucket(). */
static void put_rate(struct limiter_settings *limiter, struct bucket_settings *bucket,
                     struct husk_rate rate)
{
    if (!rate.per_second)
        return;
    limiter->given = bucket->given = true;
    bucket->size = number(rate.per_second);
    bucket->refill_time = number(1000);
}

static bool add_drive(struct api *api, const struct husk_drive_options *options)
{
    struct drive_settings drive = {.given = true};

    if (api->drive_count == API_DEVICES_MAX)
        return false;
    drive.drive_id = device_next_id(api, &drive_kind, options->id);
    drive.path_on_host = copy_text(options->path);
    drive.is_root_device.given = true;
    drive.cache_type = (struct json_choice){true, CACHE_WRITEBACK};
    drive.is_read_only = (struct json_flag){true, options->read_only != 0};
    if (options->engine != HUSK_BLOCK_ENGINE_AUTO)
        drive.io_engine = (struct json_choice){
            true, options->engine == HUSK_BLOCK_ENGINE_URING ? IO_ENGINE_ASYNC : IO_ENGINE_SYNC};
    put_rate(&drive.rate_limiter, &drive.rate_limiter.ops, options->operations);
    put_rate(&drive.rate_limiter, &drive.rate_limiter.bandwidth, options->bandwidth);
    if (!drive.drive_id || (options->path && !drive.path_on_host)) {
        json_release(&drive_shape, &drive);
        return false;
    }
    device_set(api, &drive_kind, api->drive_count, &drive);
    return true;
}

static bool add_net(struct api *api, const struct husk_net_options *options)
{
    static const uint8_t none[6];
    struct net_settings net = {.given = true};

    if (api->net_count == API_DEVICES_MAX)
        return false;
    net.iface_id = device_next_id(api, &net_kind, options->id);
    net.host_dev_name = copy_text(options->tap_name ? options->tap_name : "");
    if (memcmp(options->mac, none, sizeof(none)) != 0 &&
        asprintf(&net.guest_mac, "%02x:%02x:%02x:%02x:%02x:%02x", options->mac[0], options->mac[1],
                 options->mac[2], options->mac[3], options->mac[4], options->mac[5]) < 0)
        net.guest_mac = NULL;
    if (options->mtu)
        net.mtu = number(options->mtu);
    put_rate(&net.rx_rate_limiter, &net.rx_rate_limiter.bandwidth, options->rx_bandwidth);
    put_rate(&net.rx_rate_limiter, &net.rx_rate_limiter.ops, options->rx_operations);
    put_rate(&net.tx_rate_limiter, &net.tx_rate_limiter.bandwidth, options->tx_bandwidth);
    put_rate(&net.tx_rate_limiter, &net.tx_rate_limiter.ops, options->tx_operations);
    if (!net.iface_id || !net.host_dev_name) {
        json_release(&net_shape, &net);
        return false;
    }
    device_set(api, &net_kind, api->net_count, &net);
    return true;
}

static bool add_vfio(struct api *api, const struct husk_vfio_options *options)
{
    struct vfio_settings vfio = {.given = true};

    if (api->vfio_count == API_DEVICES_MAX)
        return false;
    vfio.vfio_id = device_next_id(api, &vfio_kind, options->id);
    vfio.address = copy_text(options->address);
    vfio.iommu = (struct json_choice){true, options->iommu};
    if (!vfio.vfio_id || !vfio.address) {
        json_release(&vfio_shape, &vfio);
        return false;
    }
    device_set(api, &vfio_kind, api->vfio_count, &vfio);
    return true;
}

static bool describe_machine(struct api *api, const struct api_machine *machine)
{
    const struct husk_vm_options *options = machine->options;
    struct husk_vm_info info = {.size = sizeof(info)};

    if (options->vcpus)
        api->machine.vcpu_count = number(options->vcpus);
    api->machine.mem_size_mib =
        number((options->memory_bytes ? options->memory_bytes + MIB - 1 : 256ull * MIB) / MIB);
    api->machine.smt.value = options->threads_per_core == 2;
    if (options->pages == HUSK_PAGES_2M)
        api->machine.huge_pages.value = HUGE_PAGES_2M;
    api->entropy.given = !options->no_rng;
    api->boot.kernel_image_path = copy_text(options->kernel_path ? options->kernel_path : "");
    api->boot.initrd_path = copy_text(options->initrd_path);
    if (husk_vm_info(machine->vm, &info) == 0)
        api->boot.boot_args = copy_text(info.command_line);
    api->boot.given = api->boot.kernel_image_path != NULL;
    if (machine->vsock) {
        api->vsock.guest_cid = number(machine->vsock->guest_cid);
        api->vsock.uds_path = copy_text(machine->vsock->path);
        api->vsock.given = api->vsock.uds_path != NULL;
    }
    return api->boot.given && api->vsock.given == (machine->vsock != NULL);
}

/* What enum husk_transport says. */
static bool has_pci(const struct api_machine *machine)
{
    return machine->options->transport == HUSK_TRANSPORT_PCI ||
           (machine->options->transport == HUSK_TRANSPORT_AUTO && machine->vfio_count > 0);
}

int api_attach(struct api *api, const struct api_machine *machine, struct husk_error *err)
{
    bool all = describe_machine(api, machine);

    for (unsigned i = 0; all && i < machine->drive_count; i++)
        all = add_drive(api, &machine->drives[i]);
    for (unsigned i = 0; all && i < machine->net_count; i++)
        all = add_net(api, &machine->nets[i]);
    for (unsigned i = 0; all && i < machine->vfio_count; i++)
        all = add_vfio(api, &machine->vfios[i]);
    if (!all)
        return error_set(err, ENOMEM, "", "cannot serve the VM", NULL);
    api->options.enable_pci = has_pci(machine);
    api->vm = machine->vm;
    api->attached = true;
    return 0;
}
