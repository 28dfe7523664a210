// SPDX-License-Identifier: Apache-2.0
/*
 * One virtual CPU: runs guest code on the calling thread until somebody kicks it or the guest ends.
 *
 * The kick. A vCPU may be anywhere when it is wanted back: in the guest, in KVM, or between the
 * check of a flag and the entry into the guest. So a kick does three things, in this order: sets
 * `kicked`, sets KVM's immediate_exit (seen by an entry that is just happening), and sends a signal
 * (which ends an entry that has happened). The signal stays blocked in the thread at all times;
 * KVM_SET_SIGNAL_MASK unblocks it only inside KVM_RUN, where its being pending ends the run. It is
 * then fetched with sigtimedwait(), so no handler is ever called and none is installed.
 *
 * Threads: vcpu_run() on one thread with signals blocked (base/thread.h); vcpu_kick() from any;
 * the rest while the machine is built or gone.
 */
#ifndef HUSK_VMM_VCPU_H
#define HUSK_VMM_VCPU_H

#include <pthread.h>
#include <stdbool.h>

#include "base/counter.h"
#include "base/timeline.h"
#include "husk/husk.h"
#include "vmm/kvm.h"

struct bus;
struct vcpu;

/* What a vCPU uses of the machine. Outlives it. */
struct vcpu_env {
    const struct kvm *kvm;
    struct bus *ports;
    struct bus *mmio;
    struct timeline *timeline;
    bool host_is_pvm; /* see kvm_host_is_pvm() */
};

/* How a guest ended, seen from one vCPU. */
struct vcpu_end {
    enum husk_stop_reason reason;
    struct husk_error error; /* MONITOR_ERROR */
};

/* What the vCPU did so far. Written by its thread. */
struct vcpu_counters {
    struct counter exits; /* returns from the guest to the monitor; of which: */
    struct counter port_reads, port_writes, mmio_reads, mmio_writes;
};

/* Returns 0 or -errno with err filled. The caller owns *out. */
int vcpu_create(const struct vcpu_env *env, unsigned index, struct vcpu **out,
                struct husk_error *err);
void vcpu_destroy(struct vcpu *vcpu); /* NULL is fine */

/* KVM's descriptor, for setting up registers. Stays the vCPU's. */
int vcpu_fd(const struct vcpu *vcpu);

const struct vcpu_counters *vcpu_counters(const struct vcpu *vcpu);

/*
 * Run guest code. Returns false when kicked, with every exit to user space completed (so that the
 * vCPU's state can be read); true when the guest ended, with *end filled.
 */
bool vcpu_run(struct vcpu *vcpu, struct vcpu_end *end);

/*
 * Make the next or current vcpu_run() on `thread` return soon; stays in force until
 * vcpu_clear_kick(). `thread` has not been joined.
 */
void vcpu_kick(struct vcpu *vcpu, pthread_t thread);

/* Called by the vCPU's thread before vcpu_run(), ordered with kicks by the caller's lock. */
void vcpu_clear_kick(struct vcpu *vcpu);

#endif
