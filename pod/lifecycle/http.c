// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

/* ---- the request ---- */

/* No line can begin in a value, and no second word in a name or a path. */
static bool is_plain(const char *text, bool blanks)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < ' ' || *at == 127 || (*at == ' ' && !blanks))
            return false;
    }
    return true;
}

/* Those of our headers that an httpGet has its own of. */
struct given {
    bool host, agent, accept;
};

static bool put_headers(FILE *out, const json_t *headers, bool own_host, struct given *given)
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
        if (!strcasecmp(name, "Host") && !own_host)
            continue;
        given->host |= !strcasecmp(name, "Host");
        given->agent |= !strcasecmp(name, "User-Agent");
        given->accept |= !strcasecmp(name, "Accept");
        fprintf(out, "%s: %s\r\n", name, value);
    }
    return true;
}

char *http_request(const json_t *headers, const struct http_target *target, bool own_host)
{
    struct given given = {.host = false};
    bool v6 = strchr(target->host, ':') != NULL, good;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    good = is_plain(target->path, false) && is_plain(target->host, false);
    fprintf(out, "GET %s HTTP/1.1\r\n", target->path);
    good = good && put_headers(out, headers, own_host, &given);
    if (!given.host)
        fprintf(out, v6 ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", target->host, target->port);
    if (!given.agent)
        fputs("User-Agent: kube-probe/husk\r\n", out);
    if (!given.accept)
        fputs("Accept: */*\r\n", out);
    fputs("Connection: close\r\n\r\n", out);
    if (fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
}

int http_set_path(struct http_target *target, const char *path)
{
    bool rooted = path && *path == '/';
    int len =
        snprintf(target->path, sizeof(target->path), "%s%s", rooted ? "" : "/", path ? path : "");

    return len < 0 || (size_t)len >= sizeof(target->path) ? -ENAMETOOLONG : 0;
}

/* ---- where it leads to ---- */

/* RFC 3986, 5.2.4, on a path with its query. In place: what is written never overtakes what is
 * read. */
static void remove_dots(char *path)
{
    char *query = path + strcspn(path, "?"), *out = path;
    const char *at = path;

    while (at < query) {
        size_t len = 1 + strcspn(at + 1, "/?");
        bool last = at + len >= query;

        if (len == 2 && !strncmp(at, "/.", 2)) {
            if (last)
                *out++ = '/';
        } else if (len == 3 && !strncmp(at, "/..", 3)) {
            while (out > path && *--out != '/')
                continue;
            if (last)
                *out++ = '/';
        } else {
            memmove(out, at, len);
            out += len;
        }
        at += len;
    }
    memmove(out, query, strlen(query) + 1);
}

/* [SCHEME:]//HOST[:PORT]: what follows it, or NULL. A host with a user's name before it is none. */
static const char *read_authority(const char *text, struct http_target *out)
{
    size_t len = strcspn(text, "/?"), host_len;
    const char *host = text, *port;
    uint64_t number;
    char digits[8];

    if (*text == '[') {
        host++;
        host_len = strcspn(host, "]");
        port = host + host_len + 1;
        if (host_len + 1 >= len)
            return NULL;
    } else {
        host_len = strcspn(host, ":/?");
        port = host + host_len;
    }
    if (host_len == 0 || host_len >= sizeof(out->host) || memchr(text, '@', len))
        return NULL;
    memcpy(out->host, host, host_len);
    out->host[host_len] = '\0';
    out->port = out->tls ? 443 : 80;
    if (port == text + len)
        return port;
    snprintf(digits, sizeof(digits), "%.*s", (int)(text + len - port - 1), port + 1);
    if (*port != ':' || text + len - port > 6 || parse_u64(digits, 1, UINT16_MAX, &number))
        return NULL;
    out->port = (uint16_t)number;
    return text + len;
}

/* A reference without an authority, to what `out` is now. */
static int read_relative(const char *text, struct http_target *out)
{
    char *query = out->path + strcspn(out->path, "?"), *end = query;
    size_t room;

    if (*text == '/')
        end = out->path;
    else if (*text && *text != '?')
        while (end > out->path && end[-1] != '/')
            end--;
    if (!*text) /* the same again */
        return 0;
    room = sizeof(out->path) - (size_t)(end - out->path);
    if (strlen(text) >= room)
        return -EINVAL;
    memcpy(end, text, strlen(text) + 1);
    remove_dots(out->path);
    return 0;
}

/* The length of "SCHEME:", 0 when there is none (RFC 3986, 3.1). */
static size_t scheme_length(const char *text)
{
    size_t len = 0;

    if (!isalpha((unsigned char)*text))
        return 0;
    while (isalnum((unsigned char)text[len]) || (text[len] && strchr("+-.", text[len])))
        len++;
    return text[len] == ':' ? len + 1 : 0;
}

static int follow(struct http_target *target, const char *text, bool *named)
{
    size_t scheme = scheme_length(text);

    if (scheme) {
        target->tls = !strncasecmp(text, "https:", scheme);
        if (!target->tls && strncasecmp(text, "http:", scheme) != 0)
            return -EINVAL;
    }
    *named = !strncmp(text + scheme, "//", 2);
    if (!*named)
        return scheme ? -EINVAL : read_relative(text, target);
    text = read_authority(text + scheme + 2, target);
    if (!text || http_set_path(target, text))
        return -EINVAL;
    remove_dots(target->path);
    return 0;
}

int http_follow(struct http_target *target, const char *location, bool *named)
{
    struct http_target next = *target;
    char text[HTTP_PATH_MAX];
    int ret;

    if (strlen(location) >= sizeof(text) || !is_plain(location, false))
        return -EINVAL;
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(location, "#"), location);
    ret = follow(&next, text, named);
    if (ret)
        return ret;
    if (strcmp(next.host, target->host) != 0)
        return -EXDEV;
    *target = next;
    return 0;
}
