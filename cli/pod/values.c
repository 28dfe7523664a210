// SPDX-License-Identifier: Apache-2.0
/* Values of options with a syntax of their own: see options.h. */
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "cli/pod/detach.h"
#include "cli/pod/options.h"
#include "pod/spec/spec.h"

#define SECONDS_MAX (10ll * 365 * 24 * 3600)
#define CPUS_MAX    256u

int pod_set_size(void *member, const struct pod_place *place, const char *value)
{
    if (parse_size(value, 1, INT64_MAX, member))
        return pod_usage(place->syntax, "%s: %s: wants a size, such as 256M or 1G", place->option,
                         value);
    return 0;
}

int duration_parse(const char *text, int64_t *seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    int64_t total = 0;
    unsigned next = 0;

    do {
        size_t len = strspn(text, "0123456789");
        char digits[16];
        uint64_t number;

        if (len == 0 || len >= sizeof(digits))
            return -EINVAL;
        memcpy(digits, text, len);
        digits[len] = '\0';
        if (parse_u64(digits, 0, SECONDS_MAX, &number))
            return -EINVAL;
        text += len;
        while (*text && next < 4 && units[next].unit != *text)
            next++;
        if (next == 4 || (!*text && next > 0))
            return -EINVAL;
        total += (int64_t)number * (*text ? units[next].seconds : 1);
        if (total > SECONDS_MAX)
            return -EINVAL;
        next++;
    } while (*text && *++text);
    *seconds = total;
    return 0;
}

int pod_set_seconds(void *member, const struct pod_place *place, const char *value)
{
    if (duration_parse(value, member))
        return pod_usage(place->syntax, "%s: %s: wants seconds, or a time such as 90s, 5m or 1h30m",
                         place->option, value);
    return 0;
}

/* "2", "1.5", "0.25": thousandths. */
int pod_set_cpus(void *member, const struct pod_place *place, const char *value)
{
    size_t whole = strcspn(value, ".");
    char digits[8];
    uint64_t number = 0, part = 0;
    unsigned scale = 100;

    if (whole == 0 || whole >= sizeof(digits))
        goto wrong;
    memcpy(digits, value, whole);
    digits[whole] = '\0';
    if (parse_u64(digits, 0, CPUS_MAX, &number) || strspn(digits, "0123456789") != whole)
        goto wrong;
    if (value[whole]) {
        const char *at = value + whole + 1;

        if (!*at || strspn(at, "0123456789") != strlen(at) || strlen(at) > 3)
            goto wrong;
        for (; *at; at++, scale /= 10)
            part += scale * (unsigned)(*at - '0');
    }
    if (number * 1000 + part == 0 || number * 1000 + part > CPUS_MAX * 1000)
        goto wrong;
    *(uint32_t *)member = (uint32_t)(number * 1000 + part);
    return 0;
wrong:
    return pod_usage(place->syntax, "%s: %s: wants a number of processors, such as 2 or 0.5",
                     place->option, value);
}

int pod_set_signal(void *member, const struct pod_place *place, const char *value)
{
    if (spec_signal_parse(value, member))
        return pod_usage(place->syntax, "%s: %s: is no signal", place->option, value);
    return 0;
}

int pod_set_keys(void *member, const struct pod_place *place, const char *value)
{
    struct detach_filter filter;

    if (detach_keys_parse(value, &filter))
        return pod_usage(place->syntax, "%s: %s: wants keys such as ctrl-p,ctrl-q, at most %u",
                         place->option, value, DETACH_KEYS_MAX);
    return pod_set_any_text(member, place, value);
}
