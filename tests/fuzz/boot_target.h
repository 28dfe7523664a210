// SPDX-License-Identifier: Apache-2.0
/* What the fuzz targets of the kernel loaders share: one guest memory, two memfds, boot_load(). */
#ifndef HUSK_TESTS_FUZZ_BOOT_TARGET_H
#define HUSK_TESTS_FUZZ_BOOT_TARGET_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/harness/boot_fixture.h"

#define TARGET_MEMORY_BYTES (32u << 20)

static inline void boot_target_fill(int fd, const uint8_t *bytes, size_t size)
{
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
        abort();
}

/* Load `kernel` (and `initrd` unless it is empty). Guest memory is made once: what an earlier run
 * left in it is of no matter here. */
static inline int boot_target_run(const uint8_t *kernel, size_t kernel_bytes, const uint8_t *initrd,
                                  size_t initrd_bytes)
{
    static struct boot_fixture fixture;
    static int kernel_fd = -1, initrd_fd = -1;

    if (!fixture.memory) {
        boot_fixture_setup(&fixture, TARGET_MEMORY_BYTES, GUEST_MEMORY_PRIVATE);
        kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
        initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
    }
    boot_target_fill(kernel_fd, kernel, kernel_bytes);
    boot_target_fill(initrd_fd, initrd, initrd_bytes);
    fixture.options.kernel_fd = kernel_fd;
    fixture.options.initrd_fd = initrd_bytes > 0 ? initrd_fd : -1;
    if (boot_load(fixture.memory, &fixture.options, &fixture.entry, &fixture.err) == 0 &&
        !guest_memory_at(fixture.memory, fixture.entry.rip, 1))
        abort();
    return 0;
}

#endif
