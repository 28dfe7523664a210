// SPDX-License-Identifier: Apache-2.0
/* Progress: see progress.h. Runs on any thread of the import, one at a time. */
#include "cli/image/progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"

#define REDRAW_NS    100000000u
#define BAR_COLUMNS  24u
#define BARS_MAX     IMPORT_THREADS_MAX
#define SHORT_DIGITS 12

void progress_init(struct progress *progress, FILE *out)
{
    struct winsize size;

    memset(progress, 0, sizeof(*progress));
    progress->out = out;
    progress->terminal = isatty(fileno(out)) == 1;
    progress->columns = 80;
    if (progress->terminal && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col)
        progress->columns = size.ws_col;
}

const char *format_bytes(uint64_t bytes, char out[24])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    unsigned unit = 0;

    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 24, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

static const char *state_text(enum import_state state)
{
    switch (state) {
    case IMPORT_PRESENT:
        return "present";
    case IMPORT_READING:
        return "reading";
    case IMPORT_CONVERTING:
        return "converting";
    case IMPORT_DONE:
        return "done";
    default:
        return "waiting";
    }
}

static void erase(struct progress *progress)
{
    if (progress->drawn)
        fprintf(progress->out, "\033[%uA\033[J", progress->drawn);
    progress->drawn = 0;
}

static void draw_bar(struct progress *progress, const struct import_progress *layer)
{
    char bar[BAR_COLUMNS + 1], done[24], total[24], line[160];
    bool full = layer->done_bytes >= layer->total_bytes;
    unsigned filled =
        full ? BAR_COLUMNS
             : (unsigned)((double)layer->done_bytes / (double)layer->total_bytes * BAR_COLUMNS);

    memset(bar, ' ', BAR_COLUMNS);
    memset(bar, '=', filled);
    bar[BAR_COLUMNS] = '\0';
    snprintf(line, sizeof(line), "%.*s [%s] %s / %s %s", SHORT_DIGITS, digest_hex(&layer->digest),
             bar, format_bytes(layer->done_bytes, done), format_bytes(layer->total_bytes, total),
             layer->state == IMPORT_CONVERTING ? state_text(layer->state) : "");
    fprintf(progress->out, "%.*s\n", (int)progress->columns - 1, line);
    progress->drawn++;
}

static void draw(struct progress *progress)
{
    unsigned finished = 0, total = 0, bars = 0;

    erase(progress);
    for (unsigned i = 0; i < progress->count; i++) {
        const struct import_progress *layer = &progress->layers[i];

        total = layer->count;
        if (layer->state == IMPORT_DONE || layer->state == IMPORT_PRESENT)
            finished++;
        else if (bars++ < BARS_MAX)
            draw_bar(progress, layer);
    }
    fprintf(progress->out, "%u of %u layers\n", finished, total);
    progress->drawn++;
    fflush(progress->out);
}

/* The layer's place, and whether its state is another than before. */
static bool note(struct progress *progress, const struct import_progress *layer)
{
    unsigned i = 0;
    bool changed;

    while (i < progress->count && progress->layers[i].index != layer->index)
        i++;
    if (i == IMAGE_LAYERS_MAX)
        return false;
    changed = i == progress->count || progress->layers[i].state != layer->state;
    if (i == progress->count)
        progress->count++;
    progress->layers[i] = *layer;
    return changed;
}

void progress_show(void *arg, const struct import_progress *layer)
{
    struct progress *progress = arg;
    bool changed = note(progress, layer);
    char size[24];

    if (!progress->terminal) {
        if (changed)
            fprintf(progress->out, "%.*s: %s (layer %u of %u, %s)\n", SHORT_DIGITS,
                    digest_hex(&layer->digest), state_text(layer->state), layer->index + 1,
                    layer->count, format_bytes(layer->total_bytes, size));
        return;
    }
    if (changed || monotonic_ns() - progress->drawn_ns > REDRAW_NS) {
        draw(progress);
        progress->drawn_ns = monotonic_ns();
    }
}

void progress_end(struct progress *progress)
{
    erase(progress);
    fflush(progress->out);
    progress->count = 0;
}
