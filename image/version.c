// SPDX-License-Identifier: Apache-2.0
/*
 * Comparing versions: UAPI.10, Version Format Specification 1.0. The numbers below are its steps.
 * Pure; works along both texts once.
 */
#include "image/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool counts(char c)
{
    return is_digit(c) || is_letter(c) || (c && strchr("~-^.", c));
}

static int sign(bool a_is_older)
{
    return a_is_older ? -1 : 1;
}

/* Steps 2 to 6: a separator that only one of them has. `done` when that decides. */
static int compare_separators(const char **a, const char **b, bool *done)
{
    static const char separators[] = "~-^."; /* "~" is older than the end, the end than "-" … */

    *done = true;
    if (**a == '~' || **b == '~') {
        if (**a != **b)
            return sign(**a == '~');
        *done = false;
        (*a)++, (*b)++;
        return 0;
    }
    if (!**a || !**b)
        return **a == **b ? 0 : sign(!**a);
    for (const char *at = separators + 1; *at; at++) {
        if (**a != *at && **b != *at)
            continue;
        if (**a != **b)
            return sign(**a == *at);
        (*a)++, (*b)++;
        break;
    }
    *done = false;
    return 0;
}

/* Step 7: numbers as such, without leading zeros. */
static int compare_numbers(const char **a, const char **b)
{
    size_t len_a, len_b;
    int order;

    *a += strspn(*a, "0");
    *b += strspn(*b, "0");
    len_a = strspn(*a, "0123456789");
    len_b = strspn(*b, "0123456789");
    order = len_a != len_b ? sign(len_a < len_b) : strncmp(*a, *b, len_a);
    *a += len_a;
    *b += len_b;
    return order;
}

/* Step 8: letters as ASCII has them, capitals first. */
static int compare_letters(const char **a, const char **b)
{
    while (is_letter(**a) && **a == **b)
        (*a)++, (*b)++;
    if (!is_letter(**a) && !is_letter(**b))
        return 0;
    if (is_letter(**a) != is_letter(**b))
        return sign(!is_letter(**a));
    return sign(**a < **b);
}

int version_compare(const char *a, const char *b)
{
    for (;;) {
        bool done;
        int order;

        while (*a && !counts(*a)) /* step 1 */
            a++;
        while (*b && !counts(*b))
            b++;
        order = compare_separators(&a, &b, &done);
        if (done)
            return order;
        if (is_digit(*a) || is_digit(*b)) {
            if (!is_digit(*a) || !is_digit(*b))
                return sign(!is_digit(*a));
            order = compare_numbers(&a, &b);
        } else {
            order = compare_letters(&a, &b);
        }
        if (order)
            return order;
    }
}
