// SPDX-License-Identifier: Apache-2.0
/*
 * boot_load() on arbitrary bytes: ELF files, and what is recognised on the way to them (compressed
 * kernels too). A loaded entry must lie in guest memory.
 */
#include "tests/fuzz/boot_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return boot_target_run(data, size, NULL, 0);
}
