// SPDX-License-Identifier: Apache-2.0
/* What answers a probe, in pieces: a status line or none, and the same however it is cut. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pod/lifecycle/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int whole = http_status((const char *)data, size), part = 0;
    size_t len = 0;

    if (whole != -EPROTO && whole != 0 && (whole < 100 || whole > 599))
        abort();
    /* As it is read: a byte more at a time, until something is known. */
    while (part == 0 && len < size)
        part = http_status((const char *)data, ++len);
    if (part != whole)
        abort();
    return 0;
}
