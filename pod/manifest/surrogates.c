// SPDX-License-Identifier: Apache-2.0
/*
 * See surrogates.h. A text is JSON as long as there is nothing outside its strings that JSON does
 * not have there, and each string begins where a value or key of a collection does. So no text in
 * single quotes, no plain scalar and no block with the same letters is taken for one.
 */
#include "pod/manifest/surrogates.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ESCAPE_LEN 6u /* \uXXXX */
#define LONG_LEN   10u

struct lexer {
    bool in_string;
    unsigned long depth; /* of collections */
    char last;           /* outside strings and spaces; '"' for a string's end */
};

/* The 16 bits of an escape, or -1. */
static int32_t unit_at(const char *text, size_t len)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int32_t unit = 0;

    if (len < ESCAPE_LEN || text[0] != '\\' || text[1] != 'u')
        return -1;
    for (unsigned i = 2; i < ESCAPE_LEN; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

        if (!digit)
            return -1;
        unit = unit << 4 | (int32_t)((digit - digits) & 15);
    }
    return unit;
}

/* The character of a pair, or 0. */
static uint32_t pair_at(const char *text, size_t len)
{
    int32_t high = unit_at(text, len);
    int32_t low = high < 0 ? -1 : unit_at(text + ESCAPE_LEN, len - ESCAPE_LEN);

    if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0;
    return 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

/* A byte outside strings; false when JSON has none such there. */
static bool step_outside(struct lexer *lexer, char c)
{
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
        return true;
    if (!c || !strchr("{}[],:\"0123456789+-.eEtrufalsn", c))
        return false;
    if (c == '"') {
        lexer->in_string = lexer->depth > 0 && lexer->last && strchr("{[,:", lexer->last);
        return lexer->in_string;
    }
    if (c == ':' && lexer->last != '"')
        return false;
    if (c == '{' || c == '[')
        lexer->depth++;
    else if ((c == '}' || c == ']') && lexer->depth-- == 0)
        return false;
    lexer->last = c;
    return true;
}

/* How many bytes of a string belong together: an escape's first two, or one. */
static size_t step_inside(struct lexer *lexer, const char *text, size_t len)
{
    if (text[0] == '\\')
        return len > 1 ? 2 : 1;
    if (text[0] == '"') {
        lexer->in_string = false;
        lexer->last = '"';
    }
    return 1;
}

size_t surrogates_join(char *text, size_t len)
{
    struct lexer lexer = {.depth = 0};
    size_t from = 0, to = 0;

    while (from < len) {
        uint32_t character = lexer.in_string ? pair_at(text + from, len - from) : 0;
        size_t step = 1;

        if (character) {
            char escape[LONG_LEN + 1];

            snprintf(escape, sizeof(escape), "\\U%08x", (unsigned)character);
            memcpy(text + to, escape, LONG_LEN);
            to += LONG_LEN;
            from += 2 * (size_t)ESCAPE_LEN;
            continue;
        }
        if (lexer.in_string)
            step = step_inside(&lexer, text + from, len - from);
        else if (!step_outside(&lexer, text[from]))
            break;
        memmove(text + to, text + from, step);
        to += step;
        from += step;
    }
    memmove(text + to, text + from, len - from);
    return to + (len - from);
}
