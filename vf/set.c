// SPDX-License-Identifier: Apache-2.0
/* Settings of VFs: see set.h. */
#include "vf/set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"

/* One VF, and through whom its driver is asked. */
struct target {
    const char *name; /* of the PF, as its user has it */
    unsigned number;
    int ifindex;
};

static int find_interface(const struct vf_host *host, const char *name, const char *pf,
                          char out[IFNAMSIZ], struct husk_error *err)
{
    struct pci_function function;
    int ret = pci_function_read(host, pf, &function);

    if (ret)
        return error_set(err, -ret, name, "cannot be read", NULL);
    if (function.interface_count == 0)
        return error_set(err, ENODEV, name, "has no network interface here",
                         function.driver[0] ? "it may be in another network namespace"
                                            : "it has no driver");
    for (unsigned i = 0; i < function.interface_count; i++) {
        if (!strcmp(function.interfaces[i], name) || function.interface_count == 1) {
            memcpy(out, function.interfaces[i], IFNAMSIZ);
            return 0;
        }
    }
    return error_set(err, EINVAL, name, "has several interfaces",
                     "name the one that is meant: %s, %s%s", function.interfaces[0],
                     function.interfaces[1], function.interface_count > 2 ? ", ..." : "");
}

static int find_target(const struct vf_host *host, const char *pf, const char *name,
                       unsigned number, struct target *out, struct husk_error *err)
{
    char interface[IFNAMSIZ], text[16];
    unsigned now = 0, total = 0;
    uint64_t ifindex = 0;
    int ret = pci_vf_counts(host, pf, &now, &total);

    if (ret)
        return error_set(err, -ret, name, "cannot read how many VFs it has", NULL);
    if (now == 0)
        return error_set(err, ERANGE, name, "has no VFs", "`husk vf create %s N` makes some", name);
    if (number >= now || number >= PCI_VF_MAX)
        return error_set(err, ERANGE, name, "has no such VF", "%u is not in 0 to %u", number,
                         now - 1);
    ret = find_interface(host, name, pf, interface, err);
    if (ret)
        return ret;
    ret = interface_attribute(host, interface, "ifindex", text, sizeof(text));
    if (ret == 0)
        ret = parse_u64(text, 1, INT32_MAX, &ifindex);
    if (ret)
        return error_set(err, -ret, interface, "cannot read the interface's number", NULL);
    *out = (struct target){.name = name, .number = number, .ifindex = (int)ifindex};
    return 0;
}

static int read_settings(const struct target *target, struct rtnl *rtnl, struct vf_settings *out,
                         struct husk_error *err)
{
    const unsigned count = target->number + 1; /* the kernel tells of all */
    struct vf_settings *all = calloc(count, sizeof(*all));
    int ret = all ? vf_link_read(rtnl, target->ifindex, all, count) : -ENOMEM;

    if (ret)
        error_set(err, -ret, target->name, "cannot read the settings of its VFs", NULL);
    else
        *out = all[target->number];
    free(all);
    return ret;
}

static int set_failed(const char *pf, enum vf_setting which, const char *refusal, int ret,
                      struct husk_error *err)
{
    char where[64];

    snprintf(where, sizeof(where), "%s: %s", pf, vf_setting_name(which));
    if (ret == -EOPNOTSUPP)
        return error_set(err, -ret, where, "cannot be set", "its driver does not support that");
    if (ret == -EPERM)
        return error_set(err, -ret, where, "cannot be set", "only root can");
    if (ret == -EINVAL && which == VF_RATE && !refusal[0])
        return error_set(err, -ret, where, "cannot be set",
                         "its driver refuses it: most want the link up, and less than its speed");
    if (refusal[0])
        return error_set(err, -ret, where, "cannot be set", "%s (%s)", error_text(-ret), refusal);
    return error_set(err, -ret, where, "cannot be set", "its driver: %s", error_text(-ret));
}

static int apply(const struct target *target, struct rtnl *rtnl, struct vf_settings wanted,
                 struct husk_error *err)
{
    struct vf_settings present;
    enum vf_setting failed = 0;
    int ret = read_settings(target, rtnl, &present, err);

    if (ret)
        return ret;
    /* Parts of a setting that nobody asked for stay. */
    wanted.min_rate_mbit = present.min_rate_mbit;
    wanted.qos = wanted.vlan ? present.qos : 0;
    ret = vf_link_apply(rtnl, target->ifindex, target->number, &wanted, &present, &failed);
    return ret ? set_failed(target->name, failed, rtnl->refusal, ret, err) : 0;
}

/* To be closed with rtnl_close(). */
static int reach(const struct vf_host *host, const char *pf, const char *name, unsigned number,
                 struct target *target, struct rtnl *rtnl, struct husk_error *err)
{
    int ret = find_target(host, pf, name, number, target, err);

    if (ret)
        return ret;
    ret = rtnl_open(rtnl);
    return ret ? error_set(err, -ret, name, "cannot talk to rtnetlink", NULL) : 0;
}

int vf_get(const struct vf_host *host, const char *pf, const char *name, unsigned number,
           struct vf_settings *out, struct husk_error *err)
{
    struct target target = {.name = name};
    struct rtnl rtnl;
    int ret = reach(host, pf, name, number, &target, &rtnl, err);

    if (ret)
        return ret;
    ret = read_settings(&target, &rtnl, out, err);
    rtnl_close(&rtnl);
    return ret;
}

int vf_set(const struct vf_host *host, const char *pf, const char *name, unsigned number,
           const struct vf_settings *wanted, struct husk_error *err)
{
    struct target target = {.name = name};
    struct rtnl rtnl;
    int ret = reach(host, pf, name, number, &target, &rtnl, err);

    if (ret)
        return ret;
    ret = apply(&target, &rtnl, *wanted, err);
    rtnl_close(&rtnl);
    return ret;
}
