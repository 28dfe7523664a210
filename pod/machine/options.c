// SPDX-License-Identifier: Apache-2.0
/* The machine of a container as an object: see options.h. Reading collects the members as they are,
 * and pod_machine_options_check() says what of them is wrong, as for a command line. */
#include "pod/machine/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/parse.h"

#define WHERE_BYTES 64u

static const char wrong[] = "cannot configure the container's machine";

/* ---- checks ---- */

static int check_range(uint64_t value, uint64_t min, uint64_t max, const char *where,
                       struct husk_error *err)
{
    if (!value || (value >= min && value <= max))
        return 0;
    return error_set(err, ERANGE, where, wrong, "%llu is not in the range of %llu to %llu",
                     (unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
}

/* As the agent wants names, and none of those that are used for what every machine has. */
static bool is_volume_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(name);

    return len > 0 && len <= HUSK_AGENT_NAME_MAX && strchr(letters, name[0]) &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               len &&
           strncmp(name, "layer", 5) != 0 && strncmp(name, "scratch", 7) != 0;
}

static int check_disk(const struct pod_machine_options *options, unsigned index,
                      struct husk_error *err)
{
    const struct pod_machine_disk *disk = &options->disks[index];
    char where[WHERE_BYTES];

    snprintf(where, sizeof(where), "machine.disks[%u]", index);
    if (!is_volume_name(disk->volume))
        return error_set(err, EINVAL, where, wrong, "\"%s\" is no name for a volume", disk->volume);
    for (unsigned i = 0; i < index; i++) {
        if (!strcmp(options->disks[i].volume, disk->volume))
            return error_set(err, EINVAL, where, wrong, "there are two volumes \"%s\"",
                             disk->volume);
    }
    if (disk->path[0] != '/')
        return error_set(err, EINVAL, where, wrong, "the path must be absolute");
    if (strcmp(disk->type, "ext4") != 0 && strcmp(disk->type, "erofs") != 0)
        return error_set(err, EINVAL, where, wrong, "the type must be ext4 or erofs");
    if (!strcmp(disk->type, "erofs") && !disk->read_only)
        return error_set(err, EINVAL, where, wrong, "erofs can be read only");
    return 0;
}

static int check_function(const struct pod_machine_network *network, struct husk_error *err)
{
    static const uint8_t none[6];
    char address[PCI_ADDRESS_SIZE];

    if (network->tap[0])
        return error_set(err, EINVAL, "machine.network.vfio", wrong, "it has a tap, too");
    if (pci_address_parse(network->vfio, address) != 0 || strcmp(address, network->vfio) != 0)
        return error_set(err, EINVAL, "machine.network.vfio", wrong,
                         "\"%s\" is no address like 0000:01:10.0", network->vfio);
    if (!memcmp(network->mac, none, sizeof(none)))
        return error_set(err, EINVAL, "machine.network.mac", wrong,
                         "a device is found by it in the guest");
    return 0;
}

static int check_network(const struct pod_machine_network *network, struct husk_error *err)
{
    bool any = network->tap[0] || network->vfio[0];

    if (network->netns[0] && (!network->tap[0] || network->netns[0] != '/'))
        return error_set(err, EINVAL, "machine.network.netns", wrong,
                         "it is the absolute path of the namespace that has the tap");
    if (network->vfio[0]) {
        int ret = check_function(network, err);

        if (ret)
            return ret;
    }
    if (any && (network->mac[0] & 1))
        return error_set(err, EINVAL, "machine.network.mac", wrong, "it is a group's");
    if (network->mtu && network->mtu < 68)
        return error_set(err, ERANGE, "machine.network.mtu", wrong, "%u is less than 68",
                         network->mtu);
    if (!any && (network->address_count || network->route_count || network->mtu || network->mac[0]))
        return error_set(err, EINVAL, "machine.network", wrong, "it has no interface");
    return 0;
}

int pod_machine_options_check(const struct pod_machine_options *options, struct husk_error *err)
{
    int ret = check_range(options->memory_bytes, POD_MACHINE_MEMORY_MIN, POD_MACHINE_MEMORY_MAX,
                          "machine.memory_bytes", err);

    if (!ret)
        ret = check_range(options->vcpus, 1, POD_MACHINE_VCPUS_MAX, "machine.vcpus", err);
    if (!ret)
        ret = check_range(options->scratch_bytes, POD_MACHINE_SCRATCH_MIN, POD_MACHINE_SCRATCH_MAX,
                          "machine.scratch_bytes", err);
    if (!ret && options->kernel[0] && options->kernel[0] != '/')
        ret = error_set(err, EINVAL, "machine.kernel", wrong, "the path must be absolute");
    if (!ret)
        ret = check_network(&options->network, err);
    for (unsigned i = 0; !ret && i < options->disk_count; i++)
        ret = check_disk(options, i, err);
    return ret;
}

/* ---- from an object ---- */

/* One level of the object, and how errors call it. */
struct level {
    const json_t *object;
    const char *name;
    struct husk_error *err;
};

static int refuse(const struct level *level, const char *name, const char *why)
{
    char where[2 * WHERE_BYTES];

    snprintf(where, sizeof(where), "%s.%s", level->name, name);
    return error_set(level->err, EINVAL, where, wrong, "%s", why);
}

static int read_u64(const struct level *level, const char *name, uint64_t max, uint64_t *out)
{
    const json_t *value = json_object_get(level->object, name);

    *out = 0;
    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return refuse(level, name, "is no number in its range");
    *out = (uint64_t)json_integer_value(value);
    return 0;
}

/* Of an array too, by its element. */
static int read_text(const struct level *level, const json_t *value, const char *name, char *out,
                     size_t size)
{
    size_t len = json_string_length(value);

    out[0] = '\0';
    if (!value)
        return 0;
    if (!json_is_string(value) || len >= size || strlen(json_string_value(value)) != len)
        return refuse(level, name, "is no text of a length that is allowed");
    memcpy(out, json_string_value(value), len + 1);
    return 0;
}

static int read_member(const struct level *level, const char *name, char *out, size_t size)
{
    return read_text(level, json_object_get(level->object, name), name, out, size);
}

/* The array `name` with at most `max` elements; no array is an empty one. */
static int read_array(const struct level *level, const char *name, unsigned max, unsigned *count,
                      const json_t **out)
{
    const json_t *value = json_object_get(level->object, name);

    *out = value;
    *count = (unsigned)json_array_size(value);
    if (value && !json_is_array(value))
        return refuse(level, name, "is no list");
    return json_array_size(value) > max ? refuse(level, name, "has too many elements") : 0;
}

static int read_route(const json_t *value, unsigned index, struct pod_machine_route *route,
                      struct husk_error *err)
{
    char where[WHERE_BYTES];
    const struct level level = {.object = value, .name = where, .err = err};
    int ret;

    snprintf(where, sizeof(where), "machine.network.routes[%u]", index);
    ret = read_member(&level, "to", route->to, sizeof(route->to));
    if (!ret)
        ret = read_member(&level, "via", route->via, sizeof(route->via));
    return !ret && !route->to[0] ? refuse(&level, "to", "is missing") : ret;
}

static int read_network(const json_t *object, struct pod_machine_network *network,
                        struct husk_error *err)
{
    const struct level level = {.object = object, .name = "machine.network", .err = err};
    const json_t *addresses, *routes;
    char mac[18];
    uint64_t mtu;
    int ret = read_member(&level, "tap", network->tap, sizeof(network->tap));

    if (!ret)
        ret = read_member(&level, "netns", network->netns, sizeof(network->netns));
    if (!ret)
        ret = read_member(&level, "vfio", network->vfio, sizeof(network->vfio));
    if (!ret)
        ret = read_member(&level, "mac", mac, sizeof(mac));
    if (!ret && mac[0] && parse_mac(mac, network->mac))
        ret = refuse(&level, "mac", "is no address");
    if (!ret)
        ret = read_u64(&level, "mtu", UINT16_MAX, &mtu);
    if (!ret)
        ret = read_array(&level, "addresses", POD_MACHINE_ADDRESSES_MAX, &network->address_count,
                         &addresses);
    for (unsigned i = 0; !ret && i < network->address_count; i++)
        ret = read_text(&level, json_array_get(addresses, i), "addresses", network->addresses[i],
                        sizeof(network->addresses[i]));
    if (!ret)
        ret =
            read_array(&level, "routes", POD_MACHINE_ADDRESSES_MAX, &network->route_count, &routes);
    for (unsigned i = 0; !ret && i < network->route_count; i++)
        ret = read_route(json_array_get(routes, i), i, &network->routes[i], err);
    if (!ret)
        network->mtu = (uint16_t)mtu;
    return ret;
}

static int read_disk(const json_t *object, unsigned index, struct pod_machine_disk *disk,
                     struct husk_error *err)
{
    char where[WHERE_BYTES];
    const struct level level = {.object = object, .name = where, .err = err};
    const json_t *read_only = json_object_get(object, "readonly");
    int ret;

    snprintf(where, sizeof(where), "machine.disks[%u]", index);
    ret = read_member(&level, "volume", disk->volume, sizeof(disk->volume));
    if (!ret)
        ret = read_member(&level, "path", disk->path, sizeof(disk->path));
    if (!ret)
        ret = read_member(&level, "type", disk->type, sizeof(disk->type));
    if (!ret && read_only && !json_is_boolean(read_only))
        ret = refuse(&level, "readonly", "is neither true nor false");
    disk->read_only = json_is_true(read_only);
    return ret;
}

int pod_machine_options_decode(const json_t *object, struct pod_machine_options *out,
                               struct husk_error *err)
{
    const struct level level = {.object = object, .name = "machine", .err = err};
    const json_t *network = json_object_get(object, "network"), *disks;
    uint64_t vcpus = 0;
    int ret;

    *out = (struct pod_machine_options){.vcpus = 0};
    if (!json_is_object(object))
        return error_set(err, EINVAL, "machine", wrong, "it is no object");
    ret = read_u64(&level, "memory_bytes", INT64_MAX, &out->memory_bytes);
    if (!ret)
        ret = read_u64(&level, "vcpus", POD_MACHINE_VCPUS_MAX, &vcpus);
    if (!ret)
        ret = read_u64(&level, "scratch_bytes", INT64_MAX, &out->scratch_bytes);
    if (!ret)
        ret = read_member(&level, "kernel", out->kernel, sizeof(out->kernel));
    if (!ret && network)
        ret = read_network(network, &out->network, err);
    if (!ret)
        ret = read_array(&level, "disks", POD_MACHINE_DISKS_MAX, &out->disk_count, &disks);
    for (unsigned i = 0; !ret && i < out->disk_count; i++)
        ret = read_disk(json_array_get(disks, i), i, &out->disks[i], err);
    out->vcpus = (unsigned)vcpus;
    return ret ? ret : pod_machine_options_check(out, err);
}

/* ---- to an object ---- */

/* json_object_set_new() takes the reference and fails when a value could not be made. */
static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

json_t *pod_machine_routes_json(const struct pod_machine_network *network)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < network->route_count; i++) {
        const struct pod_machine_route *route = &network->routes[i];

        if (json_array_append_new(list, json_pack("{ss ss*}", "to", route->to, "via",
                                                  route->via[0] ? route->via : NULL))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *encode_network(const struct pod_machine_network *network)
{
    static const uint8_t none[6];
    const uint8_t *mac = network->mac;
    json_t *object = json_object(), *addresses = json_array();
    char text[18];
    bool done = object && addresses && put(object, "routes", pod_machine_routes_json(network));

    if (done && network->tap[0])
        done = put(object, "tap", json_string(network->tap));
    if (done && network->netns[0])
        done = put(object, "netns", json_string(network->netns));
    if (done && network->vfio[0])
        done = put(object, "vfio", json_string(network->vfio));

    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    if (done && memcmp(mac, none, sizeof(none)) != 0)
        done = put(object, "mac", json_string(text));
    if (done && network->mtu)
        done = put(object, "mtu", json_integer(network->mtu));
    for (unsigned i = 0; done && i < network->address_count; i++)
        done = json_array_append_new(addresses, json_string(network->addresses[i])) == 0;
    if (done)
        done = json_object_set(object, "addresses", addresses) == 0;
    json_decref(addresses);
    if (done)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *encode_disks(const struct pod_machine_options *options)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < options->disk_count; i++) {
        const struct pod_machine_disk *disk = &options->disks[i];

        if (json_array_append_new(list, json_pack("{ss ss ss sb}", "volume", disk->volume, "path",
                                                  disk->path, "type", disk->type, "readonly",
                                                  (int)disk->read_only))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

json_t *pod_machine_options_encode(const struct pod_machine_options *options)
{
    json_t *object = json_object();
    bool done = object &&
                put(object, "memory_bytes", json_integer((json_int_t)options->memory_bytes)) &&
                put(object, "vcpus", json_integer(options->vcpus)) &&
                put(object, "scratch_bytes", json_integer((json_int_t)options->scratch_bytes)) &&
                put(object, "disks", encode_disks(options));

    if (done && options->kernel[0])
        done = put(object, "kernel", json_string(options->kernel));
    if (done && (options->network.tap[0] || options->network.vfio[0]))
        done = put(object, "network", encode_network(&options->network));
    if (done)
        return object;
    json_decref(object);
    return NULL;
}
