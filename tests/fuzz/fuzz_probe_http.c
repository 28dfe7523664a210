// SPDX-License-Identifier: Apache-2.0
/* What answers a probe, in pieces: the same however it is cut, and where it leads to is a place on
 * the same host. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pod/lifecycle/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void follow(const char *location)
{
    struct http_target target = {.host = "10.0.0.7", .port = 80, .path = "/a/b?c"};
    bool named = false;
    char *request;

    if (http_follow(&target, location, &named))
        return;
    if (strcmp(target.host, "10.0.0.7") != 0 || target.path[0] != '/' || !target.port)
        abort();
    request = http_request(NULL, &target, true);
    if (!request || strstr(request, "\r\n\r\n") != request + strlen(request) - 4)
        abort();
    free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_answer whole = {.part = HTTP_STATUS_LINE}, parts = {.part = HTTP_STATUS_LINE};
    int ret = http_answer_feed(&whole, (const char *)data, size), part = 0;

    for (size_t i = 0; i < size && part == 0; i++)
        part = http_answer_feed(&parts, (const char *)data + i, 1);
    if (part != ret || parts.status != whole.status ||
        strcmp(parts.location, whole.location) != 0 ||
        http_answer_end(&parts) != http_answer_end(&whole))
        abort();
    if (ret == 1 && (whole.status < 101 || whole.status > 599))
        abort();
    if (whole.location[0])
        follow(whole.location);
    return 0;
}
