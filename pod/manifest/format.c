// SPDX-License-Identifier: Apache-2.0
/* What a text may look like: see format.h. No state. The rules of names are those of
 * k8s.io/apimachinery/pkg/util/validation. */
#include "pod/manifest/format.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/image/reference.h"
#include "pod/manifest/base64.h"
#include "pod/spec/capabilities.h"
#include "pod/spec/spec.h"

#define LABEL_BYTES      63u
#define SUBDOMAIN_MAX    253u
#define PATH_BYTES       4095u
#define GRPC_SERVICE_MAX 1000u

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_printable(char c)
{
    return c > 0x20 && c < 0x7f;
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? */
static bool is_label(const char *text, size_t len)
{
    if (len == 0 || !is_lower_alnum(text[0]) || !is_lower_alnum(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_lower_alnum(text[i]) && text[i] != '-')
            return false;
    }
    return true;
}

/* Labels with dots between them. */
static bool is_subdomain(const char *text, size_t len)
{
    while (len > 0) {
        const char *dot = memchr(text, '.', len);
        size_t part = dot ? (size_t)(dot - text) : len;

        if (!is_label(text, part))
            return false;
        if (!dot)
            return true;
        text += part + 1;
        len -= part + 1;
    }
    return false;
}

static const char *subdomain_problem(const char *text, size_t max, const char *too_long)
{
    if (strlen(text) > max)
        return too_long;
    return is_subdomain(text, strlen(text))
               ? NULL
               : "wants small letters, digits, - and ., a letter or digit first and last";
}

static const char *name_problem(const char *text)
{
    return subdomain_problem(text, SUBDOMAIN_MAX, "is longer than 253 characters");
}

static const char *pod_name_problem(const char *text)
{
    return subdomain_problem(text, LABEL_BYTES, "is longer than 63 characters");
}

static const char *label_problem(const char *text)
{
    if (strlen(text) > LABEL_BYTES)
        return "is longer than 63 characters";
    return is_label(text, strlen(text))
               ? NULL
               : "wants small letters, digits and -, a letter or digit first and last";
}

static const char *service_label_problem(const char *text)
{
    const char *problem = label_problem(text);

    return !problem && isdigit((unsigned char)text[0]) ? "wants a letter first" : problem;
}

/* The name part of a label's key, and a label's value: [A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])? */
static const char *qualified_problem(const char *text)
{
    size_t len = strlen(text);

    if (len > LABEL_BYTES)
        return "is longer than 63 characters";
    if (len == 0 || !is_alnum(text[0]) || !is_alnum(text[len - 1]))
        return "wants a letter or digit first and last";
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && !strchr("-_.", text[i]))
            return "wants letters, digits, -, _ and .";
    }
    return NULL;
}

static const char *label_key_problem(const char *text)
{
    const char *slash = strchr(text, '/');

    if (!slash)
        return qualified_problem(text);
    if ((size_t)(slash - text) > SUBDOMAIN_MAX || !is_subdomain(text, (size_t)(slash - text)))
        return "wants a DNS name before its /";
    return qualified_problem(slash + 1);
}

static const char *label_value_problem(const char *text)
{
    return *text ? qualified_problem(text) : NULL;
}

static const char *env_prefix_problem(const char *text)
{
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e || *text == '=')
            return "wants printable ASCII characters other than =";
    }
    return NULL;
}

static const char *env_name_problem(const char *text)
{
    return *text ? env_prefix_problem(text) : "is empty";
}

static const char *data_key_problem(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > SUBDOMAIN_MAX)
        return "wants 1 to 253 characters";
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && !strchr("-_.", text[i]))
            return "wants letters, digits, -, _ and .";
    }
    if (!strcmp(text, ".") || !strncmp(text, "..", 2))
        return "must neither be . nor begin with ..";
    return NULL;
}

static const char *image_problem(const char *text)
{
    struct reference reference;

    return reference_parse(text, &reference, NULL) ? "is not an image's name" : NULL;
}

static const char *line_problem(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return "has a control character";
    }
    return NULL;
}

static const char *grpc_service_problem(const char *text)
{
    return strlen(text) <= GRPC_SERVICE_MAX ? line_problem(text) : "is longer than 1000 bytes";
}

/* A part of a path that is "..". */
static bool has_parent(const char *text)
{
    while (*text) {
        size_t part = strcspn(text, "/");

        if (part == 2 && !strncmp(text, "..", 2))
            return true;
        text += part + (text[part] == '/');
    }
    return false;
}

static const char *any_path_problem(const char *text)
{
    if (strlen(text) > PATH_BYTES)
        return "is longer than 4095 bytes";
    if (has_parent(text))
        return "must not have .. in it";
    return line_problem(text);
}

static const char *path_problem(const char *text)
{
    return *text == '/' ? any_path_problem(text) : "wants an absolute path";
}

static const char *subpath_problem(const char *text)
{
    return *text != '/' ? any_path_problem(text) : "wants a relative path";
}

static const char *address_problem(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
               ? NULL
               : "is neither an IPv4 nor an IPv6 address";
}

static const char *search_problem(const char *text)
{
    size_t len = strlen(text);

    if (!strcmp(text, "."))
        return NULL;
    if (len == 0 || len > SUBDOMAIN_MAX || text[0] == '.')
        return "is not a DNS name";
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && !strchr("-_.", text[i]))
            return "is not a DNS name";
    }
    return strstr(text, "..") ? "is not a DNS name" : NULL;
}

/* Names are not looked up: connections of probes are made inside the pod. */
static const char *probe_host_problem(const char *text)
{
    return strcmp(text, "localhost") != 0 && address_problem(text)
               ? "wants an IPv4 or IPv6 address, or localhost: names are not looked up"
               : NULL;
}

/* RFC 6335, 5.1, in small letters. */
static const char *port_name_problem(const char *text)
{
    size_t len = strlen(text);
    bool letter = false;

    if (len == 0 || len > 15)
        return "wants 1 to 15 characters";
    for (size_t i = 0; i < len; i++)
        letter |= text[i] >= 'a' && text[i] <= 'z';
    if (!is_label(text, len) || strstr(text, "--"))
        return "wants small letters, digits and single -, a letter or digit first and last";
    return letter ? NULL : "wants at least one letter";
}

static const char *header_name_problem(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (!is_alnum(*at) && !strchr("!#$%&'*+-.^_`|~", *at))
            return "is not the name of a header field";
    }
    return *text ? NULL : "is empty";
}

static const char *url_path_problem(const char *text)
{
    for (; *text; text++) {
        if (!is_printable(*text))
            return "has a character that must be written as %XX";
    }
    return NULL;
}

static const char *capability_problem(const char *text)
{
    return !strcmp(text, "ALL") || capability_number(text) >= 0 ? NULL
                                                                : "there is no such capability";
}

static const char *signal_problem(const char *text)
{
    bool small = false;
    int number;

    for (const char *at = text; *at; at++)
        small |= *at >= 'a' && *at <= 'z';
    return small || strncmp(text, "SIG", 3) != 0 || spec_signal_parse(text, &number)
               ? "wants the name of a signal, such as SIGTERM"
               : NULL;
}

/* Those of a namespace; the agent sets no others. */
static const char *sysctl_problem(const char *text)
{
    static const char *const families[] = {"net.", "fs.mqueue.", "kernel.shm", "kernel.msg",
                                           "kernel.sem"};
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && !strchr("-_.", text[i]))
            return "wants letters, digits, -, _ and .";
    }
    if (len == 0 || len > 200 || text[len - 1] == '.' || strstr(text, ".."))
        return "is not the name of a parameter";
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        if (!strncmp(text, families[i], strlen(families[i])))
            return NULL;
    }
    return "is none of a pod's own (net., fs.mqueue., kernel.shm, msg, sem)";
}

static const char *base64_problem(const char *text)
{
    uint8_t *bytes;
    size_t len;

    if (manifest_base64_decode(text, strlen(text), &bytes, &len))
        return "is not base64";
    free(bytes);
    return NULL;
}

static const struct {
    const char *(*problem)(const char *text);
    const char *name;
} formats[] = {
    [FORMAT_ANY] = {NULL, ""},
    [FORMAT_NAME] = {name_problem, "DNS name"},
    [FORMAT_POD_NAME] = {pod_name_problem, "DNS name of at most 63 characters"},
    [FORMAT_LABEL] = {label_problem, "DNS label"},
    [FORMAT_SERVICE_LABEL] = {service_label_problem, "DNS label that begins with a letter"},
    [FORMAT_LABEL_KEY] = {label_key_problem, "label key"},
    [FORMAT_LABEL_VALUE] = {label_value_problem, "label value"},
    [FORMAT_ENV_NAME] = {env_name_problem, "printable ASCII without ="},
    [FORMAT_ENV_PREFIX] = {env_prefix_problem, "printable ASCII without ="},
    [FORMAT_DATA_KEY] = {data_key_problem, "file name"},
    [FORMAT_IMAGE] = {image_problem, "image name"},
    [FORMAT_PATH] = {path_problem, "absolute path without .."},
    [FORMAT_SUBPATH] = {subpath_problem, "relative path without .."},
    [FORMAT_LINE] = {line_problem, "one line"},
    [FORMAT_ADDRESS] = {address_problem, "IPv4 or IPv6 address"},
    [FORMAT_PROBE_HOST] = {probe_host_problem, "IPv4 or IPv6 address, or localhost"},
    [FORMAT_HOSTNAME] = {name_problem, "DNS name"},
    [FORMAT_SEARCH] = {search_problem, "DNS name"},
    [FORMAT_PORT_NAME] = {port_name_problem, "port name"},
    [FORMAT_HEADER_NAME] = {header_name_problem, "header name"},
    [FORMAT_HEADER_VALUE] = {line_problem, "one line"},
    [FORMAT_URL_PATH] = {url_path_problem, "printable ASCII"},
    [FORMAT_GRPC_SERVICE] = {grpc_service_problem, "one line of at most 1000 bytes"},
    [FORMAT_CAPABILITY] = {capability_problem, "capability, or ALL"},
    [FORMAT_SIGNAL] = {signal_problem, "signal's name"},
    [FORMAT_SYSCTL] = {sysctl_problem, "parameter of a namespace"},
    [FORMAT_BASE64] = {base64_problem, "base64"},
};

const char *format_problem(enum format format, const char *text)
{
    return formats[format].problem ? formats[format].problem(text) : NULL;
}

const char *format_name(enum format format)
{
    return formats[format].name;
}
