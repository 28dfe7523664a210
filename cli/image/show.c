// SPDX-License-Identifier: Apache-2.0
/* Showing images: see show.h. */
#include "cli/image/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/image/progress.h"

#define SHORT_DIGITS 12

uint64_t show_bytes(const struct image_record *record)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < record->layer_count; i++) {
        bool counted = false;

        for (unsigned k = 0; k < i && !counted; k++)
            counted = digest_equal(&record->layers[k].diff_id, &record->layers[i].diff_id);
        bytes += counted ? 0 : record->layers[i].image_bytes;
    }
    return bytes;
}

static void format_time(int64_t time_s, char out[32])
{
    time_t when = (time_t)time_s;
    struct tm utc;

    if (!gmtime_r(&when, &utc) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc))
        snprintf(out, 32, "-");
}

static void format_platform(const struct platform *platform, char out[3 * PLATFORM_PART_BYTES])
{
    snprintf(out, 3 * PLATFORM_PART_BYTES, "%s/%s%s%s", platform->os, platform->architecture,
             platform->variant[0] ? "/" : "", platform->variant);
}

json_t *show_json(const struct image_record *record)
{
    char when[32], platform[3 * PLATFORM_PART_BYTES];
    json_t *layers = json_array();

    for (unsigned i = 0; i < record->layer_count; i++) {
        const struct image_layer *layer = &record->layers[i];

        json_array_append_new(layers, json_pack("{s:s,s:s,s:I,s:I}", "diff_id", layer->diff_id.text,
                                                "digest", layer->digest.text, "bytes",
                                                (json_int_t)layer->bytes, "store_bytes",
                                                (json_int_t)layer->image_bytes));
    }
    format_time(record->time_s, when);
    format_platform(&record->platform, platform);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o}", "name", record->name, "id",
                     record->config.text, "digest", record->source.text, "manifest",
                     record->manifest.text, "platform", platform, "added", when, "store_bytes",
                     (json_int_t)show_bytes(record), "layers", layers);
}

void show_heading(void)
{
    printf("%-48s  %-12s  %-14s  %6s  %10s  %s\n", "NAME", "ID", "PLATFORM", "LAYERS", "SIZE",
           "ADDED");
}

void show_line(const struct image_record *record)
{
    char when[32], platform[3 * PLATFORM_PART_BYTES], size[24];

    format_time(record->time_s, when);
    format_platform(&record->platform, platform);
    printf("%-48s  %.*s  %-14s  %6u  %10s  %s\n", record->name, SHORT_DIGITS,
           digest_hex(&record->config), platform, record->layer_count,
           format_bytes(show_bytes(record), size), when);
}
