// SPDX-License-Identifier: Apache-2.0
/* Filling and printing struct husk_error: see error.h. No state. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void make_printable(char *text)
{
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
    }
}

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
    make_printable(out);
}

/* A path that is too long keeps its end: that is where the names of a directory's files differ. */
static void copy_where(char *out, size_t size, const char *where)
{
    static const char mark[] = "...";
    size_t len = where ? strlen(where) : 0;

    if (len < size) {
        copy_text(out, size, where);
        return;
    }
    memcpy(out, mark, sizeof(mark));
    copy_text(out + sizeof(mark) - 1, size - sizeof(mark) + 1, where + len - (size - sizeof(mark)));
}

const char *error_text(int code)
{
    const char *text = strerrordesc_np(code);

    return text ? text : "unknown error";
}

int error_set(struct husk_error *err, int code, const char *where, const char *what,
              const char *why_format, ...)
{
    int saved_errno = errno;
    va_list args;

    if (code == 0)
        code = EINVAL;
    if (!err)
        return -code;

    err->code = code;
    copy_where(err->where, sizeof(err->where), where);
    copy_text(err->what, sizeof(err->what), what);
    if (why_format) {
        va_start(args, why_format);
        vsnprintf(err->why, sizeof(err->why), why_format, args);
        va_end(args);
        make_printable(err->why);
    } else {
        copy_text(err->why, sizeof(err->why), error_text(code));
    }
    errno = saved_errno;
    return -code;
}

const char *error_format(const struct husk_error *err, char *buf, size_t size)
{
    const char *parts[] = {err->where, err->what, err->why};
    size_t used = 0;

    if (size == 0)
        return buf;
    buf[0] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        int n;

        if (!parts[i][0])
            continue;
        n = snprintf(buf + used, size - used, "%s%s", used ? ": " : "", parts[i]);
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
    return buf;
}
