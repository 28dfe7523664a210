// SPDX-License-Identifier: Apache-2.0
/* Lines of a container's log: see log_line.h. */
#include "cli/pod/log_line.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/calendar.h"
#include "base/parse.h"
#include "cli/pod/options.h"

/* Whether `text` looks like `form`, in which '0' stands for any digit. */
static bool has_form(const char *text, const char *form, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    }
    return true;
}

static const char time_form[] = "0000-00-00T00:00:00.000000000Z";

int log_line_parse(const char *line, size_t len, struct log_line *out)
{
    static const char out_tag[] = " stdout ", error_tag[] = " stderr ";
    const size_t tag = sizeof(out_tag) - 1, head = LOG_TIME_LENGTH + tag + 2;
    const char *at = line + LOG_TIME_LENGTH;

    if (len < head || !has_form(line, time_form, LOG_TIME_LENGTH))
        return -EINVAL;
    out->time = line;
    out->is_error = memcmp(at, error_tag, tag) == 0;
    if (!out->is_error && memcmp(at, out_tag, tag) != 0)
        return -EINVAL;
    at += tag;
    if ((at[0] != 'F' && at[0] != 'P') || at[1] != ' ')
        return -EINVAL;
    out->partial = at[0] == 'P';
    out->text = at + 2;
    out->len = len - head;
    return 0;
}

static int write_time(int64_t seconds, char out[LOG_TIME_LENGTH + 1])
{
    struct calendar date;

    if (seconds < 0)
        seconds = 0;
    calendar_utc(seconds, &date);
    if (date.year > 9999)
        return -EINVAL;
    snprintf(out, LOG_TIME_LENGTH + 1, "%04u-%02u-%02uT%02u:%02u:%02u.000000000Z",
             (unsigned)date.year % 10000u, date.month % 100u, date.day % 100u, date.hour % 100u,
             date.minute % 100u, date.second % 100u);
    return 0;
}

int log_time_parse(const char *text, int64_t now_s, char out[LOG_TIME_LENGTH + 1])
{
    size_t len = strlen(text);
    uint64_t number;
    int64_t before;

    if (parse_u64(text, 0, INT32_MAX * 100ull, &number) == 0)
        return write_time((int64_t)number, out);
    if (duration_parse(text, &before) == 0)
        return write_time(now_s - before, out);
    if (len && text[len - 1] == 'Z')
        len--;
    /* A date, or one with hours and minutes, with seconds, with a fraction of up to nine digits. */
    if ((len != 10 && len != 16 && len != 19 && (len < 21 || len > 29)) ||
        !has_form(text, time_form, len))
        return -EINVAL;
    snprintf(out, LOG_TIME_LENGTH + 1, "%.*s%s", (int)len, text,
             &"0000-00-00T00:00:00.000000000Z"[len]);
    return 0;
}
