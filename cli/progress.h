// SPDX-License-Identifier: Apache-2.0
/* How far something has come: a bar on a terminal, else a line now and then. */
#ifndef HUSK_CLI_PROGRESS_H
#define HUSK_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct progress {
    const char *what;
    bool on_terminal;
    int shown; /* per cent; -1: nothing yet */
};

void progress_begin(struct progress *progress, const char *what);
void progress_show(struct progress *progress, unsigned per_cent); /* 0..100 */
void progress_end(struct progress *progress);                     /* of the line, if one is begun */

/* The last "(12.34/100%)" of qemu-img in a text with its end, in per cent; -1 when there is none.
 */
int progress_parse(const char *text);

#endif
