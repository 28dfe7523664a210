// SPDX-License-Identifier: Apache-2.0
/* How much memory a machine needs for its containers: see options.h. No state. */
#include "pod/machine/options.h"

#define MIB        (UINT64_C(1) << 20)
#define RESERVE    (96 * MIB) /* the guest's kernel, and the agent */
#define PAGE_NOTES 32         /* one byte in so many; the kernel's struct page is one in 64 */

uint64_t pod_machine_memory_for(uint64_t limit_bytes)
{
    uint64_t bytes;

    if (limit_bytes > POD_MACHINE_MEMORY_MAX)
        return limit_bytes; /* refused where the range is checked */
    bytes = limit_bytes + limit_bytes / PAGE_NOTES + RESERVE;
    return (bytes + MIB - 1) / MIB * MIB;
}

uint64_t pod_machine_memory_left(uint64_t memory_bytes)
{
    uint64_t bytes = memory_bytes > RESERVE ? memory_bytes - RESERVE : 0;

    return bytes - bytes / (PAGE_NOTES + 1);
}
