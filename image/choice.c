// SPDX-License-Identifier: Apache-2.0
/* Bounded text: see choice.h. */
#include "image/choice.h"

#include <string.h>

bool text_copy(char *out, size_t size, const char *text, size_t len)
{
    if (len >= size)
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

bool text_append_word(char *text, size_t size, const char *word)
{
    size_t head = strlen(text);
    size_t space = head > 0;
    size_t tail = strlen(word);

    if (tail == 0)
        return true;
    if (tail + space >= size - head)
        return false;
    if (space)
        text[head] = ' ';
    memcpy(text + head + space, word, tail + 1);
    return true;
}

bool text_line(const char **text, const char **line, size_t *len)
{
    const char *at = *text;

    if (!*at)
        return false;
    *line = at;
    *len = strcspn(at, "\n");
    *text = at + *len + (at[*len] == '\n');
    if (*len > 0 && at[*len - 1] == '\r')
        --*len;
    return true;
}
