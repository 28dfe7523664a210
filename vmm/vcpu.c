// SPDX-License-Identifier: Apache-2.0
/*
 * The run loop of a vCPU: see vcpu.h for the kick.
 *
 * Data: `run` is the mapping through which KVM describes each exit; only this thread and KVM use
 * it, except immediate_exit, which kickers set.
 *
 * Invariants:
 *  1. `kicked` is set before immediate_exit and the signal; the thread clears immediate_exit before
 *     it looks at `kicked`. So either the thread sees `kicked`, or KVM_RUN sees immediate_exit.
 *  2. An exit that KVM still has to complete (a read's data goes into a register on the next entry)
 *     is completed before vcpu_run() returns false.
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/arch/arch.h"
#include "vmm/bus.h"

/* Any real-time signal would do: it is only ever sent to a vCPU's thread, where it is blocked. */
#define KICK_SIGNAL SIGRTMAX

#define CANNOT_RUN "KVM cannot run the guest"

#define KERNEL_SIGSET_BYTES 8u /* _NSIG / 8 of the kernel, what KVM_SET_SIGNAL_MASK wants */

struct vcpu {
    const struct vcpu_env *env;
    unsigned index;
    char name[16]; /* "vcpu 0", for messages */
    int fd;
    struct kvm_run *run;
    atomic_bool kicked;
    bool has_run; /* the vCPU's thread; so in the next */
    struct vcpu_counters counters;
};

/* Inside KVM_RUN everything but the kick is blocked. */
static int set_run_signals(int fd)
{
    union {
        struct kvm_signal_mask header;
        uint8_t room[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_BYTES];
    } mask = {.header.len = KERNEL_SIGSET_BYTES};
    sigset_t blocked;

    sigfillset(&blocked);
    sigdelset(&blocked, KICK_SIGNAL);
    /* glibc's set begins with the kernel's. */
    memcpy(mask.header.sigset, &blocked, KERNEL_SIGSET_BYTES);
    return kvm_ioctl_ptr(fd, KVM_SET_SIGNAL_MASK, &mask);
}

int vcpu_create(const struct vcpu_env *env, unsigned index, struct vcpu **out,
                struct husk_error *err)
{
    struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
    int ret;

    if (!vcpu)
        return error_set(err, ENOMEM, "vcpus", "cannot create the vCPU", NULL);
    vcpu->env = env;
    vcpu->index = index;
    snprintf(vcpu->name, sizeof(vcpu->name), "vcpu %u", index);
    vcpu->run = MAP_FAILED;
    vcpu->fd = kvm_ioctl(env->kvm->vm_fd, KVM_CREATE_VCPU, index);
    if (vcpu->fd < 0) {
        ret = error_set(err, -vcpu->fd, vcpu->name, "cannot create the vCPU", NULL);
        goto fail;
    }
    vcpu->run = mmap(NULL, env->kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED) {
        ret = error_set(err, errno, vcpu->name, "cannot map the vCPU", NULL);
        goto fail;
    }
    ret = set_run_signals(vcpu->fd);
    if (ret < 0) {
        error_set(err, -ret, vcpu->name, "cannot set the vCPU's signal mask", NULL);
        goto fail;
    }
    *out = vcpu;
    return 0;

fail:
    vcpu_destroy(vcpu);
    return ret;
}

void vcpu_destroy(struct vcpu *vcpu)
{
    if (!vcpu)
        return;
    if (vcpu->run != MAP_FAILED)
        munmap(vcpu->run, vcpu->env->kvm->run_bytes);
    close_fd(&vcpu->fd);
    free(vcpu);
}

int vcpu_fd(const struct vcpu *vcpu)
{
    return vcpu->fd;
}

const struct vcpu_counters *vcpu_counters(const struct vcpu *vcpu)
{
    return &vcpu->counters;
}

static void set_immediate_exit(struct vcpu *vcpu, uint8_t value)
{
    /* Read by KVM and written by other threads: a plain byte to KVM, an atomic to the compiler. */
    __atomic_store_n(&vcpu->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

void vcpu_kick(struct vcpu *vcpu, pthread_t thread)
{
    atomic_store(&vcpu->kicked, true);
    set_immediate_exit(vcpu, 1);
    /* Cannot fail but for a full signal queue (EAGAIN), when a kick is pending already. */
    pthread_kill(thread, KICK_SIGNAL);
}

void vcpu_clear_kick(struct vcpu *vcpu)
{
    atomic_store(&vcpu->kicked, false);
}

/* Fetch pending kicks; what they ask for is in `kicked`. */
static void consume_kick(struct vcpu *vcpu)
{
    const struct timespec no_wait = {0};
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, KICK_SIGNAL);
    set_immediate_exit(vcpu, 0);
    while (sigtimedwait(&kick, NULL, &no_wait) > 0 || errno == EINTR)
        ;
}

static void serve_mmio(struct vcpu *vcpu, struct kvm_run *run)
{
    unsigned size = run->mmio.len;

    /* KVM splits accesses at page borders: a piece may have any length up to 8. No register is
     * that odd: such a piece reads all-ones. */
    if (size != 1 && size != 2 && size != 4 && size != 8)
        memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
    else if (run->mmio.is_write)
        bus_write(vcpu->env->mmio, run->mmio.phys_addr, run->mmio.data, size);
    else
        bus_read(vcpu->env->mmio, run->mmio.phys_addr, run->mmio.data, size);
}

static bool end_guest(struct vcpu_end *end, enum husk_stop_reason reason)
{
    end->reason = reason;
    return true;
}

static bool internal_error(const struct vcpu *vcpu, struct vcpu_end *end)
{
    const struct kvm_run *run = vcpu->run;
    char at[96];

    arch_vcpu_where(vcpu->fd, run, at, sizeof(at));
    if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
        error_set(&end->error, EIO, vcpu->name, CANNOT_RUN, "cannot emulate an instruction (%s)%s",
                  at,
                  vcpu->env->host_is_pvm
                      ? ": this host's KVM is of the PVM kind and runs no ordinary kernels"
                      : "");
    else
        error_set(&end->error, EIO, vcpu->name, CANNOT_RUN, "KVM internal error %u (%s)",
                  run->internal.suberror, at);
    return end_guest(end, HUSK_STOP_MONITOR_ERROR);
}

static bool system_event(const struct vcpu *vcpu, struct vcpu_end *end)
{
    switch (vcpu->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        return end_guest(end, HUSK_STOP_POWER_OFF);
    case KVM_SYSTEM_EVENT_RESET:
        return end_guest(end, HUSK_STOP_RESET);
    case KVM_SYSTEM_EVENT_CRASH:
        return end_guest(end, HUSK_STOP_PANIC);
    default:
        error_set(&end->error, EIO, vcpu->name, CANNOT_RUN, "unknown system event %u",
                  vcpu->run->system_event.type);
        return end_guest(end, HUSK_STOP_MONITOR_ERROR);
    }
}

static void count_exit(struct vcpu_counters *counters, const struct kvm_run *run)
{
    counter_add(&counters->exits, 1);
    if (run->exit_reason == KVM_EXIT_IO)
        counter_add(run->io.direction == KVM_EXIT_IO_OUT ? &counters->port_writes
                                                         : &counters->port_reads,
                    1);
    else if (run->exit_reason == KVM_EXIT_MMIO)
        counter_add(run->mmio.is_write ? &counters->mmio_writes : &counters->mmio_reads, 1);
}

/* Serve one exit. True when the guest ended. */
static bool handle_exit(struct vcpu *vcpu, struct vcpu_end *end)
{
    struct kvm_run *run = vcpu->run;

    switch (run->exit_reason) {
    case KVM_EXIT_MMIO:
        serve_mmio(vcpu, run);
        return false;
    case KVM_EXIT_INTR:
        return false;
    case KVM_EXIT_SHUTDOWN:
        return end_guest(end, HUSK_STOP_TRIPLE_FAULT);
    case KVM_EXIT_SYSTEM_EVENT:
        return system_event(vcpu, end);
    case KVM_EXIT_FAIL_ENTRY:
        error_set(&end->error, EIO, vcpu->name, CANNOT_RUN,
                  "the processor refused to enter it (reason %#llx)",
                  (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
        return end_guest(end, HUSK_STOP_MONITOR_ERROR);
    case KVM_EXIT_INTERNAL_ERROR:
        return internal_error(vcpu, end);
    default:
        if (arch_vcpu_exit(run, vcpu->env->ports))
            return false;
        error_set(&end->error, EIO, vcpu->name, CANNOT_RUN, "unexpected exit reason %u",
                  run->exit_reason);
        return end_guest(end, HUSK_STOP_MONITOR_ERROR);
    }
}

/* KVM_RUN failed with -code. True when that ends the guest. */
static bool handle_failure(const struct vcpu *vcpu, struct vcpu_end *end, int code)
{
    char at[96];

    switch (code) {
    case EINTR:  /* kicked */
    case EAGAIN: /* a vCPU that waited for its SIPI has got it */
        return false;
    case EFAULT:
    case EHWPOISON:
        arch_vcpu_where(vcpu->fd, vcpu->run, at, sizeof(at));
        error_set(&end->error, code, vcpu->name, CANNOT_RUN,
                  "the host could not provide a page of guest memory (%s, %s)",
                  strerrorname_np(code), at);
        return end_guest(end, HUSK_STOP_MONITOR_ERROR);
    default:
        error_set(&end->error, code, vcpu->name, CANNOT_RUN, "KVM_RUN failed: %s",
                  error_text(code));
        return end_guest(end, HUSK_STOP_MONITOR_ERROR);
    }
}

/* One entry. True when the guest ended; *interrupted when KVM returned without an exit. */
static bool enter(struct vcpu *vcpu, struct vcpu_end *end, bool *interrupted)
{
    int ret = ioctl(vcpu->fd, KVM_RUN, 0);

    *interrupted = ret < 0;
    if (ret < 0)
        return handle_failure(vcpu, end, errno);
    if (vcpu->index == 0)
        timeline_mark(vcpu->env->timeline, TIMELINE_FIRST_EXIT);
    count_exit(&vcpu->counters, vcpu->run);
    return handle_exit(vcpu, end);
}

bool vcpu_run(struct vcpu *vcpu, struct vcpu_end *end)
{
    bool interrupted = true;

    *end = (struct vcpu_end){.reason = HUSK_STOP_NONE};
    if (vcpu->has_run)
        arch_vcpu_resumed(vcpu->fd);
    else if (vcpu->index == 0)
        timeline_mark(vcpu->env->timeline, TIMELINE_FIRST_ENTRY);
    vcpu->has_run = true;
    while (!atomic_load(&vcpu->kicked)) {
        if (enter(vcpu, end, &interrupted))
            return true;
        if (interrupted)
            consume_kick(vcpu);
    }
    /* Complete the last exit: with immediate_exit KVM does that and enters no guest code. An exit
     * may consist of several pieces. */
    while (!interrupted) {
        set_immediate_exit(vcpu, 1);
        if (enter(vcpu, end, &interrupted))
            return true;
    }
    consume_kick(vcpu);
    return false;
}
