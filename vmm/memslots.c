// SPDX-License-Identifier: Apache-2.0
/* Memory slots at run time: see memslots.h. */
#include "vmm/memslots.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "base/checked.h"
#include "vmm/kvm.h"
#include "vmm/memory.h"

void memslots_init(struct memslots *memslots, const struct kvm *kvm)
{
    memset(memslots, 0, sizeof(*memslots));
    memslots->kvm = kvm;
    pthread_mutex_init(&memslots->lock, NULL);
}

static int set_slot(const struct memslots *memslots, unsigned slot, uint64_t gpa, void *hva,
                    uint64_t size)
{
    struct kvm_userspace_memory_region region = {
        .slot = GUEST_MEMORY_MAX_REGIONS + slot,
        .guest_phys_addr = gpa,
        .memory_size = size, /* 0: remove */
        .userspace_addr = (uintptr_t)hva,
    };

    return kvm_ioctl_ptr(memslots->kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int take(struct memslots *memslots, unsigned *slot)
{
    unsigned max = memslots->kvm->max_memslots;
    int ret = -ENOSPC;

    max = max > GUEST_MEMORY_MAX_REGIONS ? max - GUEST_MEMORY_MAX_REGIONS : 0;
    pthread_mutex_lock(&memslots->lock);
    for (unsigned i = 0; i < ARRAY_SIZE(memslots->used) && ret; i++) {
        unsigned bit;

        if (~memslots->used[i] == 0)
            continue;
        bit = (unsigned)__builtin_ctzll(~memslots->used[i]);
        if (i * 64 + bit >= max)
            break;
        memslots->used[i] |= 1ull << bit;
        *slot = i * 64 + bit;
        ret = 0;
    }
    pthread_mutex_unlock(&memslots->lock);
    return ret;
}

static void give(struct memslots *memslots, unsigned slot)
{
    pthread_mutex_lock(&memslots->lock);
    memslots->used[slot / 64] &= ~(1ull << slot % 64);
    pthread_mutex_unlock(&memslots->lock);
}

int memslots_add(struct memslots *memslots, uint64_t gpa, void *hva, uint64_t size, unsigned *slot)
{
    int ret = size ? take(memslots, slot) : -EINVAL;

    if (ret)
        return ret;
    ret = set_slot(memslots, *slot, gpa, hva, size);
    if (ret)
        give(memslots, *slot);
    return ret;
}

void memslots_remove(struct memslots *memslots, unsigned slot)
{
    if (slot >= MEMSLOTS_MAX)
        return;
    set_slot(memslots, slot, 0, NULL, 0);
    give(memslots, slot);
}
