// SPDX-License-Identifier: Apache-2.0
/* The parameters of a request's query. libmicrohttpd has taken it apart and made blanks of "+". */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "http/query.h"

struct walk {
    http_parameter_fn fn;
    void *arg;
    bool failed;
};

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

bool percent_decode(const char *text, char *out)
{
    while (*text) {
        int high, low;

        if (*text != '%') {
            *out++ = *text++;
            continue;
        }
        high = hex_digit(text[1]);
        low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0 || !(high << 4 | low))
            return false;
        *out++ = (char)(high << 4 | low);
        text += 3;
    }
    *out = '\0';
    return true;
}

static enum MHD_Result on_parameter(void *arg, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct walk *walk = arg;
    char *text = malloc(value ? strlen(value) + 1 : 1);

    walk->failed = !text || !percent_decode(value ? value : "", text) ||
                   !walk->fn(walk->arg, name ? name : "", text);
    free(text);
    return walk->failed ? MHD_NO : MHD_YES;
}

bool http_parameters(struct http_exchange *exchange, http_parameter_fn fn, void *arg)
{
    struct walk walk = {.fn = fn, .arg = arg};

    MHD_get_connection_values(exchange->connection->mhd, MHD_GET_ARGUMENT_KIND, on_parameter,
                              &walk);
    return !walk.failed;
}
