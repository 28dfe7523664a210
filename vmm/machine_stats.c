// SPDX-License-Identifier: Apache-2.0
/*
 * What a machine did so far: sums of counters that its threads keep (base/counter.h). Reading them
 * stops nobody and waits for no disk, so the numbers of one answer are not of one moment.
 */
#include "devices/backend/console.h"
#include "devices/virtio/devices.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

static void add_vcpus(const struct machine *machine, struct husk_vm_stats *stats)
{
    for (unsigned i = 0; i < machine->vcpu_count; i++) {
        const struct vcpu_counters *counters = vcpu_counters(machine->vcpus[i].vcpu);

        stats->vcpu_exits += counter_read(&counters->exits);
        stats->port_reads += counter_read(&counters->port_reads);
        stats->port_writes += counter_read(&counters->port_writes);
        stats->mmio_reads += counter_read(&counters->mmio_reads);
        stats->mmio_writes += counter_read(&counters->mmio_writes);
        stats->vcpu_cpu_ns += thread_cpu_time_ns(&machine->vcpus[i].cpu_time);
    }
}

static void add_console(const struct machine *machine, struct husk_vm_stats *stats)
{
    struct console_stats console;

    if (!machine->console)
        return;
    console_backend_read_stats(machine->console, &console);
    stats->console_tx_bytes = console.tx_bytes;
    stats->console_rx_bytes = console.rx_bytes;
    stats->console_dropped_bytes = console.dropped_bytes;
}

static void add_vsock(const struct machine *machine, struct husk_vm_stats *stats)
{
    struct virtio_vsock_stats vsock;

    if (!machine->vsock)
        return;
    virtio_vsock_read_stats(machine->vsock, &vsock);
    stats->vsock_tx_bytes = vsock.tx_bytes;
    stats->vsock_rx_bytes = vsock.rx_bytes;
    stats->vsock_connections = vsock.connections;
}

int machine_stats(struct machine *machine, struct husk_vm_stats *stats, struct husk_error *err)
{
    *stats = (struct husk_vm_stats){
        .size = sizeof(*stats),
        .io_cpu_ns = thread_cpu_time_ns(&machine->io_cpu_time),
        .memory_resident_bytes = guest_memory_resident(machine->memory),
        .memory_pinned_bytes = machine_pinned_bytes(machine),
        .rng_bytes = machine->rng ? virtio_rng_bytes(machine->rng) : 0,
        .memory_reported_bytes = machine->balloon ? virtio_balloon_dropped(machine->balloon) : 0,
    };
    add_vcpus(machine, stats);
    add_console(machine, stats);
    add_vsock(machine, stats);
    return 0;
}

int machine_drive_stats(struct machine *machine, const char *id, struct husk_drive_stats *stats,
                        struct husk_error *err)
{
    struct virtio_blk_stats blk;
    int index;

    pthread_mutex_lock(&machine->config->devices_lock);
    index = machine_config_find_drive(machine->config, id, "cannot tell about the drive", err);
    if (index >= 0)
        virtio_blk_read_stats(machine->drives[index].virtio, &blk);
    pthread_mutex_unlock(&machine->config->devices_lock);
    if (index < 0)
        return index;
    *stats = (struct husk_drive_stats){
        .size = sizeof(*stats),
        .read_requests = blk.read_requests,
        .write_requests = blk.write_requests,
        .flush_requests = blk.flush_requests,
        .other_requests = blk.other_requests,
        .read_bytes = blk.read_bytes,
        .write_bytes = blk.write_bytes,
        .failed_requests = blk.failed_requests,
        .throttled = blk.throttled,
    };
    return 0;
}

int machine_net_stats(struct machine *machine, const char *id, struct husk_net_stats *stats,
                      struct husk_error *err)
{
    struct virtio_net_stats net;
    int index;

    pthread_mutex_lock(&machine->config->devices_lock);
    index =
        machine_config_find_net(machine->config, id, "cannot tell about the network device", err);
    if (index >= 0)
        virtio_net_read_stats(machine->nets[index].virtio, &net);
    pthread_mutex_unlock(&machine->config->devices_lock);
    if (index < 0)
        return index;
    *stats = (struct husk_net_stats){
        .size = sizeof(*stats),
        .rx_packets = net.rx_packets,
        .rx_bytes = net.rx_bytes,
        .rx_dropped = net.rx_dropped,
        .rx_throttled = net.rx_throttled,
        .tx_packets = net.tx_packets,
        .tx_bytes = net.tx_bytes,
        .tx_dropped = net.tx_dropped,
        .tx_throttled = net.tx_throttled,
    };
    return 0;
}
