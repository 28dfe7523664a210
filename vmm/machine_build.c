// SPDX-License-Identifier: Apache-2.0
/*
 * Building a machine: the list of start-up steps at the end of this file, in order, each a function
 * above it. A step that fails fills the error; machine_destroy() takes what the steps before it
 * made, and copes with all that they did not.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "vmm/bus.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

#define CANNOT_BUILD "cannot build the VM"

static int create_vm(struct machine *machine, struct husk_error *err)
{
    unsigned requirement_count;
    const struct kvm_requirement *requirements = arch_requirements(&requirement_count);
    unsigned vcpus_max;
    int ret =
        kvm_open(&machine->kvm, machine->config->kvm_fd, requirements, requirement_count, err);

    machine->config->kvm_fd = -1;
    if (ret)
        return ret;
    vcpus_max = arch_vcpus_max(&machine->kvm);
    if (machine->config->vcpus > vcpus_max)
        return error_set(err, ERANGE, "vcpus", CANNOT_BUILD,
                         "%u were asked for, and KVM gives at most %u here", machine->config->vcpus,
                         vcpus_max);
    return arch_cpu_model_create(&machine->kvm, machine->config, machine->log, &machine->cpu_model,
                                 err);
}

/* Guest memory is only reserved, so that it may exceed what the host has. */
static void warn_overcommit(const struct machine *machine)
{
    struct sysinfo host;
    uint64_t host_bytes;

    if (sysinfo(&host) < 0)
        return;
    host_bytes = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
    if (machine->config->memory_bytes > host_bytes)
        log_warn(machine->log, "memory",
                 "the guest has %llu MiB, the host %llu MiB with swap: the VM will end when it "
                 "uses more",
                 (unsigned long long)(machine->config->memory_bytes >> 20),
                 (unsigned long long)(host_bytes >> 20));
}

static enum guest_memory_backing memory_backing(const struct machine_config *config)
{
    if (config->pages == HUSK_PAGES_2M)
        return config->memory_shared ? GUEST_MEMORY_SHARED_2M : GUEST_MEMORY_PRIVATE_2M;
    return config->memory_shared ? GUEST_MEMORY_SHARED : GUEST_MEMORY_PRIVATE;
}

static int create_memory(struct machine *machine, struct husk_error *err)
{
    struct arch_layout *layout = &machine->layout;
    uint64_t reach = arch_cpu_model_address_end(machine->cpu_model);
    int ret;

    arch_layout_init(layout, machine->config->memory_bytes);
    if (layout->address_end > reach)
        return error_set(err, ERANGE, "memory", CANNOT_BUILD,
                         "the host's processor addresses %llu GiB",
                         (unsigned long long)(reach >> 30));
    if (machine->config->transport == HUSK_TRANSPORT_PCI)
        arch_layout_add_pci(layout, reach);
    warn_overcommit(machine);
    ret = guest_memory_create(layout->ram, layout->ram_count, memory_backing(machine->config),
                              &machine->memory, err);
    if (ret)
        return ret;
    return kvm_map_memory(&machine->kvm, machine->memory, err);
}

static int create_interrupt_chips(struct machine *machine, struct husk_error *err)
{
    return arch_vm_init(&machine->kvm, err);
}

static int create_buses(struct machine *machine, struct husk_error *err)
{
    struct bus_accelerator port_accelerator = kvm_port_accelerator(&machine->kvm);
    struct bus_accelerator mmio_accelerator = kvm_mmio_accelerator(&machine->kvm);
    int ret = event_loop_create(&machine->loop);

    if (!ret)
        ret = event_loop_add_timer(machine->loop, machine_shutdown_due, machine,
                                   &machine->shutdown_timer);
    if (!ret)
        ret = bus_create(&port_accelerator, &machine->ports);
    if (!ret)
        ret = bus_create(&mmio_accelerator, &machine->mmio);
    if (ret)
        return error_set(err, -ret, "", "cannot create the VM's buses", NULL);
    machine->device_env = (struct device_env){
        .memory = machine->memory,
        .ports = machine->ports,
        .mmio = machine->mmio,
        .loop = machine->loop,
        .log = machine->log,
    };
    return 0;
}

static int write_tables(struct machine *machine, struct husk_error *err)
{
    struct arch_power_registers power = machine_power_registers();

    return arch_write_tables(machine->memory, &machine->layout, machine->config->vcpus,
                             machine->devices, &power, err);
}

/* The files are not needed any more once they are loaded. */
static int load_kernel(struct machine *machine, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    const struct boot_options options = {
        .kernel_fd = config->kernel.fd,
        .kernel_name = config->kernel.path ? config->kernel.path : "kernel",
        .initrd_fd = config->initrd.fd,
        .initrd_name = config->initrd.path ? config->initrd.path : "initrd",
        .command_line = config->command_line,
        .layout = machine->layout.boot,
    };
    int ret = boot_load(machine->memory, &options, &machine->entry, err);

    close_fd(&config->initrd.fd);
    close_fd(&config->kernel.fd);
    return ret;
}

static int create_vcpus(struct machine *machine, struct husk_error *err)
{
    unsigned count = machine->config->vcpus;

    machine->vcpu_env = (struct vcpu_env){
        .kvm = &machine->kvm,
        .ports = machine->ports,
        .mmio = machine->mmio,
        .timeline = &machine->timeline,
        .host_is_pvm = machine->config->kvm_is_pvm,
    };
    machine->vcpus = calloc(count, sizeof(*machine->vcpus));
    if (!machine->vcpus)
        return error_set(err, ENOMEM, "vcpus", CANNOT_BUILD, NULL);
    machine->vcpu_count = count;
    for (unsigned i = 0; i < count; i++) {
        struct machine_vcpu *slot = &machine->vcpus[i];
        int ret = vcpu_create(&machine->vcpu_env, i, &slot->vcpu, err);

        if (!ret)
            ret = arch_vcpu_init(vcpu_fd(slot->vcpu), machine->cpu_model, i, &machine->layout.boot,
                                 i == 0 ? &machine->entry : NULL, err);
        if (ret)
            return ret;
        slot->machine = machine;
    }
    return 0;
}

/*
 * The start-up, from top to bottom. Memory comes before the interrupt chips: with those in place
 * KVM waits for milliseconds (an SRCU grace period) when a memory slot is set, without them not.
 */
static const struct build_step {
    int (*run)(struct machine *machine, struct husk_error *err);
    enum timeline_point reached; /* TIMELINE_POINTS: not a moment of its own */
} build_steps[] = {
    {create_vm, TIMELINE_KVM},
    {create_memory, TIMELINE_MEMORY},
    {create_interrupt_chips, TIMELINE_POINTS},
    {create_buses, TIMELINE_POINTS},
    {machine_create_devices, TIMELINE_DEVICES},
    {machine_create_vfio,
     TIMELINE_POINTS},               /* before the kernel, which is copied into pinned memory */
    {write_tables, TIMELINE_POINTS}, /* before the kernel: the boot information names the RSDP */
    {load_kernel, TIMELINE_LOADED},
    {create_vcpus, TIMELINE_VCPUS},
};

static int create_empty(struct machine_config *config, const struct log *log, struct machine **out)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    int ret;

    if (!machine)
        return -ENOMEM;
    ret = event_queue_init(&machine->events);
    if (ret) {
        free(machine);
        return ret;
    }
    machine->config = config;
    machine->log = log;
    machine->kvm = (struct kvm)KVM_CLOSED;
    machine->kvm_vfio_fd = -1;
    pthread_mutex_init(&machine->kvm_vfio_lock, NULL);
    memslots_init(&machine->memslots, &machine->kvm);
    machine->end.type = HUSK_EVENT_STOPPED;
    interrupts_init(&machine->interrupts, &machine->kvm, arch_free_gsis);
    pthread_mutex_init(&machine->control_lock, NULL);
    pthread_mutex_init(&machine->lock, NULL);
    pthread_cond_init(&machine->changed, NULL);
    *out = machine;
    return 0;
}

int machine_build(struct machine_config *config, const struct log *log, struct machine **out,
                  struct husk_error *err)
{
    struct machine *machine;
    int ret = create_empty(config, log, &machine);

    if (ret)
        return error_set(err, -ret, "", CANNOT_BUILD, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(build_steps); i++) {
        ret = build_steps[i].run(machine, err);
        if (ret) {
            machine_destroy(machine);
            return ret;
        }
        if (build_steps[i].reached != TIMELINE_POINTS)
            timeline_mark(&machine->timeline, build_steps[i].reached);
    }
    *out = machine;
    return 0;
}

void machine_destroy(struct machine *machine)
{
    if (!machine)
        return;
    machine_join(machine);
    for (unsigned i = 0; i < machine->vcpu_count; i++)
        vcpu_destroy(machine->vcpus[i].vcpu);
    free(machine->vcpus);
    machine_destroy_devices(machine);
    machine_destroy_vfio(machine);
    interrupts_release(&machine->interrupts);
    bus_destroy(machine->mmio);
    bus_destroy(machine->ports);
    event_loop_destroy(machine->loop);
    arch_cpu_model_destroy(machine->cpu_model);
    close_fd(&machine->kvm_vfio_fd);
    kvm_close(&machine->kvm);
    guest_memory_destroy(machine->memory);
    pthread_mutex_destroy(&machine->kvm_vfio_lock);
    pthread_cond_destroy(&machine->changed);
    pthread_mutex_destroy(&machine->lock);
    pthread_mutex_destroy(&machine->control_lock);
    event_queue_release(&machine->events);
    free(machine);
}
