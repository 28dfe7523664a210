// SPDX-License-Identifier: Apache-2.0
/* cmdline_build() with arbitrary words and sizes: in bounds, terminated, and the words at the end.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* data: console, size of the line (two bytes), words. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum cmdline_console console;
    size_t room;
    char *words, *line;

    if (size < 3)
        return 0;
    console = (enum cmdline_console)(data[0] % 3);
    room = (data[1] | (size_t)data[2] << 8) % 4200;
    words = strndup((const char *)data + 3, size - 3);
    line = malloc(room ? room : 1);
    if (!words || !line)
        abort();
    if (cmdline_build(console, false, words, line, room) == 0) {
        size_t len = strnlen(line, room);
        size_t tail = strlen(words);
        /* "quiet" leaves out the early console, the second word; the first is always the same. */
        size_t first = strcspn(cmdline_default(console), " ");

        if (len == room || strncmp(line, cmdline_default(console), first + 1))
            abort();
        if (strcmp(line + len - tail, words))
            abort();
    } else if (room > 0 && *line) {
        abort();
    }
    free(words);
    free(line);
    return 0;
}
