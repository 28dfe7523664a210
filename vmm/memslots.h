// SPDX-License-Identifier: Apache-2.0
/*
 * Memory slots that come and go while the VM runs: what a device shows the guest beside its RAM, a
 * BAR of the host's for example. RAM's own slots (kvm_map_memory()) are the numbers below these.
 *
 * Threads: any. KVM serialises changes itself; the numbers are guarded by a lock.
 */
#ifndef HUSK_VMM_MEMSLOTS_H
#define HUSK_VMM_MEMSLOTS_H

#include <pthread.h>
#include <stdint.h>

struct kvm;

#define MEMSLOTS_MAX 1024u

struct memslots {
    const struct kvm *kvm;
    pthread_mutex_t lock;
    uint64_t used[MEMSLOTS_MAX / 64]; /* guarded by lock */
};

/* kvm outlives it. Nothing is to be undone: the slots go with the VM. */
void memslots_init(struct memslots *memslots, const struct kvm *kvm);

/*
 * Show [hva, hva + size) at gpa, all multiples of the page, where no other slot is. The host memory
 * stays mapped until memslots_remove(). Returns 0, -ENOSPC (no slot is left) or -errno. Blocks for
 * a grace period of the host's kernel, milliseconds.
 */
int memslots_add(struct memslots *memslots, uint64_t gpa, void *hva, uint64_t size, unsigned *slot);
void memslots_remove(struct memslots *memslots, unsigned slot);

#endif
