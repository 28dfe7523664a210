// SPDX-License-Identifier: Apache-2.0
/*
 * Quantities: see quantity.h. No state. The grammar is that of
 * k8s.io/apimachinery/pkg/api/resource: a number with at most one point, digits on either side of
 * it, and a suffix. What is computed is nano units in 128 bits; nothing finer is kept there either.
 */
#include "pod/manifest/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define TEXT_MAX  30u
#define NANO      1000000000ull
#define POWER_MAX 18 /* 10^18 is the largest suffix, E */

typedef unsigned __int128 wide;

struct quantity {
    wide nano;   /* rounded up */
    bool exact;  /* it was not rounded */
    bool binary; /* its suffix was a power of 1024 */
};

static bool wide_mul(wide a, wide b, wide *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static bool wide_pow(wide value, wide base, unsigned power, wide *out)
{
    while (power-- > 0) {
        if (!wide_mul(value, base, &value))
            return false;
    }
    *out = value;
    return true;
}

/* The suffix as base^power; power is negative for n, u, m. */
static int parse_suffix(const char *text, unsigned *base, int *power)
{
    static const char letters[] = "kMGTPE";
    const char *letter;

    *base = 1000;
    *power = 0;
    if (!*text)
        return 0;
    if ((*text == 'e' || *text == 'E') &&
        (isdigit((unsigned char)text[1]) || text[1] == '-' || text[1] == '+')) { /* else E is exa */
        bool negative = text[1] == '-';
        const char *digits = text + 1 + (text[1] == '-' || text[1] == '+');
        size_t len = strspn(digits, "0123456789");

        if (len == 0 || digits[len])
            return -EINVAL;
        if (len > 2)
            return -ERANGE;
        for (; *digits; digits++)
            *power = *power * 10 + (*digits - '0');
        *power = negative ? -*power : *power;
        *base = 10;
        return 0;
    }
    if (strchr("num", *text) && !text[1]) {
        *power = *text == 'm' ? -1 : *text == 'u' ? -2 : -3;
        return 0;
    }
    letter = *text == 'K' ? letters : strchr(letters, *text);
    if (!letter)
        return -EINVAL;
    *power = (int)(letter - letters) + 1;
    if (!strcmp(text + 1, "i") && *text != 'k')
        *base = 1024;
    else if (text[1] || *text == 'K') /* thousand is k; a K wants its i */
        return -EINVAL;
    return 0;
}

/* Digits without their point, and how many are behind it. */
static int parse_number(const char **text, wide *digits, unsigned *fraction)
{
    bool point = false, any = false;

    *digits = 0;
    *fraction = 0;
    for (; isdigit((unsigned char)**text) || (**text == '.' && !point); (*text)++) {
        if (**text == '.') {
            point = true;
            continue;
        }
        any = true;
        *digits = *digits * 10 + (wide)(**text - '0'); /* 30 digits at most: below 2^100 */
        *fraction += point;
    }
    return any ? 0 : -EINVAL;
}

static int parse(const char *text, struct quantity *out)
{
    unsigned base, fraction, divide = 0;
    wide value, rest = 0, divisor = 1;
    int power, ret;

    if (strlen(text) > TEXT_MAX)
        return -EINVAL;
    if (*text == '+')
        text++;
    ret = parse_number(&text, &value, &fraction);
    if (!ret)
        ret = parse_suffix(text, &base, &power);
    if (ret)
        return ret;
    out->binary = base == 1024;
    if (power < 0)
        divide = (unsigned)(base == 10 ? -power : -power * 3);
    if (power > 0 && base == 10 && power > POWER_MAX)
        return -ERANGE;
    divide += fraction;
    if (!wide_mul(value, NANO, &value) ||
        (power > 0 && !wide_pow(value, base, (unsigned)power, &value)))
        return -ERANGE;
    if (!wide_pow(1, 10, divide, &divisor)) { /* beyond what 128 bits hold: less than a nano */
        out->nano = value != 0;
        out->exact = value == 0;
        return 0;
    }
    rest = value % divisor;
    out->nano = value / divisor + (rest != 0);
    out->exact = rest == 0;
    return 0;
}

static int to_u64(wide value, uint64_t *out)
{
    if (value > INT64_MAX)
        return -ERANGE;
    *out = (uint64_t)value;
    return 0;
}

int quantity_bytes(const char *text, uint64_t *bytes)
{
    struct quantity quantity;
    int ret = parse(text, &quantity);

    if (ret)
        return ret;
    if (!quantity.exact || quantity.nano % NANO)
        return -EINVAL;
    return to_u64(quantity.nano / NANO, bytes);
}

int quantity_milli(const char *text, uint64_t *milli)
{
    struct quantity quantity;
    int ret = parse(text, &quantity);

    if (ret)
        return ret;
    return to_u64((quantity.nano + NANO / 1000 - 1) / (NANO / 1000), milli);
}

int quantity_canonical(const char *text, char out[QUANTITY_BYTES])
{
    static const char *const decimal[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    const char *const *suffixes = decimal;
    struct quantity quantity;
    size_t step = 0, last = ARRAY_SIZE(decimal) - 1;
    unsigned base = 1000;
    uint64_t number;
    int ret = parse(text, &quantity);

    if (ret)
        return ret;
    /* As Kubernetes: what is less than 1024 in powers of 1024, or no whole number, is decimal. */
    if (quantity.binary && quantity.nano % NANO == 0 && quantity.nano >= 1024 * (wide)NANO) {
        quantity.nano /= NANO;
        suffixes = binary;
        base = 1024;
        last = ARRAY_SIZE(binary) - 1;
    }
    while (quantity.nano && step < last && quantity.nano % base == 0) {
        quantity.nano /= base;
        step++;
    }
    ret = to_u64(quantity.nano, &number);
    if (ret)
        return ret;
    snprintf(out, QUANTITY_BYTES, "%" PRIu64 "%s", number, number ? suffixes[step] : "");
    return 0;
}
