// SPDX-License-Identifier: Apache-2.0
/* Plain scalars: see scalar.h. YAML 1.2.2, 10.3.2, and what yaml.h says of 1.1. */
#include "pod/manifest/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define DIGITS     "0123456789"
#define NUMBER_MAX 64u /* characters; a longer one is no number but a text */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (!strcmp(text, *words))
            return true;
    }
    return false;
}

static bool is_all(const char *text, const char *characters)
{
    return *text && text[strspn(text, characters)] == '\0';
}

/* The base and the digits of an integer; 0 when it is none. */
static int base_of(const char *text, const char **digits)
{
    const char *at = text + (*text == '+' || *text == '-');

    *digits = at;
    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        *digits = at + 2;
        return is_all(at + 2, "0123456789abcdefABCDEF") ? 16 : 0;
    }
    if (at[0] == '0' && at[1] == 'o') {
        *digits = at + 2;
        return is_all(at + 2, "01234567") ? 8 : 0;
    }
    if (at[0] == '0' && at[1] && is_all(at, "01234567"))
        return 8;
    return is_all(at, DIGITS) ? 10 : 0;
}

static json_t *integer(const char *text, const char *digits, int base, const char **why)
{
    char number[NUMBER_MAX + 2];
    long long value;

    snprintf(number, sizeof(number), "-%s", digits);
    errno = 0;
    value = strtoll(*text == '-' ? number : number + 1, NULL, base);
    if (errno) {
        *why = "is a number that 64 bits do not hold: put quotes around it if it is a text";
        return NULL;
    }
    return json_integer(value);
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text)
{
    size_t whole, part = 0;

    text += *text == '+' || *text == '-';
    whole = strspn(text, DIGITS);
    text += whole;
    if (*text == '.') {
        part = strspn(text + 1, DIGITS);
        text += 1 + part;
    }
    if (!whole && !part)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        return is_all(text, DIGITS);
    }
    return !*text;
}

static json_t *real(const char *text, const char **why)
{
    double value = strtod(text, NULL);

    if (!isfinite(value)) {
        *why = "is a number that is too large: put quotes around it if it is a text";
        return NULL;
    }
    return json_real(value);
}

json_t *scalar_resolve(const char *text, size_t len, const char **why)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const truths[] = {"true", "True", "TRUE", NULL};
    static const char *const lies[] = {"false", "False", "FALSE", NULL};
    static const char *const doubtful[] = {"y",  "Y",   "yes", "Yes", "YES", "n",
                                           "N",  "no",  "No",  "NO",  "on",  "On",
                                           "ON", "off", "Off", "OFF", NULL};
    static const char *const infinite[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                           "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                           ".NaN",  ".NAN",  NULL};
    const char *digits;
    int base;

    *why = NULL;
    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, truths))
        return json_true();
    if (is_one_of(text, lies))
        return json_false();
    if (is_one_of(text, doubtful)) {
        *why =
            "is a truth to some and a text to others: say true or false, or put quotes around it";
        return NULL;
    }
    if (is_one_of(text, infinite)) {
        *why = "is no number that anything here can be: put quotes around it if it is a text";
        return NULL;
    }
    base = len <= NUMBER_MAX ? base_of(text, &digits) : 0;
    if (base)
        return integer(text, digits, base, why);
    return len <= NUMBER_MAX && is_float(text) ? real(text, why) : json_stringn(text, len);
}
