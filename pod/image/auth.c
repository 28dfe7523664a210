// SPDX-License-Identifier: Apache-2.0
/*
 * Credentials and challenges: see auth.h. The file's format is containers-auth.json(5), which is
 * Docker's config.json as far as it matters here. RFC 9110, 11.2 and 11.6.1: challenges.
 */
#include "pod/image/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

int credentials_make(const char *user, const char *password, struct credentials *out)
{
    char plain[AUTH_BASIC_BYTES / 2];
    int len = snprintf(plain, sizeof(plain), "%s:%s", user, password), ret = 0;

    if (len < 0 || (size_t)len >= sizeof(plain) || !user[0] || strchr(user, ':'))
        ret = -EINVAL;
    for (const char *at = plain; ret == 0 && *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            ret = -EINVAL;
    }
    if (ret == 0)
        EVP_EncodeBlock((unsigned char *)out->basic, (const unsigned char *)plain, len);
    explicit_bzero(plain, sizeof(plain));
    return ret;
}

/* "https://host/v1/" as Docker once wrote it is "host". */
static void clean_key(const char *key, char *out, size_t size)
{
    size_t len;

    if (!strncmp(key, "https://", 8))
        key += 8;
    else if (!strncmp(key, "http://", 7))
        key += 7;
    snprintf(out, size, "%s", key);
    len = strlen(out);
    while (len && out[len - 1] == '/')
        out[--len] = '\0';
    if (len > 3 && (!strcmp(out + len - 3, "/v1") || !strcmp(out + len - 3, "/v2")))
        out[len - 3] = '\0';
    if (!strcmp(out, "index.docker.io"))
        snprintf(out, size, "docker.io");
}

static bool is_prefix(const char *key, const char *name)
{
    size_t len = strlen(key);

    return len && !strncmp(key, name, len) && (name[len] == '/' || !name[len]);
}

int credentials_parse(const char *text, size_t len, const char *where, const char *registry,
                      const char *repository, struct credentials *out, struct husk_error *err)
{
    json_t *document = image_json_parse(text, len, where, err), *auths;
    char name[600], clean[600];
    size_t best = 0;
    const char *basic = NULL;
    int ret = 0;

    out->basic[0] = '\0';
    if (!document)
        return -EINVAL;
    snprintf(name, sizeof(name), "%s/%s", registry, repository);
    auths = json_object_get(document, "auths");
    for (void *at = json_object_iter(auths); at; at = json_object_iter_next(auths, at)) {
        const char *value = json_string_value(json_object_get(json_object_iter_value(at), "auth"));

        clean_key(json_object_iter_key(at), clean, sizeof(clean));
        if (value && is_prefix(clean, name) && strlen(clean) > best) {
            best = strlen(clean);
            basic = value;
        }
    }
    if (basic && (strlen(basic) >= sizeof(out->basic) ||
                  basic[strspn(basic, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789+/=")]))
        ret = error_set(err, EINVAL, where, "has an entry that is not base64", "\"auth\" for %s",
                        registry);
    else if (basic)
        memcpy(out->basic, basic, strlen(basic) + 1);
    json_decref(document);
    return ret;
}

static int read_file(const char *path, char **text, size_t *len)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    int ret = 0;

    *text = NULL;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)IMAGE_JSON_BYTES_MAX)
        ret = -EINVAL;
    else
        *text = malloc((size_t)st.st_size + 1);
    if (ret == 0) {
        *len = (size_t)st.st_size;
        ret = *text ? pread_full(fd, *text, *len, 0) : -ENOMEM;
    }
    close_fd(&fd);
    if (ret) {
        free(*text);
        *text = NULL;
    }
    return ret;
}

static int find_in(const char *path, const char *registry, const char *repository,
                   struct credentials *out, struct husk_error *err)
{
    char *text;
    size_t len = 0;
    int ret = read_file(path, &text, &len);

    if (ret == -ENOENT)
        return ret;
    if (ret || !text)
        return error_set(err, -ret, path, "cannot be read", NULL);
    ret = credentials_parse(text, len, path, registry, repository, out, err);
    explicit_bzero(text, len);
    free(text);
    return ret;
}

int credentials_find(const char *path, const char *registry, const char *repository,
                     struct credentials *out, struct husk_error *err)
{
    static const struct {
        const char *variable, *rest;
    } places[] = {{"REGISTRY_AUTH_FILE", ""},
                  {"XDG_RUNTIME_DIR", "/containers/auth.json"},
                  {"HOME", "/.config/containers/auth.json"},
                  {"HOME", "/.docker/config.json"}};

    out->basic[0] = '\0';
    if (path) {
        int ret = find_in(path, registry, repository, out, err);

        return ret == -ENOENT ? error_set(err, ENOENT, path, "cannot be read", NULL) : ret;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        const char *directory = secure_getenv(places[i].variable);
        char full[PATH_MAX];
        int ret;

        if (!directory || !directory[0] ||
            snprintf(full, sizeof(full), "%s%s", directory, places[i].rest) >= (int)sizeof(full))
            continue;
        ret = find_in(full, registry, repository, out, err);
        if (ret != -ENOENT)
            return ret;
    }
    return 0;
}

/* A token or a quoted string (RFC 9110, 5.6.2 and 5.6.4). */
static int take_value(const char **at, char *out, size_t size)
{
    const char *text = *at;
    bool quoted = *text == '"';
    size_t used = 0;

    text += quoted;
    while (*text && (quoted ? *text != '"' : *text != ',' && *text != ' ')) {
        if (quoted && *text == '\\' && text[1])
            text++;
        if (used + 1 >= size || (unsigned char)*text < 0x20)
            return -EINVAL;
        out[used++] = *text++;
    }
    if (quoted && *text++ != '"')
        return -EINVAL;
    out[used] = '\0';
    *at = text;
    return 0;
}

int challenge_parse(const char *text, struct challenge *out)
{
    memset(out, 0, sizeof(*out));
    if (!strncasecmp(text, "Basic", 5) && (!text[5] || text[5] == ' '))
        return 0;
    if (strncasecmp(text, "Bearer ", 7) != 0)
        return -EINVAL;
    out->bearer = true;
    text += 7;
    while (*text) {
        char name[32], value[1024];
        size_t len;

        text += strspn(text, " \t,");
        if (!*text)
            break;
        len = strcspn(text, "= ,");
        if (len == 0 || len >= sizeof(name) || text[len] != '=')
            return -EINVAL;
        memcpy(name, text, len);
        name[len] = '\0';
        text += len + 1;
        if (take_value(&text, value, sizeof(value)))
            return -EINVAL;
        if (!strcasecmp(name, "realm"))
            snprintf(out->realm, sizeof(out->realm), "%s", value);
        else if (!strcasecmp(name, "service"))
            snprintf(out->service, sizeof(out->service), "%.255s", value);
        else if (!strcasecmp(name, "scope"))
            snprintf(out->scope, sizeof(out->scope), "%.511s", value);
    }
    return out->realm[0] ? 0 : -EINVAL;
}
