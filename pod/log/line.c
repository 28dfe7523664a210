// SPDX-License-Identifier: Apache-2.0
/* Lines of a container's log: see line.h. */
#include "pod/log/line.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/calendar.h"

#define NS_PER_S UINT64_C(1000000000)

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

int log_time_format(int64_t since_1970_ns, char out[LOG_TIME_LENGTH + 1])
{
    uint64_t ns = since_1970_ns > 0 ? (uint64_t)since_1970_ns : 0;
    struct calendar date;

    calendar_utc((int64_t)(ns / NS_PER_S), &date);
    if (date.year > 9999)
        return -ERANGE;
    snprintf(out, LOG_TIME_LENGTH + 1, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ",
             (unsigned)date.year % 10000u, date.month % 100u, date.day % 100u, date.hour % 100u,
             date.minute % 100u, date.second % 100u, (unsigned)(ns % NS_PER_S));
    return 0;
}
