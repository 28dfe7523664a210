// SPDX-License-Identifier: Apache-2.0
/* The header of a qcow2 image: what is taken names no other file, and a disk of a sane size. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t none[8];
    struct husk_error err;
    uint64_t bytes = 0;

    if (qcow2_check("fuzz", data, size, &bytes, &err) == 0) {
        if (memcmp(data + 8, none, 8) != 0 || (data[7] == 3 && (data[79] & 4)) || bytes < 512 ||
            bytes > (1ull << 50))
            abort();
    } else if (err.code <= 0) {
        abort();
    }
    return 0;
}
