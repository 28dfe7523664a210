// SPDX-License-Identifier: Apache-2.0
/*
 * Pulling from registries: see registry.h. Documents are fetched on the caller's thread, layers on
 * any; `lock` guards what they share, the scheme and the token. Nothing that a registry says about
 * sizes or digests counts: those come from the descriptors, and the reference.
 */
#include "pod/image/registry.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "pod/image/json.h"

#define TOKEN_BYTES         8192u
#define AUTHORIZATION_BYTES (TOKEN_BYTES + 16)

static const char manifest_types[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

struct registry {
    struct image_source base;
    const struct image_store *store;
    const struct reference *reference;
    struct registry_options options;
    char server[REFERENCE_REGISTRY_BYTES];

    pthread_mutex_t lock;
    bool plain_http; /* by now known to be so */
    bool scheme_known;
    char authorization[AUTHORIZATION_BYTES]; /* "" before it was asked for */
};

/* A body that is kept in memory. */
struct memory_body {
    char *bytes;
    size_t len, max;
};

static int keep_in_memory(void *arg, uint64_t at, const void *bytes, size_t len)
{
    struct memory_body *body = arg;

    if (at == 0)
        body->len = 0;
    if (len > body->max - body->len)
        return -EFBIG;
    memcpy(body->bytes + body->len, bytes, len);
    body->len += len;
    return 0;
}

static void copy_shared(struct registry *registry, bool *plain, char out[AUTHORIZATION_BYTES])
{
    pthread_mutex_lock(&registry->lock);
    *plain = registry->plain_http;
    memcpy(out, registry->authorization, AUTHORIZATION_BYTES);
    pthread_mutex_unlock(&registry->lock);
}

/* Basic and tokens are for eyes of the registry only. */
static bool may_carry_secrets(const struct registry *registry, bool plain)
{
    return !plain || registry->options.plain_http || server_is_loopback(registry->server);
}

static bool realm_is_safe(const struct registry *registry, const char *realm, bool plain)
{
    char host[300];

    if (!strncasecmp(realm, "https://", 8))
        return true;
    if (strncasecmp(realm, "http://", 7) != 0)
        return false;
    http_host(realm, host, sizeof(host));
    return server_is_loopback(host) ||
           (registry->options.plain_http && plain && !strcasecmp(host, registry->server));
}

static int refuse(const struct registry *registry, int code, const char *why,
                  struct husk_error *err)
{
    return error_set(err, code, registry->server, "does not let us in", "%s", why);
}

static int take_token(struct registry *registry, const struct memory_body *body,
                      char out[AUTHORIZATION_BYTES], struct husk_error *err)
{
    json_t *document = image_json_parse(body->bytes, body->len, "the token server's answer", err);
    const char *token = json_string_value(json_object_get(document, "token"));
    int ret = 0;

    if (!document)
        return -EINVAL;
    if (!token)
        token = json_string_value(json_object_get(document, "access_token"));
    if (!token || !token[0] || strlen(token) >= TOKEN_BYTES || strpbrk(token, "\r\n"))
        ret = refuse(registry, EPROTO, "its token server gave no usable token", err);
    else
        snprintf(out, AUTHORIZATION_BYTES, "Bearer %s", token);
    json_decref(document);
    return ret;
}

/* REALM?service=...&scope=... (Docker Registry v2 authentication, "Requesting a token"). */
static int token_url(const struct registry *registry, const struct challenge *challenge,
                     char out[HTTP_URL_BYTES])
{
    char scope[REFERENCE_REPOSITORY_BYTES + 32], query[2][1024];
    CURLU *url = curl_url();
    char *text = NULL;
    int ret = -EINVAL;

    /* The scope is what we want, not what we are told to want. */
    snprintf(scope, sizeof(scope), "scope=repository:%s:pull", registry->reference->repository);
    snprintf(query[0], sizeof(query[0]), "service=%s", challenge->service);
    snprintf(query[1], sizeof(query[1]), "%s", scope);
    if (url && curl_url_set(url, CURLUPART_URL, challenge->realm, 0) == CURLUE_OK &&
        (!challenge->service[0] ||
         curl_url_set(url, CURLUPART_QUERY, query[0], CURLU_APPENDQUERY | CURLU_URLENCODE) ==
             CURLUE_OK) &&
        curl_url_set(url, CURLUPART_QUERY, query[1], CURLU_APPENDQUERY | CURLU_URLENCODE) ==
            CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK && strlen(text) < HTTP_URL_BYTES) {
        memcpy(out, text, strlen(text) + 1);
        ret = 0;
    }
    curl_free(text);
    curl_url_cleanup(url);
    return ret;
}

static int get_token(struct registry *registry, struct http *http,
                     const struct challenge *challenge, bool plain, char out[AUTHORIZATION_BYTES],
                     struct husk_error *err)
{
    char url[HTTP_URL_BYTES], basic[AUTH_BASIC_BYTES + 8];
    struct memory_body body = {.max = 64u << 10};
    struct http_request request = {.url = url, .body = keep_in_memory, .arg = &body};
    struct http_response response = {0};
    int ret;

    if (!realm_is_safe(registry, challenge->realm, plain))
        return refuse(registry, EPROTO, "its token server is reached without TLS", err);
    if (token_url(registry, challenge, url))
        return refuse(registry, EPROTO, "the address of its token server is none", err);
    if (registry->options.credentials.basic[0]) {
        snprintf(basic, sizeof(basic), "Basic %s", registry->options.credentials.basic);
        request.authorization = basic;
    }
    body.bytes = malloc(body.max);
    ret = body.bytes ? http_get(http, &request, &response, err)
                     : error_set(err, ENOMEM, registry->server, "cannot be asked", NULL);
    explicit_bzero(basic, sizeof(basic));
    if (ret == -EFBIG)
        ret = refuse(registry, EPROTO, "its token server's answer is too long", err);
    if (ret == 0 && response.status != 200)
        ret = refuse(registry, EACCES,
                     request.authorization ? "its token server does not know these credentials"
                                           : "its token server wants credentials",
                     err);
    if (ret == 0)
        ret = take_token(registry, &body, out, err);
    if (body.bytes)
        explicit_bzero(body.bytes, body.max);
    free(body.bytes);
    return ret;
}

/* What to answer to a 401. */
static int authorize(struct registry *registry, struct http *http,
                     const struct http_response *response, bool plain,
                     char out[AUTHORIZATION_BYTES], struct husk_error *err)
{
    struct challenge challenge;
    int ret = 0;

    if (challenge_parse(response->authenticate, &challenge))
        return refuse(registry, EACCES, "and it asks for nothing that husk can give", err);
    if (challenge.bearer) {
        ret = get_token(registry, http, &challenge, plain, out, err);
    } else if (!registry->options.credentials.basic[0]) {
        ret = refuse(registry, EACCES, "it wants a user name and a password", err);
    } else if (!may_carry_secrets(registry, plain)) {
        ret = refuse(registry, EACCES, "it wants a password over a connection without TLS", err);
    } else {
        snprintf(out, AUTHORIZATION_BYTES, "Basic %s", registry->options.credentials.basic);
    }
    if (ret == 0) {
        pthread_mutex_lock(&registry->lock);
        memcpy(registry->authorization, out, AUTHORIZATION_BYTES);
        pthread_mutex_unlock(&registry->lock);
    }
    return ret;
}

/* One answer that is not about who we are. `path`: behind /v2/. */
static int ask(struct registry *registry, struct http *http, const char *path,
               struct http_request *request, struct http_response *response, struct husk_error *err)
{
    char url[HTTP_URL_BYTES], authorization[AUTHORIZATION_BYTES];
    bool plain;
    int ret;

    copy_shared(registry, &plain, authorization);
    for (unsigned round = 0;; round++) {
        snprintf(url, sizeof(url), "%s://%s/v2/%s", plain ? "http" : "https", registry->server,
                 path);
        request->url = url;
        request->authorization = authorization[0] ? authorization : NULL;
        ret = http_get(http, request, response, err);
        /* A token lives for minutes: a second one may be needed in the middle of a pull. */
        if (ret || response->status != 401)
            break;
        if (round == 1) {
            ret = refuse(registry, EACCES,
                         registry->options.credentials.basic[0]
                             ? "it does not know these credentials"
                             : "it wants a user name and a password",
                         err);
            break;
        }
        ret = authorize(registry, http, response, plain, authorization, err);
        if (ret)
            break;
    }
    explicit_bzero(authorization, sizeof(authorization));
    return ret;
}

/* Whether a registry on loopback speaks TLS: asked once, before anything else. */
static int find_scheme(struct registry *registry, struct http *http, struct husk_error *err)
{
    char byte[1], url[HTTP_URL_BYTES];
    struct memory_body body = {.bytes = byte, .max = 0};
    struct http_request request = {.url = url, .body = keep_in_memory, .arg = &body};
    struct http_response response = {0};
    struct husk_error ignored;
    int ret;

    if (registry->scheme_known || registry->plain_http || !server_is_loopback(registry->server))
        return 0;
    registry->scheme_known = true;
    snprintf(url, sizeof(url), "https://%s/v2/", registry->server);
    ret = http_get(http, &request, &response, &ignored);
    if (ret == 0 || ret == -EFBIG)
        return 0; /* it does */
    if (ret != -EPROTO && ret != -EIO) {
        if (err)
            *err = ignored; /* nobody is there */
        return ret;
    }
    snprintf(url, sizeof(url), "http://%s/v2/", registry->server);
    ret = http_get(http, &request, &response, &ignored);
    /* A server of TLS answers plain HTTP with 400; then the certificate is what is wrong. */
    if ((ret == 0 || ret == -EFBIG) && response.status != 400)
        registry->plain_http = true;
    return 0;
}

static int status_error(const struct registry *registry, const struct http_response *response,
                        const char *what, struct husk_error *err)
{
    const char *why = response->complaint;

    switch (response->status) {
    case 404:
        return error_set(err, ENOENT, what, "is not in the registry", "%s%s%s", registry->server,
                         why[0] ? ": " : "", why);
    case 403:
        return refuse(registry, EACCES, why[0] ? why : "403 Forbidden", err);
    case 429:
        return error_set(err, EAGAIN, registry->server, "wants us to come back later", "%s", why);
    default:
        return error_set(err, EPROTO, registry->server, "does not give what it was asked for",
                         "status %ld%s%s", response->status, why[0] ? ": " : "", why);
    }
}

/* `max`: bytes that the document may have. The digest is that of the bytes. */
static int get_document(struct registry *registry, const char *path, const char *accept, size_t max,
                        const char *what, struct source_document *out,
                        struct http_response *response, struct husk_error *err)
{
    struct http_options options = {.ca_file = registry->options.ca_file};
    struct http *http = http_new(&options);
    struct memory_body body = {.bytes = malloc(max + 1), .max = max};
    struct http_request request = {.accept = accept, .body = keep_in_memory, .arg = &body};
    int ret = http && body.bytes
                  ? find_scheme(registry, http, err)
                  : error_set(err, ENOMEM, registry->server, "cannot be asked", NULL);

    if (ret == 0)
        ret = ask(registry, http, path, &request, response, err);
    if (ret == -EFBIG)
        error_set(err, EFBIG, what, "is longer than it should be", "at most %zu bytes", max);
    if (ret == 0 && response->status != 200)
        ret = status_error(registry, response, what, err);
    if (ret == 0)
        ret = digest_of(body.bytes, body.len, &out->digest);
    http_free(http);
    if (ret) {
        free(body.bytes);
        return ret;
    }
    body.bytes[body.len] = '\0';
    out->bytes = body.bytes;
    out->len = body.len;
    snprintf(out->type, sizeof(out->type), "%s", response->type);
    return 0;
}

static int another_digest(const char *what, const struct digest *found, struct husk_error *err)
{
    return error_set(err, EBADMSG, what, "is not what the registry gave",
                     "its answer has the digest %s", found->text);
}

static int get_top(struct image_source *base, struct source_document *out, struct husk_error *err)
{
    struct registry *registry = (struct registry *)base;
    const struct reference *reference = registry->reference;
    char path[HTTP_URL_BYTES / 2], what[REFERENCE_TEXT_BYTES];
    struct http_response response = {0};
    struct digest said;
    int ret;

    reference_format(reference, what);
    snprintf(path, sizeof(path), "%s/manifests/%s", reference->repository,
             reference_version(reference));
    ret = get_document(registry, path, manifest_types, IMAGE_JSON_BYTES_MAX, what, out, &response,
                       err);
    if (ret)
        return ret;
    if (reference->digest.text[0] && !digest_equal(&reference->digest, &out->digest))
        ret = another_digest(what, &out->digest, err);
    else if (digest_parse(response.digest, &said) == 0 && !digest_equal(&said, &out->digest))
        ret = another_digest(said.text, &out->digest, err);
    if (ret) {
        free(out->bytes);
        out->bytes = NULL;
    }
    return ret;
}

static int get_by_digest(struct image_source *base, const struct descriptor *wanted,
                         struct source_document *out, struct husk_error *err)
{
    struct registry *registry = (struct registry *)base;
    bool blob = wanted->media == MEDIA_CONFIG;
    char path[HTTP_URL_BYTES / 2];
    struct http_response response = {0};
    int ret;

    snprintf(path, sizeof(path), "%s/%s/%s", registry->reference->repository,
             blob ? "blobs" : "manifests", wanted->digest.text);
    ret = get_document(registry, path, blob ? NULL : manifest_types, (size_t)wanted->size,
                       wanted->digest.text, out, &response, err);
    if (ret)
        return ret;
    if (blob)
        out->type[0] = '\0'; /* blobs come as octets */
    if (!digest_equal(&wanted->digest, &out->digest))
        ret = another_digest(wanted->digest.text, &out->digest, err);
    else if (out->len != wanted->size)
        ret = error_set(err, EBADMSG, wanted->digest.text, "is not what the registry gave",
                        "its answer has %zu bytes, not %llu", out->len,
                        (unsigned long long)wanted->size);
    if (ret) {
        free(out->bytes);
        out->bytes = NULL;
    }
    return ret;
}

/* A layer on its way into its file. */
struct download {
    int fd;
    uint64_t size; /* that it must have */
    const struct source_progress *progress;
};

static int keep_in_file(void *arg, uint64_t at, const void *bytes, size_t len)
{
    struct download *download = arg;
    const char *from = bytes;

    if (at > download->size || len > download->size - at)
        return -EFBIG;
    while (len) {
        ssize_t n = pwrite(download->fd, from, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        from += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    download->progress->got(download->progress->arg, at);
    return 0;
}

static int check_download(const struct download *download, const struct digest *wanted,
                          struct husk_error *err)
{
    off_t end = lseek(download->fd, 0, SEEK_END);
    struct digest found;
    int ret;

    if (end < 0 || (uint64_t)end < download->size)
        return error_set(err, EBADMSG, wanted->text, "is not what the registry gave",
                         "its answer has %lld bytes, not %llu", (long long)end,
                         (unsigned long long)download->size);
    ret = digest_of_range(download->fd, 0, download->size, &found);
    if (ret)
        return error_set(err, -ret, wanted->text, "cannot be digested", NULL);
    return digest_equal(&found, wanted) ? 0 : another_digest(wanted->text, &found, err);
}

static int download_layer(struct registry *registry, const struct descriptor *wanted,
                          struct download *download, struct husk_error *err)
{
    struct http_options options = {.ca_file = registry->options.ca_file,
                                   .stop = download->progress->stop};
    struct http *http = http_new(&options);
    char path[HTTP_URL_BYTES / 2];
    struct http_request request = {.body = keep_in_file, .arg = download};
    struct http_response response = {0};
    off_t present = lseek(download->fd, 0, SEEK_END);
    int ret = 0;

    if (!http)
        return error_set(err, ENOMEM, registry->server, "cannot be asked", NULL);
    if (present > 0 && (uint64_t)present < wanted->size)
        request.from = (uint64_t)present;
    if (present >= 0 && (uint64_t)present == wanted->size &&
        check_download(download, &wanted->digest, NULL) == 0) {
        http_free(http); /* all of it was there */
        return 0;
    }
    snprintf(path, sizeof(path), "%s/blobs/%s", registry->reference->repository,
             wanted->digest.text);
    ret = ask(registry, http, path, &request, &response, err);
    http_free(http);
    if (ret == -EFBIG)
        return error_set(err, EFBIG, wanted->digest.text, "is longer than it should be",
                         "at most %llu bytes", (unsigned long long)wanted->size);
    if (ret == -ENOSPC || ret == -EDQUOT)
        return error_set(err, -ret, wanted->digest.text, "cannot be written into the store", NULL);
    if (ret == 0 && response.status != 200 && response.status != 206)
        ret = status_error(registry, &response, wanted->digest.text, err);
    return ret ? ret : check_download(download, &wanted->digest, err);
}

static int get_layer(struct image_source *base, const struct descriptor *wanted,
                     const struct source_progress *progress, struct source_blob *out,
                     struct husk_error *err)
{
    struct registry *registry = (struct registry *)base;
    struct download download = {.size = wanted->size, .progress = progress};
    off_t before;
    int ret;

    download.fd = image_store_partial(registry->store, &wanted->digest, err);
    if (download.fd < 0)
        return download.fd;
    before = lseek(download.fd, 0, SEEK_END);
    ret = download_layer(registry, wanted, &download, err);
    if (ret == -EBADMSG && before > 0) {
        /* What was there before may be what is wrong. */
        if (ftruncate(download.fd, 0) == 0)
            ret = download_layer(registry, wanted, &download, err);
    }
    if (ret) {
        image_store_partial_end(registry->store, &wanted->digest, download.fd, false);
        return ret;
    }
    *out = (struct source_blob){.fd = download.fd, .size = wanted->size};
    return 0;
}

static void put_layer(struct image_source *base, const struct descriptor *wanted,
                      struct source_blob *blob)
{
    struct registry *registry = (struct registry *)base;

    image_store_partial_end(registry->store, &wanted->digest, blob->fd, false);
}

static void destroy(struct image_source *base)
{
    struct registry *registry = (struct registry *)base;

    pthread_mutex_destroy(&registry->lock);
    explicit_bzero(registry, sizeof(*registry));
    free(registry);
}

static const struct image_source_ops ops = {.top = get_top,
                                            .document = get_by_digest,
                                            .get_blob = get_layer,
                                            .put_blob = put_layer,
                                            .destroy = destroy};

struct image_source *registry_source(const struct image_store *store,
                                     const struct reference *reference,
                                     const struct registry_options *options)
{
    struct registry *registry = calloc(1, sizeof(*registry));

    if (!registry)
        return NULL;
    registry->base.ops = &ops;
    registry->store = store;
    registry->reference = reference;
    registry->options = *options;
    registry->plain_http = options->plain_http;
    snprintf(registry->server, sizeof(registry->server), "%s", reference_server(reference));
    pthread_mutex_init(&registry->lock, NULL);
    return &registry->base;
}
