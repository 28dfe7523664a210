// SPDX-License-Identifier: Apache-2.0
/* Ports of the host: see publish.h. */
#include "pod/lib/publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/parse.h"

struct wish {
    char address[INET6_ADDRSTRLEN]; /* "": all */
    uint64_t host, container;
    const char *protocol;
};

/* The text up to `end`, as a whole number of a port. */
static int read_port(const char *text, const char *end, uint64_t *out)
{
    char digits[8];
    size_t len = (size_t)(end - text);

    if (len == 0 || len >= sizeof(digits) || strspn(text, "0123456789") < len)
        return -EINVAL;
    memcpy(digits, text, len);
    digits[len] = '\0';
    return parse_u64(digits, 1, UINT16_MAX, out);
}

/* The address before its ':', taken off the text. */
static int read_address(const char **text, char out[INET6_ADDRSTRLEN])
{
    const char *at = *text, *end = at + strcspn(at, ":");
    unsigned char bytes[16];
    int family = AF_INET;

    if (*at == '[') {
        at++;
        end = strchr(at, ']');
        family = AF_INET6;
    }
    if (!end || (size_t)(end - at) >= INET6_ADDRSTRLEN)
        return -EINVAL;
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
    *text = end + (family == AF_INET6);
    if (inet_pton(family, out, bytes) != 1 || **text != ':')
        return -EINVAL;
    ++*text;
    return 0;
}

static int read_protocol(const char *text, const char **out)
{
    static const char *const names[][2] = {
        {"", "TCP"}, {"/tcp", "TCP"}, {"/udp", "UDP"}, {"/sctp", "SCTP"}};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(text, names[i][0])) {
            *out = names[i][1];
            return 0;
        }
    }
    return -EINVAL;
}

static int read_wish(const char *text, struct wish *out)
{
    const char *colon = strchr(text, ':'), *slash;
    int ret = 0;

    *out = (struct wish){.address = ""};
    if (text[0] == '[' || (colon && strchr(colon + 1, ':')))
        ret = read_address(&text, out->address);
    if (ret)
        return ret;
    colon = strchr(text, ':');
    if (!colon || read_port(text, colon, &out->host))
        return -EINVAL;
    slash = strchrnul(colon + 1, '/');
    ret = read_port(colon + 1, slash, &out->container);
    return ret ? ret : read_protocol(slash, &out->protocol);
}

static bool is_port(const json_t *port, const struct wish *wish)
{
    const char *protocol = json_string_value(json_object_get(port, "protocol"));

    return json_integer_value(json_object_get(port, "containerPort")) ==
               (json_int_t)wish->container &&
           !strcmp(protocol ? protocol : "TCP", wish->protocol);
}

static int set_host(json_t *port, const struct wish *wish)
{
    if (json_object_set_new(port, "hostPort", json_integer((json_int_t)wish->host)))
        return -ENOMEM;
    if (wish->address[0] && json_object_set_new(port, "hostIP", json_string(wish->address)))
        return -ENOMEM;
    return 0;
}

/* Another entry of the container's: ports that have a hostPort already keep it. */
static int add_port(json_t *container, const struct wish *wish)
{
    json_t *ports = json_object_get(container, "ports");
    json_t *port = json_pack("{s:I, s:s}", "containerPort", (json_int_t)wish->container, "protocol",
                             wish->protocol);

    if (port && set_host(port, wish)) {
        json_decref(port);
        return -ENOMEM;
    }
    if (!ports) {
        ports = json_array();
        if (json_object_set_new(container, "ports", ports)) {
            json_decref(port);
            return -ENOMEM;
        }
    }
    return json_array_append_new(ports, port) ? -ENOMEM : 0;
}

static int publish(json_t *containers, const struct wish *wish)
{
    json_t *container, *port, *owner = json_array_get(containers, 0);
    size_t i, k;

    json_array_foreach(containers, i, container)
    {
        json_array_foreach(json_object_get(container, "ports"), k, port)
        {
            if (!is_port(port, wish))
                continue;
            if (!json_object_get(port, "hostPort"))
                return set_host(port, wish);
            owner = container;
        }
    }
    return add_port(owner, wish);
}

/* An object's member that is an object, made when it is not there. Borrowed. */
static json_t *object_in(json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);

    if (!member && !json_object_set_new(object, name, json_object()))
        member = json_object_get(object, name);
    return member;
}

static int note(json_t *pod, const char *text)
{
    json_t *notes = object_in(object_in(pod, "metadata"), "annotations");
    const char *before = json_string_value(json_object_get(notes, PUBLISH_NOTE));

    return json_object_set_new(notes, PUBLISH_NOTE,
                               before ? json_sprintf("%s,%s", before, text) : json_string(text))
               ? -ENOMEM
               : 0;
}

int publish_port(json_t *pod, const char *text, struct husk_error *err)
{
    struct wish wish;

    if (read_wish(text, &wish))
        return error_set(err, EINVAL, text, "is no port to publish",
                         "wants [ADDRESS:]HOST:CONTAINER[/tcp|udp|sctp], such as 8080:80");
    if (publish(json_object_get(json_object_get(pod, "spec"), "containers"), &wish) ||
        note(pod, text))
        return error_set(err, ENOMEM, text, "cannot be published", NULL);
    return 0;
}

static const char *noted(const json_t *pod)
{
    const json_t *notes = json_object_get(json_object_get(pod, "metadata"), "annotations");

    return json_string_value(json_object_get(notes, PUBLISH_NOTE));
}

int publish_again(const json_t *before, const json_t *pod, json_t **out, struct husk_error *err)
{
    const char *text = noted(before);
    int ret = 0;

    if (!text || noted(pod)) {
        *out = json_incref((json_t *)pod);
        return 0;
    }
    *out = json_deep_copy(pod);
    while (*out && !ret && *text) {
        size_t len = strcspn(text, ",");
        char *one = strndup(text, len);

        ret = one ? publish_port(*out, one, err)
                  : error_set(err, ENOMEM, "", "cannot be published", NULL);
        free(one);
        text += len + (text[len] == ',');
    }
    if (*out && !ret)
        return 0;
    json_decref(*out);
    *out = NULL;
    return ret ? ret : error_set(err, ENOMEM, "", "cannot be published", NULL);
}
