// SPDX-License-Identifier: Apache-2.0
/* The host as a router for its pods: see forwarding.h. No state. */
#include "pod/network/forwarding.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/network/link.h"

#define SYSCTL_DIRECTORY "/proc/sys/net"
#define NAME_BYTES       96u
#define VALUE_BYTES      16u
#define UPLINKS_MAX      16u

static int open_sysctl(const char *name, int flags)
{
    char path[sizeof(SYSCTL_DIRECTORY) + NAME_BYTES];
    int fd;

    if ((size_t)snprintf(path, sizeof(path), SYSCTL_DIRECTORY "/%s", name) >= sizeof(path) ||
        strstr(name, ".."))
        return -EINVAL;
    fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int get(const char *name, char value[VALUE_BYTES])
{
    int fd = open_sysctl(name, O_RDONLY);
    ssize_t len;

    if (fd < 0)
        return fd;
    len = read(fd, value, VALUE_BYTES - 1);
    close_fd(&fd);
    if (len < 0)
        return -EIO;
    value[len] = '\0';
    value[strcspn(value, "\n")] = '\0';
    return 0;
}

int forwarding_set(const char *name, const char *value)
{
    int fd = open_sysctl(name, O_WRONLY), ret;

    if (fd < 0)
        return fd;
    ret = write_full(fd, value, strlen(value));
    close_fd(&fd);
    return ret;
}

/* ---- changes ---- */

struct plan {
    json_t *changed; /* of former times, too */
    char texts[4 * UPLINKS_MAX][NAME_BYTES];
    const char *values[4 * UPLINKS_MAX];
    unsigned count;
};

/* Notes a change that is to be made, unless it is so already. */
static int intend(struct plan *plan, const char *value, const char *format, const char *interface)
{
    char *name = plan->texts[plan->count], now[VALUE_BYTES];
    int ret;

    if (plan->count == sizeof(plan->values) / sizeof(plan->values[0]))
        return -E2BIG;
    snprintf(name, NAME_BYTES, "%s%s%s", format, interface ? interface : "",
             interface ? "/forwarding" : "");
    ret = get(name, now);
    if (ret || !strcmp(now, value))
        return ret;
    plan->values[plan->count++] = value;
    /* What was noted first is what the host had. */
    if (json_object_get(plan->changed, name))
        return 0;
    return json_object_set_new(plan->changed, name, json_string(now)) ? -ENOMEM : 0;
}

struct uplinks {
    int family, indexes[UPLINKS_MAX];
    unsigned count;
};

static int take_uplink(void *opaque, const struct link_route *route)
{
    struct uplinks *uplinks = opaque;

    if (route->to.bits != 0 || route->to.family != uplinks->family || !route->index)
        return 0;
    for (unsigned i = 0; i < uplinks->count; i++) {
        if (uplinks->indexes[i] == route->index)
            return 0;
    }
    if (uplinks->count < UPLINKS_MAX)
        uplinks->indexes[uplinks->count++] = route->index;
    return 0;
}

static int find_uplinks(int family, struct uplinks *uplinks)
{
    struct rtnl rtnl;
    int ret = rtnl_open(&rtnl);

    *uplinks = (struct uplinks){.family = family};
    if (ret)
        return ret;
    ret = link_routes(&rtnl, 0, take_uplink, uplinks);
    rtnl_close(&rtnl);
    return ret;
}

/* Names with a slash are other paths below /proc/sys (Linux gives '/' in them as '.'). */
static const char *name_of(int index, char name[IFNAMSIZ])
{
    return if_indextoname((unsigned)index, name) && !strchr(name, '/') ? name : NULL;
}

static int plan_ip4(struct plan *plan, const char *bridge)
{
    char value[VALUE_BYTES], name[IFNAMSIZ];
    struct uplinks uplinks;
    int ret = get("ipv4/ip_forward", value);

    if (ret || !strcmp(value, "1"))
        return ret;
    ret = find_uplinks(AF_INET, &uplinks);
    if (!ret)
        ret = intend(plan, "1", "ipv4/conf/", bridge);
    for (unsigned i = 0; !ret && i < uplinks.count; i++) {
        if (name_of(uplinks.indexes[i], name))
            ret = intend(plan, "1", "ipv4/conf/", name);
    }
    return ret;
}

static int plan_ip6(struct plan *plan)
{
    char value[VALUE_BYTES], name[IFNAMSIZ], path[NAME_BYTES];
    struct uplinks uplinks;
    int ret = get("ipv6/conf/all/forwarding", value);

    if (ret || !strcmp(value, "1"))
        return ret;
    ret = find_uplinks(AF_INET6, &uplinks);
    if (ret || !uplinks.count)
        return ret;
    for (unsigned i = 0; !ret && i < uplinks.count; i++) {
        if (!name_of(uplinks.indexes[i], name))
            continue;
        snprintf(path, sizeof(path), "ipv6/conf/%s/accept_ra", name);
        if (get(path, value) == 0 && !strcmp(value, "1"))
            ret = intend(plan, "2", path, NULL);
    }
    return ret ? ret : intend(plan, "1", "ipv6/conf/all/forwarding", NULL);
}

int forwarding_begin(const char *bridge, bool ip6, json_t *changed, forwarding_save save,
                     void *opaque, struct husk_error *err)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    int ret = plan ? 0 : -ENOMEM;

    if (plan) {
        plan->changed = changed;
        ret = plan_ip4(plan, bridge);
        if (!ret && ip6)
            ret = plan_ip6(plan);
    }
    if (!ret && plan->count)
        ret = save(opaque, changed);
    for (unsigned i = 0; !ret && i < plan->count; i++)
        ret = forwarding_set(plan->texts[i], plan->values[i]);
    free(plan);
    return ret ? error_set(err, -ret, SYSCTL_DIRECTORY, "cannot forward packets of pods", NULL) : 0;
}

/* What we made of it; anything else there is somebody else's wish. */
static const char *our_value(const char *name)
{
    size_t len = strlen(name);

    return len > 10 && !strcmp(name + len - 10, "/accept_ra") ? "2" : "1";
}

void forwarding_end(const json_t *changed)
{
    char now[VALUE_BYTES], all[VALUE_BYTES];
    bool host_forwards = get("ipv4/ip_forward", all) == 0 && !strcmp(all, "1");
    const char *name;
    json_t *former;

    json_object_foreach((json_t *)changed, name, former)
    {
        /* Somebody has made the host a router since: these interfaces, too. */
        if (!strncmp(name, "ipv4/", 5) && host_forwards)
            continue;
        if (json_is_string(former) && get(name, now) == 0 && !strcmp(now, our_value(name)))
            (void)forwarding_set(name, json_string_value(former));
    }
}
