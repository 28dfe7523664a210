// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* No line can begin in a value, and no second word in a name or a path. */
static bool is_plain(const char *text, bool blanks)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < ' ' || *at == 127 || (*at == ' ' && !blanks))
            return false;
    }
    return true;
}

static bool put_headers(FILE *out, const json_t *headers, bool *has_host, bool *has_agent)
{
    size_t index;
    const json_t *header;

    json_array_foreach(headers, index, header)
    {
        const char *name = json_string_value(json_object_get(header, "name"));
        const char *value = json_string_value(json_object_get(header, "value"));

        value = value ? value : "";
        if (!name || !is_plain(name, false) || !is_plain(value, true))
            return false;
        *has_host |= !strcasecmp(name, "Host");
        *has_agent |= !strcasecmp(name, "User-Agent");
        fprintf(out, "%s: %s\r\n", name, value);
    }
    return true;
}

char *http_request(const json_t *http_get, const char *host, uint16_t port)
{
    const char *path = json_string_value(json_object_get(http_get, "path"));
    bool has_host = false, has_agent = false, good;
    bool v6 = strchr(host, ':') != NULL;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    path = path && *path ? path : "/";
    good = is_plain(path, false) && is_plain(host, false);
    fprintf(out, "GET %s%s HTTP/1.1\r\n", *path == '/' ? "" : "/", path);
    good =
        good && put_headers(out, json_object_get(http_get, "httpHeaders"), &has_host, &has_agent);
    if (!has_host)
        fprintf(out, v6 ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", host, port);
    if (!has_agent)
        fputs("User-Agent: kube-probe/husk\r\n", out);
    fputs("Accept: */*\r\nConnection: close\r\n\r\n", out);
    if (fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
}

/* RFC 9112, section 4: HTTP-version SP status-code SP [ reason-phrase ]. Some leave the last blank
 * out. */
int http_status(const char *bytes, size_t len)
{
    static const char version[] = "HTTP/1.";
    const char *end = len ? memchr(bytes, '\n', len < HTTP_LINE_MAX ? len : HTTP_LINE_MAX) : NULL;
    size_t known = sizeof(version) - 1;

    if (len && memcmp(bytes, version, len < known ? len : known) != 0)
        return -EPROTO;
    if (!end)
        return len < HTTP_LINE_MAX ? 0 : -EPROTO;
    if ((size_t)(end - bytes) < known + 5 || !isdigit((unsigned char)bytes[known]) ||
        bytes[known + 1] != ' ')
        return -EPROTO;
    bytes += known + 2;
    for (unsigned i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)bytes[i]))
            return -EPROTO;
    }
    if (bytes[0] < '1' || bytes[0] > '5' ||
        (bytes[3] != ' ' && bytes[3] != '\r' && bytes[3] != '\n'))
        return -EPROTO;
    return (bytes[0] - '0') * 100 + (bytes[1] - '0') * 10 + (bytes[2] - '0');
}
