// SPDX-License-Identifier: Apache-2.0
/* What answers a call of grpc, serving or not however it is cut; and a message of it by itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "probe/call.h"
#include "probe/health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain(struct call *call)
{
    const uint8_t *bytes;
    size_t len, sent = 0;

    while ((len = call_output(call, &bytes)) > 0) {
        sent += len;
        if (sent > CALL_INPUT_MAX) /* no byte makes more of them */
            abort();
    }
}

static int answer(const uint8_t *data, size_t size, size_t piece)
{
    struct call *call = call_new("web", "10.0.0.7:50051");
    enum probe_end end = PROBE_END_WELL;

    if (!call)
        abort();
    drain(call);
    for (size_t at = 0; at < size && !call_over(call, &end); at += piece) {
        call_input(call, data + at, size - at < piece ? size - at : piece);
        drain(call);
    }
    if (!call_over(call, &end))
        call_closed(call);
    if (!call_over(call, &end) || end < 0 || end > PROBE_END_CODE + 16)
        abort();
    call_free(call);
    return (int)end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int32_t status;
    int whole, parts;

    if (health_read(data, size, &status) == 0 && size == 0 && status != HEALTH_UNKNOWN)
        abort();
    whole = answer(data, size, 4096);
    parts = answer(data, size, 1);
    if ((whole == PROBE_END_WELL) != (parts == PROBE_END_WELL))
        abort();
    return 0;
}
