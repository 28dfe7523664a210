// SPDX-License-Identifier: Apache-2.0
/*
 * Which guest-physical addresses are taken, and where there is room.
 *
 * Invariants of a placement: every claim lies wholly inside one RAM range of the layout and inside
 * guest memory, and no two claims overlap. Everything the loader writes lies in a claim, so a
 * hostile image can neither reach the boot tables nor make its parts overwrite each other.
 */
#include "boot/internal.h"

#include <errno.h>

#include "base/checked.h"

void boot_placement_init(struct boot_placement *placement, const struct guest_memory *memory,
                         const struct boot_layout *layout)
{
    *placement = (struct boot_placement){
        .memory = memory, .ranges = layout->ranges, .range_count = layout->range_count};
}

/* The bounds of a RAM range; false for other kinds and for ranges that wrap. */
static bool ram_range(const struct boot_range *range, uint64_t *base, uint64_t *end)
{
    *base = range->base.value;
    return range->kind == BOOT_RANGE_RAM && checked_add(range->base.value, range->size, end);
}

static bool is_ram(const struct boot_placement *placement, uint64_t base, uint64_t end)
{
    for (unsigned i = 0; i < placement->range_count; i++) {
        uint64_t range_base, range_end;

        if (ram_range(&placement->ranges[i], &range_base, &range_end) && base >= range_base &&
            end <= range_end)
            return guest_memory_at(placement->memory, gpa(base), end - base) != NULL;
    }
    return false;
}

static const struct boot_claim *overlapping(const struct boot_placement *placement, uint64_t base,
                                            uint64_t end)
{
    for (unsigned i = 0; i < placement->claim_count; i++) {
        const struct boot_claim *claim = &placement->claims[i];

        if (base < claim->end && claim->base < end)
            return claim;
    }
    return NULL;
}

int boot_placement_claim(struct boot_placement *placement, uint64_t base, uint64_t size)
{
    uint64_t end;

    if (size == 0 || !checked_add(base, size, &end) || !is_ram(placement, base, end))
        return -EFAULT;
    if (overlapping(placement, base, end))
        return -EBUSY;
    if (placement->claim_count == BOOT_CLAIMS_MAX)
        return -ENOSPC;
    placement->claims[placement->claim_count++] = (struct boot_claim){base, end};
    return 0;
}

bool boot_placement_lowest(const struct boot_placement *placement, uint64_t min, uint64_t align,
                           uint64_t size, uint64_t *base)
{
    for (unsigned i = 0; i < placement->range_count; i++) {
        uint64_t start, range_end, end;

        if (!ram_range(&placement->ranges[i], &start, &range_end))
            continue;
        start = max_u64(start, min);
        while (checked_align_up(start, align, &start) && checked_add(start, size, &end) &&
               end <= range_end) {
            const struct boot_claim *claim = overlapping(placement, start, end);

            if (!claim && is_ram(placement, start, end)) {
                *base = start;
                return true;
            }
            if (!claim)
                break;
            start = claim->end;
        }
    }
    return false;
}

bool boot_placement_highest(const struct boot_placement *placement, uint64_t limit, uint64_t align,
                            uint64_t size, uint64_t *base)
{
    for (unsigned i = placement->range_count; i-- > 0;) {
        uint64_t range_base, end;

        if (!ram_range(&placement->ranges[i], &range_base, &end))
            continue;
        end = min_u64(end, limit);
        while (end >= size && align_down(end - size, align) >= range_base) {
            uint64_t start = align_down(end - size, align);
            const struct boot_claim *claim = overlapping(placement, start, start + size);

            if (!claim && is_ram(placement, start, start + size)) {
                *base = start;
                return true;
            }
            if (!claim)
                break;
            end = claim->base;
        }
    }
    return false;
}

uint64_t boot_placement_end(const struct boot_placement *placement)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < placement->claim_count; i++)
        end = max_u64(end, placement->claims[i].end);
    return end;
}

uint64_t boot_placement_ram_end(const struct boot_placement *placement)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < placement->range_count; i++) {
        uint64_t base, end;

        if (ram_range(&placement->ranges[i], &base, &end))
            last = max_u64(last, end);
    }
    return last;
}
