// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cli/node/route.h"

/* "*" stands for the name of a pod. */
static const struct {
    const char *method, *path;
    enum verb verb;
} table[] = {
    {"GET", "/healthz", VERB_HEALTH},        {"GET", "/version", VERB_VERSION},
    {"GET", "/status", VERB_STATUS},         {"GET", "/metrics", VERB_METRICS},
    {"GET", "/events", VERB_EVENTS},         {"GET", "/pods", VERB_LIST},
    {"POST", "/pods", VERB_APPLY},           {"GET", "/pods/*", VERB_GET},
    {"DELETE", "/pods/*", VERB_DELETE},      {"POST", "/pods/*/start", VERB_START},
    {"POST", "/pods/*/stop", VERB_STOP},     {"GET", "/pods/*/stats", VERB_STATS},
    {"GET", "/pods/*/log", VERB_LOG},        {"POST", "/pods/*/exec", VERB_EXEC},
    {"POST", "/pods/*/attach", VERB_ATTACH}, {"POST", "/pods/*/portforward", VERB_PORT_FORWARD},
};

/* What a pod, or the beginning of its uid, can be called. */
static bool is_name(const char *text, size_t len)
{
    if (len == 0 || len > POD_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", text[i]))
            return false;
    }
    return text[0] != '-' && text[0] != '.';
}

static bool matches(const char *pattern, const char *path, struct route *out)
{
    const char *star = strchr(pattern, '*');
    size_t before = star ? (size_t)(star - pattern) : 0, len;

    out->pod[0] = '\0';
    if (!star)
        return !strcmp(pattern, path);
    if (strncmp(pattern, path, before) != 0)
        return false;
    len = strcspn(path + before, "/");
    if (!is_name(path + before, len) || strcmp(star + 1, path + before + len) != 0)
        return false;
    snprintf(out->pod, sizeof(out->pod), "%.*s", (int)len, path + before);
    return true;
}

int route_find(const char *method, const char *path, struct route *out)
{
    int refusal = 404;

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        if (!matches(table[i].path, path, out))
            continue;
        out->verb = table[i].verb;
        if (!strcmp(table[i].method, method))
            return 0;
        refusal = 405;
    }
    return refusal;
}

const char *route_methods(const char *path)
{
    struct route route;

    if (!strcmp(path, "/pods"))
        return "GET, POST";
    if (matches("/pods/*", path, &route))
        return "GET, DELETE";
    return route_find("GET", path, &route) == 0 ? "GET" : "POST";
}
