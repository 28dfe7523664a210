// SPDX-License-Identifier: Apache-2.0
/*
 * boot_load() on bzImages. The magic numbers are set for the fuzzer, so that all its work goes into
 * the other header fields; the input's last quarter is also the initrd.
 */
#include "tests/fuzz/boot_target.h"

#include <string.h>

#include "base/bytes.h"

#define IMAGE_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t image[IMAGE_MAX];
    size_t initrd = size - size / 4;

    if (size < 0x206 || size > sizeof(image))
        return 0;
    memcpy(image, data, size);
    put_le16(image + 0x1fe, 0xaa55);
    memcpy(image + 0x202, "HdrS", 4);
    return boot_target_run(image, size, data + initrd, size - initrd);
}
