// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of a container's log: whoever can write the file can write anything. What is taken lies in
 * the line, and its time can be written back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pod/log/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Without an end, and not a byte more than there is. */
    char *line = malloc(size ? size : 1);
    struct log_line out;

    require(line != NULL);
    memcpy(line, data, size);
    if (log_line_parse(line, size, &out) == 0) {
        require(out.time >= line && out.time + LOG_TIME_LENGTH <= line + size);
        require(out.text >= line && out.text + out.len == line + size);
        require(out.time[LOG_TIME_LENGTH - 1] == 'Z');
    }
    if (size >= sizeof(int64_t)) {
        char text[LOG_TIME_LENGTH + 1];
        int64_t time;

        memcpy(&time, data, sizeof(time));
        if (log_time_format(time, text) == 0)
            require(strlen(text) == LOG_TIME_LENGTH);
    }
    free(line);
    return 0;
}
