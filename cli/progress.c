// SPDX-License-Identifier: Apache-2.0
/* See progress.h. Writes to standard error. */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define BAR_CELLS 40u
#define LINE_STEP 25 /* per cent between lines where there is no terminal */

void progress_begin(struct progress *progress, const char *what)
{
    *progress =
        (struct progress){.what = what, .on_terminal = isatty(STDERR_FILENO) == 1, .shown = -1};
    progress_show(progress, 0);
}

void progress_show(struct progress *progress, unsigned per_cent)
{
    static const char full[] = "########################################";
    int cells = (int)(per_cent * BAR_CELLS / 100);

    if (per_cent > 100 || (int)per_cent <= progress->shown)
        return;
    if (progress->on_terminal) {
        fprintf(stderr, "\rhusk: %s [%.*s%*s] %3u %%", progress->what, cells, full,
                (int)BAR_CELLS - cells, "", per_cent);
        progress->shown = (int)per_cent;
    } else if (progress->shown < 0 || (int)per_cent >= progress->shown + LINE_STEP) {
        cli_message("%s: %u %%", progress->what, per_cent);
        progress->shown = (int)per_cent;
    }
}

void progress_end(struct progress *progress)
{
    if (progress->on_terminal)
        fputs("\r\n", stderr);
}

int progress_parse(const char *text)
{
    const char *at = text;
    int found = -1;

    while ((at = strchr(at, '(')) != NULL) {
        char *end;
        double value = strtod(++at, &end);

        if (end != at && !strncmp(end, "/100%)", 6) && value >= 0 && value <= 100)
            found = (int)value;
    }
    return found;
}
