// SPDX-License-Identifier: Apache-2.0
/* The addresses of pods on virtual functions: see vf_config.h. */
#include "pod/network/vf_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "pod/image/json.h"
#include "pod/network/config_file.h"

#define MTU_MIN  1280u /* of IPv6: RFC 8200, section 5 */
#define IP6_LAST 65535u

static const char wrong[] = "cannot choose addresses for pods on virtual functions";

/* How far behind the prefix's first address; false when it is not in the prefix, or too far. */
static bool offset_of(const struct address *prefix, const struct address *address, uint64_t *out)
{
    size_t len = address_len(prefix), host = len > 8 ? len - 8 : 0;
    uint64_t base = 0, at = 0;

    if (address->family != prefix->family || !address_within(prefix, address) ||
        memcmp(prefix->bytes, address->bytes, host) != 0)
        return false;
    for (size_t i = host; i < len; i++) {
        base = base << 8 | prefix->bytes[i];
        at = at << 8 | address->bytes[i];
    }
    *out = at - base;
    return true;
}

static int take_prefix(const json_t *object, int family, struct address *out, const char *where,
                       struct husk_error *err)
{
    char text[ADDRESS_TEXT];
    struct address prefix;
    int ret = image_json_text(object, "prefix", true, text, sizeof(text), where, err);

    if (ret)
        return ret;
    if (address_parse_prefix(text, &prefix) || prefix.family != family ||
        !address_is_unicast(&prefix))
        return error_set(err, EINVAL, where, wrong, "the prefix \"%s\" is none like %s", text,
                         family == AF_INET ? "10.9.0.0/24" : "fd12:3456:789a::/64");
    if (prefix.bits < 8 || prefix.bits > address_len(&prefix) * 8 - 2)
        return error_set(err, ERANGE, where, wrong, "the prefix %s must have from 8 to %zu bits",
                         text, address_len(&prefix) * 8 - 2);
    *out = address_network(&prefix);
    return 0;
}

/* An address of the prefix; absent: *out stays. */
static int take_address(const json_t *object, const char *name, const struct address *prefix,
                        struct address *address, uint64_t *out, const char *where,
                        struct husk_error *err)
{
    char text[ADDRESS_TEXT];
    int ret = image_json_text(object, name, false, text, sizeof(text), where, err);

    if (ret || !text[0])
        return ret;
    if (address_parse(text, address) || !offset_of(prefix, address, out) || *out == 0)
        return error_set(err, EINVAL, where, wrong, "%s \"%s\" is no address of the prefix", name,
                         text);
    return 0;
}

/* RFC 919, section 7: the last IPv4 address is everybody's. */
static uint64_t last_of(const struct address *prefix)
{
    size_t host = address_len(prefix) * 8 - prefix->bits;

    if (prefix->family == AF_INET)
        return (UINT64_C(1) << host) - 2;
    return host < 16 ? (UINT64_C(1) << host) - 1 : IP6_LAST;
}

static int take_range(const json_t *pf, const char *name, int family, struct vf_config *out,
                      const char *where, struct husk_error *err)
{
    static const char *const names[] = {"prefix", "first", "last", "gateway", NULL};
    struct vf_range *range = &out->ranges[out->range_count];
    const json_t *object;
    struct address address;
    uint64_t offset;
    int ret = image_json_member(pf, name, JSON_OBJECT, false, &object, where, err);

    if (ret || !object)
        return ret;
    *range = (struct vf_range){.first = 1};
    ret = config_check_names(object, names, where, err);
    if (!ret)
        ret = take_prefix(object, family, &range->prefix, where, err);
    if (ret)
        return ret;
    range->last = last_of(&range->prefix);
    ret = take_address(object, "first", &range->prefix, &address, &range->first, where, err);
    if (!ret)
        ret = take_address(object, "last", &range->prefix, &address, &range->last, where, err);
    if (!ret)
        ret = take_address(object, "gateway", &range->prefix, &range->gateway, &offset, where, err);
    if (!ret && (range->first > range->last ||
                 (family == AF_INET && range->last > last_of(&range->prefix))))
        ret = error_set(err, ERANGE, where, wrong, "%s.first to %s.last is no range", name, name);
    if (!ret)
        out->range_count++;
    return ret;
}

static int take_mtu(const json_t *pf, struct vf_config *out, const char *where,
                    struct husk_error *err)
{
    const json_t *value = json_object_get(pf, "mtu");

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < MTU_MIN ||
        json_integer_value(value) > UINT16_MAX)
        return error_set(err, ERANGE, where, wrong, "mtu is no number from %u to %u", MTU_MIN,
                         UINT16_MAX);
    out->mtu = (uint32_t)json_integer_value(value);
    return 0;
}

static int take_pf(const json_t *pf, struct vf_config *out, const char *where,
                   struct husk_error *err)
{
    static const char *const names[] = {"ipv4", "ipv6", "mtu", NULL};
    int ret = config_check_names(pf, names, where, err);

    if (!ret)
        ret = take_range(pf, "ipv4", AF_INET, out, where, err);
    if (!ret)
        ret = take_range(pf, "ipv6", AF_INET6, out, where, err);
    if (!ret)
        ret = take_mtu(pf, out, where, err);
    if (!ret && !out->range_count)
        ret = error_set(err, EINVAL, where, wrong, "there must be one address family");
    return ret;
}

int vf_config_parse(const void *bytes, size_t len, const char *where, const char *const *names,
                    unsigned name_count, struct vf_config *out, struct husk_error *err)
{
    json_t *document = config_file_parse(bytes, len, where, err);
    const json_t *vf = NULL, *pf = NULL;
    int ret = document ? 0 : -EINVAL;

    *out = (struct vf_config){.mtu = 0};
    if (!ret)
        ret = image_json_member(document, "vf", JSON_OBJECT, false, &vf, where, err);
    for (unsigned i = 0; !ret && vf && !pf && i < name_count; i++)
        ret = image_json_member(vf, names[i], JSON_OBJECT, false, &pf, where, err);
    if (!ret)
        ret = pf ? take_pf(pf, out, where, err)
                 : error_set(err, ENOENT, where, wrong, "there is no \"vf\" with \"%s\" in it",
                             names[0]);
    json_decref(document);
    return ret;
}

int vf_config_read(const char *const *names, unsigned name_count, struct vf_config *out,
                   struct husk_error *err)
{
    const char *path = config_file_path();
    char *bytes;
    size_t len;
    int ret = config_file_read(&bytes, &len, err);

    if (ret)
        return ret;
    if (!bytes)
        return error_set(
            err, ENOENT, path, wrong,
            "there is no such file: it says which addresses of %s's network are theirs", names[0]);
    ret = vf_config_parse(bytes, len, path, names, name_count, out, err);
    free(bytes);
    return ret;
}
