// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP with libcurl: see http.h. libcurl is told to follow no redirects: the rules for them are
 * ours, and they are here. RFC 9110: 15.4 (redirects), 14.2 (ranges), 10.2.3 (Retry-After).
 */
#include "pod/image/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/parse.h"
#include "pod/image/reference.h"

#define REDIRECTS_MAX     5u
#define CONNECT_SECONDS   20L
#define STALLED_SECONDS   60L
#define WAIT_SECONDS_MAX  20u
#define FIRST_WAIT_MS     250u
#define COMPLAINT_BYTES   4096u
#define HEADERS_BYTES_MAX (128u << 10)

struct http {
    struct http_options options;
    CURL *curl;
};

/* One exchange: a request to one URL, without redirects or retries. */
struct exchange {
    const struct http *http;
    const struct http_request *request;
    struct http_response *response;
    uint64_t at;    /* where the next byte of the body belongs */
    uint64_t asked; /* where the range that was asked for begins */
    bool begun;     /* the body has begun: its status is known */
    bool takes;     /* and is one whose body is wanted */
    int ret;        /* what request->body returned */
    size_t header_bytes;
    unsigned retry_after_s;
    uint64_t range_start; /* Content-Range's first byte; UINT64_MAX: none */
    char location[HTTP_URL_BYTES];
    char complaint[COMPLAINT_BYTES + 1];
    size_t complaint_len;
};

int http_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) ? -ENOMEM : 0;
}

struct http *http_new(const struct http_options *options)
{
    struct http *http = calloc(1, sizeof(*http));

    if (!http)
        return NULL;
    http->options = *options;
    http->curl = curl_easy_init();
    if (!http->curl) {
        free(http);
        return NULL;
    }
    return http;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    free(http);
}

/* One part of a URL, "" when there is none. */
static void url_part(const char *url, CURLUPart part, unsigned flags, char *out, size_t size)
{
    CURLU *parsed = curl_url();
    char *text = NULL;

    out[0] = '\0';
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, part, &text, flags) == CURLUE_OK)
        snprintf(out, size, "%s", text);
    curl_free(text);
    curl_url_cleanup(parsed);
}

void http_host(const char *url, char *out, size_t size)
{
    char host[256], port[8];

    url_part(url, CURLUPART_HOST, 0, host, sizeof(host));
    url_part(url, CURLUPART_PORT, 0, port, sizeof(port));
    snprintf(out, size, "%s%s%s", host, port[0] ? ":" : "", port);
}

/* The same scheme, host and port: who may see the authorization. */
static bool same_origin(const char *a, const char *b)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    char left[256], right[256];

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        url_part(a, parts[i], CURLU_DEFAULT_PORT, left, sizeof(left));
        url_part(b, parts[i], CURLU_DEFAULT_PORT, right, sizeof(right));
        if (!left[0] || strcasecmp(left, right) != 0)
            return false;
    }
    return true;
}

static bool is_https(const char *url)
{
    return !strncasecmp(url, "https://", 8);
}

/* The value of a header line when it is `name`; without blanks around it. */
static bool header_is(const char *line, size_t len, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);

    if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
        return false;
    line += name_len + 1;
    len -= name_len + 1;
    while (len && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len && (unsigned char)line[len - 1] <= ' ')
        len--;
    if (len >= size)
        len = 0; /* too long to be anything that is wanted */
    memcpy(out, line, len);
    out[len] = '\0';
    return true;
}

static void take_content_range(struct exchange *exchange, const char *text)
{
    char number[24];
    size_t digits;

    if (strncasecmp(text, "bytes ", 6) != 0)
        return;
    digits = strspn(text + 6, "0123456789");
    if (digits == 0 || digits >= sizeof(number))
        return;
    memcpy(number, text + 6, digits);
    number[digits] = '\0';
    if (parse_u64(number, 0, INT64_MAX, &exchange->range_start))
        exchange->range_start = UINT64_MAX;
}

/* Of several challenges the first that is understood: Bearer before Basic. */
static void take_challenge(struct http_response *response, const char *text)
{
    bool bearer = !strncasecmp(text, "Bearer ", 7);

    if (bearer || (!response->authenticate[0] && !strncasecmp(text, "Basic", 5)))
        snprintf(response->authenticate, sizeof(response->authenticate), "%s", text);
}

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = arg;
    struct http_response *response = exchange->response;
    size_t len = size * count;
    char text[HTTP_URL_BYTES];
    uint64_t seconds;

    exchange->header_bytes += len;
    if (exchange->header_bytes > HEADERS_BYTES_MAX)
        return 0;
    if (header_is(line, len, "Content-Type", text, sizeof(text)))
        snprintf(response->type, sizeof(response->type), "%.127s", text);
    else if (header_is(line, len, "Docker-Content-Digest", text, sizeof(text)))
        snprintf(response->digest, sizeof(response->digest), "%.127s", text);
    else if (header_is(line, len, "WWW-Authenticate", text, HTTP_HEADER_BYTES))
        take_challenge(response, text);
    else if (header_is(line, len, "Content-Range", text, sizeof(text)))
        take_content_range(exchange, text);
    else if (header_is(line, len, "Location", text, sizeof(text)))
        memcpy(exchange->location, text, strlen(text) + 1);
    else if (header_is(line, len, "Retry-After", text, sizeof(text)) &&
             parse_u64(text, 0, UINT32_MAX, &seconds) == 0)
        exchange->retry_after_s = (unsigned)min_u64(seconds, WAIT_SECONDS_MAX);
    return len;
}

static void begin_body(struct exchange *exchange)
{
    long status = 0;

    exchange->begun = true;
    curl_easy_getinfo(exchange->http->curl, CURLINFO_RESPONSE_CODE, &status);
    /* A 206 that begins elsewhere than asked would put bytes in wrong places. */
    exchange->takes = status == 200 || (status == 206 && exchange->range_start == exchange->asked);
    if (status == 200)
        exchange->at = 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = arg;
    size_t len = size * count, room;

    if (!exchange->begun)
        begin_body(exchange);
    if (exchange->takes) {
        exchange->ret = exchange->request->body(exchange->request->arg, exchange->at, bytes, len);
        exchange->at += len;
        return exchange->ret ? 0 : len;
    }
    room = COMPLAINT_BYTES - exchange->complaint_len;
    if (room == 0)
        return 0; /* nobody reads more of an error */
    room = len < room ? len : room;
    memcpy(exchange->complaint + exchange->complaint_len, bytes, room);
    exchange->complaint_len += room;
    return len;
}

static bool stopped(const struct http *http)
{
    return http->options.stop && atomic_load_explicit(http->options.stop, memory_order_relaxed);
}

static int look_around(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    return stopped(((struct exchange *)arg)->http);
}

static struct curl_slist *make_headers(const struct http_request *request, bool authorize)
{
    struct curl_slist *list = NULL, *longer;
    char line[HTTP_URL_BYTES * 3];

    if (request->accept) {
        snprintf(line, sizeof(line), "Accept: %s", request->accept);
        list = curl_slist_append(list, line);
    }
    if (authorize && request->authorization) {
        int len = snprintf(line, sizeof(line), "Authorization: %s", request->authorization);

        longer = len < (int)sizeof(line) ? curl_slist_append(list, line) : NULL;
        explicit_bzero(line, sizeof(line));
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static void set_up(struct exchange *exchange, const char *url, struct curl_slist *headers,
                   char *range, size_t range_size)
{
    CURL *curl = exchange->http->curl;
    char host[300];

    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "husk/" HUSK_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALLED_SECONDS);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_around);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    if (exchange->http->options.ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, exchange->http->options.ca_file);
    /* A proxy's loopback is not this one. */
    http_host(url, host, sizeof(host));
    if (server_is_loopback(host))
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (exchange->asked) {
        snprintf(range, range_size, "%llu-", (unsigned long long)exchange->asked);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
}

static CURLcode exchange_once(struct exchange *exchange, const char *url, bool authorize)
{
    struct curl_slist *headers = make_headers(exchange->request, authorize);
    char range[32];
    CURLcode code;

    memset(exchange->response, 0, sizeof(*exchange->response));
    exchange->begun = exchange->takes = false;
    exchange->header_bytes = exchange->complaint_len = 0;
    exchange->retry_after_s = 0;
    exchange->range_start = UINT64_MAX;
    exchange->location[0] = '\0';
    if (exchange->request->authorization && authorize && !headers)
        return CURLE_OUT_OF_MEMORY;
    set_up(exchange, url, headers, range, sizeof(range));
    code = curl_easy_perform(exchange->http->curl);
    curl_easy_getinfo(exchange->http->curl, CURLINFO_RESPONSE_CODE, &exchange->response->status);
    curl_slist_free_all(headers);
    /* The whole of an error's text is not needed for there to be an answer. */
    if (code == CURLE_WRITE_ERROR && exchange->begun && !exchange->takes)
        code = CURLE_OK;
    return code;
}

/* OCI Distribution Specification 1.1, "Error codes": {"errors":[{"code","message"}]}. */
static void take_complaint(struct exchange *exchange)
{
    json_t *document, *error;
    const char *message;

    document =
        json_loadb(exchange->complaint, exchange->complaint_len, JSON_REJECT_DUPLICATES, NULL);
    error = json_array_get(json_object_get(document, "errors"), 0);
    message = json_string_value(json_object_get(error, "message"));
    if (!message || !message[0])
        message = json_string_value(json_object_get(error, "code"));
    snprintf(exchange->response->complaint, sizeof(exchange->response->complaint), "%s",
             message ? message : "");
    make_printable(exchange->response->complaint);
    json_decref(document);
}

static int connection_error(const struct exchange *exchange, CURLcode code, const char *url,
                            struct husk_error *err)
{
    char host[300];
    int errno_value;

    http_host(url, host, sizeof(host));
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        errno_value = ENOMEM;
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        errno_value = EHOSTUNREACH;
        break;
    case CURLE_COULDNT_CONNECT:
        errno_value = ECONNREFUSED;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        errno_value = ETIMEDOUT;
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        errno_value = EPROTO;
        break;
    default:
        errno_value = EIO;
        break;
    }
    return error_set(err, errno_value, host, "cannot be asked", "%s", curl_easy_strerror(code));
}

/* Whether it may be different the next time. */
static bool passes(CURLcode code, long status)
{
    switch (code) {
    case CURLE_OK:
        return status == 408 || status == 429 || (status >= 500 && status != 501);
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static void wait_a_while(const struct exchange *exchange, unsigned tries)
{
    uint64_t ms = exchange->retry_after_s ? exchange->retry_after_s * 1000ull
                                          : (uint64_t)FIRST_WAIT_MS << (tries - 1);

    for (; ms && !stopped(exchange->http); ms -= min_u64(ms, 50)) {
        struct timespec pause = {.tv_nsec = 50000000};

        nanosleep(&pause, NULL);
    }
}

static int refuse_body(const struct exchange *exchange, const char *url, struct husk_error *err)
{
    char host[300];

    http_host(url, host, sizeof(host));
    return error_set(err, -exchange->ret, host, "gave an answer that cannot be kept", NULL);
}

/* Retries; afterwards either there is an answer (0) or err is filled. */
static int exchange_until(struct exchange *exchange, const char *url, bool authorize,
                          struct husk_error *err)
{
    CURLcode code;

    for (unsigned tries = 1;; tries++) {
        exchange->asked = exchange->at;
        code = exchange_once(exchange, url, authorize);
        if (exchange->ret)
            return refuse_body(exchange, url, err);
        if (stopped(exchange->http))
            return error_set(err, ECANCELED, "download", "was given up", NULL);
        if (!passes(code, exchange->response->status) || tries == HTTP_TRIES)
            break;
        wait_a_while(exchange, tries);
    }
    if (code != CURLE_OK)
        return connection_error(exchange, code, url, err);
    if (!exchange->begun)
        begin_body(exchange);
    if (exchange->response->status == 206 && !exchange->takes) {
        char host[300];

        http_host(url, host, sizeof(host));
        return error_set(err, EPROTO, host, "answered with another range than it was asked for",
                         "wanted the rest of a file");
    }
    take_complaint(exchange);
    return 0;
}

/* Where a redirect leads to, as a whole URL; -EPROTO when it may not. */
static int follow(const struct exchange *exchange, char url[HTTP_URL_BYTES], struct husk_error *err)
{
    CURLU *parsed = curl_url();
    char *next = NULL, host[300];
    int ret = 0;

    http_host(url, host, sizeof(host));
    if (!parsed || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_set(parsed, CURLUPART_URL, exchange->location, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_URL, &next, 0) != CURLUE_OK ||
        strlen(next) >= HTTP_URL_BYTES)
        ret = error_set(err, EPROTO, host, "redirects to something that is no address", NULL);
    else if (is_https(url) && !is_https(next))
        ret = error_set(err, EPROTO, host, "redirects to a connection without TLS", "refused");
    else
        memcpy(url, next, strlen(next) + 1);
    curl_free(next);
    curl_url_cleanup(parsed);
    return ret;
}

static bool redirects(const struct exchange *exchange)
{
    long status = exchange->response->status;

    return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           exchange->location[0];
}

int http_get(struct http *http, const struct http_request *request, struct http_response *response,
             struct husk_error *err)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    char url[HTTP_URL_BYTES], host[300];
    int ret = 0;

    if (!exchange)
        return error_set(err, ENOMEM, "download", "cannot begin", NULL);
    *exchange = (struct exchange){
        .http = http, .request = request, .response = response, .at = request->from};
    if (snprintf(url, sizeof(url), "%s", request->url) >= (int)sizeof(url))
        ret = error_set(err, ENAMETOOLONG, "download", "has an address that is too long", NULL);
    for (unsigned hops = 0; ret == 0; hops++) {
        ret = exchange_until(exchange, url, same_origin(url, request->url), err);
        if (ret || !redirects(exchange))
            break;
        if (hops == REDIRECTS_MAX) {
            http_host(url, host, sizeof(host));
            ret = error_set(err, ELOOP, host, "redirects again and again", NULL);
        } else {
            ret = follow(exchange, url, err);
        }
    }
    free(exchange);
    return ret;
}
