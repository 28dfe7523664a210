// SPDX-License-Identifier: Apache-2.0
/*
 * Image references: see reference.h. The grammar of repositories and tags is that of the OCI
 * Distribution Specification 1.1, "Pulling manifests"; that of registries RFC 3986, 3.2.
 */
#include "pod/image/reference.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/parse.h"

static const char default_registry[] = "docker.io";

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool part_valid(const char *part, size_t len)
{
    size_t i = 0;

    while (true) {
        size_t start = i, gap;

        while (i < len && is_lower_or_digit(part[i]))
            i++;
        if (i == start)
            return false;
        if (i == len)
            return true;
        gap = i;
        if (part[i] == '-') {
            while (i < len && part[i] == '-')
                i++;
        } else if (part[i] == '.') {
            i++;
        } else if (part[i] == '_') {
            i += i + 1 < len && part[i + 1] == '_' ? 2 : 1;
        }
        if (i == gap)
            return false;
    }
}

static bool repository_valid(const char *text)
{
    while (true) {
        size_t len = strcspn(text, "/");

        if (!part_valid(text, len))
            return false;
        if (!text[len])
            return true;
        text += len + 1;
    }
}

/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
static bool tag_valid(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len >= REFERENCE_TAG_BYTES || text[0] == '.' || text[0] == '-')
        return false;
    for (const char *at = text; *at; at++) {
        if (!isascii(*at) || (!isalnum((unsigned char)*at) && !strchr("._-", *at)))
            return false;
    }
    return true;
}

static bool host_valid(const char *host, size_t len)
{
    if (len > 2 && host[0] == '[' && host[len - 1] == ']')
        return strspn(host + 1, "0123456789abcdefABCDEF:") == len - 2;
    for (size_t i = 0; i < len; i++) {
        bool edge = i == 0 || i + 1 == len || host[i - 1] == '.' || host[i + 1] == '.';

        if (!isascii(host[i]) ||
            (!isalnum((unsigned char)host[i]) && host[i] != '.' && host[i] != '-') ||
            (edge && host[i] == '-') || (host[i] == '.' && edge && (i == 0 || i + 1 == len)) ||
            (host[i] == '.' && i > 0 && host[i - 1] == '.'))
            return false;
    }
    return len > 0;
}

static bool registry_valid(const char *text)
{
    const char *bracket = strrchr(text, ']');
    const char *colon = strrchr(bracket ? bracket : text, ':');
    size_t host_len = colon ? (size_t)(colon - text) : strlen(text);
    uint64_t port;

    if (colon && (parse_u64(colon + 1, 1, 65535, &port) || colon[1] == '0'))
        return false;
    return host_valid(text, host_len);
}

static bool looks_like_registry(const char *text, size_t len)
{
    return memchr(text, '.', len) || memchr(text, ':', len) ||
           (len == 9 && !strncmp(text, "localhost", 9));
}

static int wrong(const char *text, const char *part, const char *wants, struct husk_error *err)
{
    return error_set(err, EINVAL, text, part, "%s", wants);
}

static int split_version(char *rest, const char *text, struct reference *out,
                         struct husk_error *err)
{
    char *at = strchr(rest, '@'), *slash, *colon;

    if (at) {
        int ret = digest_parse(at + 1, &out->digest);

        if (ret == -ENOTSUP)
            return wrong(text, "has a digest of an unknown kind", "only sha256: is", err);
        if (ret)
            return wrong(text, "has no valid digest after '@'", "sha256: and 64 digits 0-9a-f",
                         err);
        *at = '\0';
    }
    slash = strrchr(rest, '/');
    colon = strchr(slash ? slash : rest, ':');
    if (colon) {
        if (!tag_valid(colon + 1))
            return wrong(text, "has no valid tag",
                         "wants at most 128 of A-Z a-z 0-9 _ . - and none of the last two first",
                         err);
        if (!at)
            snprintf(out->tag, sizeof(out->tag), "%.128s", colon + 1);
        *colon = '\0';
    } else if (!at) {
        snprintf(out->tag, sizeof(out->tag), "latest");
    }
    return 0;
}

static void lower_case(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

int reference_parse(const char *text, struct reference *out, struct husk_error *err)
{
    char buffer[REFERENCE_TEXT_BYTES], *rest = buffer;
    const char *prefix = "";
    size_t len = strlen(text), first;
    int ret;

    memset(out, 0, sizeof(*out));
    if (len == 0 || len >= sizeof(buffer))
        return error_set(err, EINVAL, text, "is not an image's name", "wants 1 to %zu characters",
                         sizeof(buffer) - 1);
    memcpy(buffer, text, len + 1);
    first = strcspn(rest, "/");
    snprintf(out->registry, sizeof(out->registry), "%s", default_registry);
    if (rest[first] == '/' && looks_like_registry(rest, first)) {
        rest[first] = '\0';
        if (first >= sizeof(out->registry) || !registry_valid(rest))
            return wrong(text, "has no valid registry", "wants HOST or HOST:PORT", err);
        memcpy(out->registry, rest, first + 1);
        lower_case(out->registry);
        if (!strcmp(out->registry, "index.docker.io"))
            snprintf(out->registry, sizeof(out->registry), "%s", default_registry);
        rest += first + 1;
    }
    ret = split_version(rest, text, out, err);
    if (ret)
        return ret;
    if (!repository_valid(rest))
        return wrong(text, "has no valid repository",
                     "wants parts of a-z 0-9, separated by '/', and inside by . _ __ or -", err);
    if (!strcmp(out->registry, default_registry) && !strchr(rest, '/'))
        prefix = "library/";
    if (snprintf(out->repository, sizeof(out->repository), "%s%s", prefix, rest) >=
        (int)sizeof(out->repository))
        return wrong(text, "has a repository that is too long", "at most 255 characters", err);
    return 0;
}

const char *reference_version(const struct reference *reference)
{
    return reference->digest.text[0] ? reference->digest.text : reference->tag;
}

const char *reference_format(const struct reference *reference, char out[REFERENCE_TEXT_BYTES])
{
    snprintf(out, REFERENCE_TEXT_BYTES, "%s/%s%c%s", reference->registry, reference->repository,
             reference->digest.text[0] ? '@' : ':', reference_version(reference));
    return out;
}

const char *reference_server(const struct reference *reference)
{
    return strcmp(reference->registry, default_registry) ? reference->registry
                                                         : "registry-1.docker.io";
}

bool server_is_loopback(const char *server)
{
    const char *bracket = strrchr(server, ']');
    size_t len = bracket ? (size_t)(bracket + 1 - server) : strcspn(server, ":");

    if (len == 9 && !strncasecmp(server, "localhost", 9))
        return true;
    if (len == 5 && !strncmp(server, "[::1]", 5))
        return true;
    /* A name such as 127.example.org is somewhere else. */
    return len > 4 && !strncmp(server, "127.", 4) && strspn(server, "0123456789.") == len;
}
