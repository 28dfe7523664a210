// SPDX-License-Identifier: Apache-2.0
/* A configuration in messages, field by field: see config_wire.h. */
#include "vmm/process/config_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jail/jail.h"

static void get_string(struct wire_reader *reader, char **out, bool *no_memory)
{
    const char *text = wire_get_string(reader);

    *out = text ? strdup(text) : NULL;
    if (text && !*out)
        *no_memory = true;
}

static int outcome(const struct wire_reader *reader, bool no_memory)
{
    if (!wire_complete(reader))
        return -EPROTO;
    return no_memory ? -ENOMEM : 0;
}

/* ---- CPU changes ---- */

static void put_cpu_changes(struct wire_writer *writer, const struct machine_config *config)
{
    wire_put_u32(writer, config->cpuid_change_count);
    for (unsigned i = 0; i < config->cpuid_change_count; i++) {
        const struct husk_cpuid_change *change = &config->cpuid_changes[i];
        const uint32_t words[] = {
            change->leaf,     change->subleaf,  change->flags,    change->eax.mask,
            change->eax.bits, change->ebx.mask, change->ebx.bits, change->ecx.mask,
            change->ecx.bits, change->edx.mask, change->edx.bits,
        };

        for (size_t word = 0; word < sizeof(words) / sizeof(words[0]); word++)
            wire_put_u32(writer, words[word]);
    }
    wire_put_u32(writer, config->msr_change_count);
    for (unsigned i = 0; i < config->msr_change_count; i++) {
        wire_put_u32(writer, config->msr_changes[i].index);
        wire_put_u64(writer, config->msr_changes[i].mask);
        wire_put_u64(writer, config->msr_changes[i].bits);
    }
}

/* An array for `count` changes; NULL for none. */
static void *new_changes(struct wire_reader *reader, unsigned count, size_t size, bool *no_memory)
{
    void *changes;

    if (count > CONFIG_CPU_CHANGES_MAX)
        reader->bad = true;
    if (reader->bad || count == 0)
        return NULL;
    changes = calloc(count, size);
    *no_memory |= !changes;
    return changes;
}

static void get_cpuid_changes(struct wire_reader *reader, struct machine_config *config,
                              bool *no_memory)
{
    unsigned count = wire_get_u32(reader);

    config->cpuid_changes = new_changes(reader, count, sizeof(*config->cpuid_changes), no_memory);
    if (!config->cpuid_changes)
        return;
    config->cpuid_change_count = count;
    for (unsigned i = 0; i < count; i++) {
        struct husk_cpuid_change *change = &config->cpuid_changes[i];
        uint32_t *const words[] = {
            &change->leaf,     &change->subleaf,  &change->flags,    &change->eax.mask,
            &change->eax.bits, &change->ebx.mask, &change->ebx.bits, &change->ecx.mask,
            &change->ecx.bits, &change->edx.mask, &change->edx.bits,
        };

        for (size_t word = 0; word < sizeof(words) / sizeof(words[0]); word++)
            *words[word] = wire_get_u32(reader);
    }
}

static void get_msr_changes(struct wire_reader *reader, struct machine_config *config,
                            bool *no_memory)
{
    unsigned count = wire_get_u32(reader);

    config->msr_changes = new_changes(reader, count, sizeof(*config->msr_changes), no_memory);
    if (!config->msr_changes)
        return;
    config->msr_change_count = count;
    for (unsigned i = 0; i < count; i++) {
        config->msr_changes[i].index = wire_get_u32(reader);
        config->msr_changes[i].mask = wire_get_u64(reader);
        config->msr_changes[i].bits = wire_get_u64(reader);
    }
}

/* ---- the VM ---- */

void config_put_vm(struct message *message, struct wire_writer *writer,
                   const struct machine_config *config, int console_in, int console_out)
{
    message_put_fd(message, writer, config->kvm_fd);
    wire_put_u8(writer, config->kvm_is_pvm);
    wire_put_string(writer, config->kernel.path);
    message_put_fd(message, writer, config->kernel.fd);
    wire_put_string(writer, config->initrd.path);
    message_put_fd(message, writer, config->initrd.fd);
    wire_put_string(writer, config->command_line);
    wire_put_u64(writer, config->memory_bytes);
    wire_put_u8(writer, config->memory_shared);
    wire_put_u8(writer, (uint8_t)config->pages);
    wire_put_u32(writer, config->vcpus);
    wire_put_u32(writer, config->threads_per_core);
    put_cpu_changes(writer, config);
    wire_put_u8(writer, (uint8_t)config->console);
    message_put_fd(message, writer, console_in);
    message_put_fd(message, writer, console_out);
    wire_put_u16(writer, config->console_columns);
    wire_put_u16(writer, config->console_rows);
    wire_put_u8(writer, config->rng);
    wire_put_rate(writer, &config->rng_rate);
    wire_put_u8(writer, config->free_page_reporting);
    wire_put_u8(writer, (uint8_t)config->transport);
    wire_put_u8(writer, (uint8_t)config->vfio_iommu);
    message_put_fd(message, writer, config->vfio_iommu_fd);
}

int config_get_vm(struct message *message, struct wire_reader *reader,
                  struct machine_config *config)
{
    bool no_memory = false;

    config->callers_kvm_fd = config->kernel.callers_fd = config->initrd.callers_fd = -1;
    config->confine_threads = true;
    config->kvm_fd = message_take_fd(message, reader);
    config->kvm_is_pvm = wire_get_u8(reader) != 0;
    get_string(reader, &config->kernel.path, &no_memory);
    config->kernel.fd = message_take_fd(message, reader);
    get_string(reader, &config->initrd.path, &no_memory);
    config->initrd.fd = message_take_fd(message, reader);
    get_string(reader, &config->command_line, &no_memory);
    config->memory_bytes = wire_get_u64(reader);
    config->memory_shared = wire_get_u8(reader) != 0;
    config->pages = wire_get_u8(reader);
    config->vcpus = wire_get_u32(reader);
    config->threads_per_core = wire_get_u32(reader);
    get_cpuid_changes(reader, config, &no_memory);
    get_msr_changes(reader, config, &no_memory);
    config->console = wire_get_u8(reader);
    config->console_in_fd = message_take_fd(message, reader);
    config->console_out_fd = message_take_fd(message, reader);
    config->console_columns = wire_get_u16(reader);
    config->console_rows = wire_get_u16(reader);
    config->rng = wire_get_u8(reader) != 0;
    wire_get_rate(reader, &config->rng_rate);
    config->free_page_reporting = wire_get_u8(reader) != 0;
    config->transport = wire_get_u8(reader);
    config->vfio_iommu = wire_get_u8(reader);
    config->vfio_iommu_fd = message_take_fd(message, reader);
    return outcome(reader, no_memory);
}

/* ---- devices ---- */

static void get_id(struct wire_reader *reader, char id[CONFIG_ID_MAX + 1])
{
    const char *text = wire_get_string(reader);

    if (!text || strlen(text) > CONFIG_ID_MAX)
        reader->bad = true;
    else
        memcpy(id, text, strlen(text) + 1);
}

void config_put_drive(struct message *message, struct wire_writer *writer,
                      const struct drive_config *drive)
{
    wire_put_string(writer, drive->id);
    wire_put_string(writer, drive->path);
    message_put_fd(message, writer, drive->fd);
    wire_put_u64(writer, drive->size_bytes);
    wire_put_u32(writer, drive->more_count);
    for (unsigned i = 0; i < drive->more_count; i++) {
        message_put_fd(message, writer, drive->more[i].fd);
        wire_put_u64(writer, drive->more[i].size_bytes);
    }
    wire_put_u8(writer, drive->read_only);
    wire_put_u8(writer, (uint8_t)drive->engine);
    wire_put_u32(writer, drive->queues);
    wire_put_rate(writer, &drive->operations);
    wire_put_rate(writer, &drive->bandwidth);
}

static void get_parts(struct message *message, struct wire_reader *reader,
                      struct drive_config *drive, bool *no_memory)
{
    unsigned count = wire_get_u32(reader);

    if (count > CONFIG_PARTS_MAX)
        reader->bad = true;
    if (reader->bad || count == 0)
        return;
    drive->more = calloc(count, sizeof(*drive->more));
    if (!drive->more) {
        *no_memory = true;
        return;
    }
    for (; drive->more_count < count; drive->more_count++) {
        struct drive_part *part = &drive->more[drive->more_count];

        part->fd = message_take_fd(message, reader);
        part->size_bytes = wire_get_u64(reader);
    }
}

int config_get_plugged_drive(struct message *message, struct wire_reader *reader,
                             struct drive_config *drive)
{
    bool no_memory = false;

    get_id(reader, drive->id);
    get_string(reader, &drive->path, &no_memory);
    drive->fd = message_take_fd(message, reader);
    drive->size_bytes = wire_get_u64(reader);
    get_parts(message, reader, drive, &no_memory);
    drive->read_only = wire_get_u8(reader) != 0;
    drive->engine = wire_get_u8(reader);
    drive->queues = wire_get_u32(reader);
    wire_get_rate(reader, &drive->operations);
    wire_get_rate(reader, &drive->bandwidth);
    return drive->queues > CONFIG_QUEUES_MAX ? -EPROTO : outcome(reader, no_memory);
}

int config_get_drive(struct message *message, struct wire_reader *reader,
                     struct machine_config *config)
{
    if (config->drive_count == CONFIG_DEVICES_MAX)
        return -EPROTO;
    return config_get_plugged_drive(message, reader, &config->drives[config->drive_count++]);
}

void config_put_net(struct message *message, struct wire_writer *writer,
                    const struct net_config *net)
{
    wire_put_string(writer, net->id);
    wire_put_u32(writer, net->queue_pairs);
    for (unsigned i = 0; i < net->queue_pairs; i++) {
        message_put_fd(message, writer, net->tap_fds[i]);
        message_put_fd(message, writer, net->vhost_fds[i]);
    }
    wire_put_bytes(writer, net->mac, sizeof(net->mac));
    wire_put_u16(writer, net->mtu);
    wire_put_u8(writer, (uint8_t)net->vhost);
    wire_put_rate(writer, &net->rx_bandwidth);
    wire_put_rate(writer, &net->tx_bandwidth);
    wire_put_rate(writer, &net->rx_operations);
    wire_put_rate(writer, &net->tx_operations);
}

int config_get_plugged_net(struct message *message, struct wire_reader *reader,
                           struct net_config *net)
{
    unsigned pairs;

    for (unsigned i = 0; i < CONFIG_QUEUES_MAX; i++)
        net->tap_fds[i] = net->vhost_fds[i] = -1;
    get_id(reader, net->id);
    pairs = wire_get_u32(reader);
    if (pairs == 0 || pairs > CONFIG_QUEUES_MAX)
        return -EPROTO;
    net->queue_pairs = pairs;
    for (unsigned i = 0; i < pairs; i++) {
        net->tap_fds[i] = message_take_fd(message, reader);
        net->vhost_fds[i] = message_take_fd(message, reader);
    }
    wire_get_bytes(reader, net->mac, sizeof(net->mac));
    net->mtu = wire_get_u16(reader);
    net->vhost = wire_get_u8(reader);
    wire_get_rate(reader, &net->rx_bandwidth);
    wire_get_rate(reader, &net->tx_bandwidth);
    wire_get_rate(reader, &net->rx_operations);
    wire_get_rate(reader, &net->tx_operations);
    return outcome(reader, false);
}

int config_get_net(struct message *message, struct wire_reader *reader,
                   struct machine_config *config)
{
    if (config->net_count == CONFIG_DEVICES_MAX)
        return -EPROTO;
    return config_get_plugged_net(message, reader, &config->nets[config->net_count++]);
}

void config_put_vfio(struct message *message, struct wire_writer *writer,
                     const struct vfio_config *vfio)
{
    wire_put_string(writer, vfio->id);
    wire_put_string(writer, vfio->address);
    message_put_fd(message, writer, vfio->device_fd);
    message_put_fd(message, writer, vfio->group_fd);
}

static void get_vfio(struct message *message, struct wire_reader *reader, struct vfio_config *vfio)
{
    const char *address;

    get_id(reader, vfio->id);
    address = wire_get_string(reader);
    if (!address || strlen(address) >= sizeof(vfio->address))
        reader->bad = true;
    else
        memcpy(vfio->address, address, strlen(address) + 1);
    vfio->device_fd = message_take_fd(message, reader);
    vfio->group_fd = message_take_fd(message, reader);
}

int config_get_vfio(struct message *message, struct wire_reader *reader,
                    struct machine_config *config)
{
    struct vfio_config *vfio = &config->vfios[config->vfio_count];

    if (config->vfio_count == CONFIG_DEVICES_MAX)
        return -EPROTO;
    config->vfio_count++;
    vfio->iommu = config->vfio_iommu;
    get_vfio(message, reader, vfio);
    return outcome(reader, false);
}

void config_put_plugged_vfio(struct message *message, struct wire_writer *writer,
                             const struct vfio_config *vfio, int iommu_fd)
{
    config_put_vfio(message, writer, vfio);
    wire_put_u64(writer, vfio->group_rdev);
    message_put_fd(message, writer, iommu_fd);
}

int config_get_plugged_vfio(struct message *message, struct wire_reader *reader,
                            struct vfio_config *vfio, int *iommu_fd)
{
    get_vfio(message, reader, vfio);
    vfio->group_rdev = wire_get_u64(reader);
    *iommu_fd = message_take_fd(message, reader);
    return outcome(reader, false);
}

void config_put_vsock(struct message *message, struct wire_writer *writer,
                      const struct vsock_config *vsock)
{
    const char *slash = strrchr(vsock->path, '/');

    wire_put_u32(writer, vsock->guest_cid);
    wire_put_string(writer, slash ? slash + 1 : vsock->path);
    message_put_fd(message, writer, vsock->listen_fd);
}

int config_get_vsock(struct message *message, struct wire_reader *reader,
                     struct machine_config *config)
{
    struct vsock_config *vsock = &config->vsock;
    const char *name;

    if (vsock->present)
        return -EPROTO;
    vsock->present = true;
    vsock->guest_cid = wire_get_u32(reader);
    name = wire_get_string(reader);
    vsock->listen_fd = message_take_fd(message, reader);
    if (!name || !wire_complete(reader))
        return -EPROTO;
    return asprintf(&vsock->connect_prefix, "%s/%s", JAIL_VSOCK_DIRECTORY, name) < 0 ? -ENOMEM : 0;
}
