// SPDX-License-Identifier: Apache-2.0
/* The time that --since means: see log_since.h. */
#include "cli/pod/log_since.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "cli/pod/options.h"

#define NS_PER_S  INT64_C(1000000000)
#define LATEST_S  (INT64_MAX / NS_PER_S)
#define WHOLE_LEN 19u /* of "2026-11-29T02:00:00" */

static const char form[] = "0000-00-00T00:00:00.000000000";

/* Whether `text` looks like `form`, in which '0' stands for any digit. */
static bool has_form(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    }
    return true;
}

static int read_date(const char *text, size_t len, int64_t *ns)
{
    char whole[sizeof(form)];
    struct tm date = {.tm_year = 0};
    int64_t seconds, fraction = 0, unit = NS_PER_S / 10;
    const char *end;

    memcpy(whole, form, sizeof(form));
    memcpy(whole, text, len);
    for (size_t i = WHOLE_LEN + 1; i < len; i++, unit /= 10)
        fraction += unit * (whole[i] - '0');
    whole[WHOLE_LEN] = '\0';
    end = strptime(whole, "%Y-%m-%dT%H:%M:%S", &date);
    if (!end || *end)
        return -EINVAL;
    seconds = timegm(&date);
    if (seconds < 0)
        return -EINVAL;
    /* What no log has, and no clock will say, is as late as can be said. */
    *ns = seconds < LATEST_S ? seconds * NS_PER_S + fraction : INT64_MAX;
    return 0;
}

int log_since_parse(const char *text, int64_t now_s, int64_t *ns)
{
    size_t len = strlen(text);
    uint64_t number;
    int64_t before;

    if (parse_u64(text, 0, LATEST_S, &number) == 0) {
        *ns = (int64_t)number * NS_PER_S;
        return 0;
    }
    if (duration_parse(text, &before) == 0) {
        *ns = before < now_s ? (now_s - before) * NS_PER_S : 0;
        return 0;
    }
    if (len && text[len - 1] == 'Z')
        len--;
    /* A date, or one with hours and minutes, with seconds, with a fraction of up to nine digits. */
    if ((len != 10 && len != 16 && len != WHOLE_LEN &&
         (len < WHOLE_LEN + 2 || len > WHOLE_LEN + 10)) ||
        !has_form(text, len))
        return -EINVAL;
    return read_date(text, len, ns);
}
