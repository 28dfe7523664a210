// SPDX-License-Identifier: Apache-2.0
/* Requests to the API of a VM, and its answers as text: see vm_body.h. */
#include "cli/vm_body.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

bool vm_id_is_valid(const char *id)
{
    size_t len = strlen(id);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)id[i];

        if (c > 0x7f || (!isalnum(c) && c != '_'))
            return false;
    }
    return len > 0 && len < VM_ID_SIZE;
}

bool vm_has_id(const json_t *list, const char *member, const char *id)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *)list, i, item)
    {
        const char *other = json_string_value(json_object_get(item, member));

        if (other && !strcmp(other, id))
            return true;
    }
    return false;
}

void vm_free_id(const json_t *list, const char *member, const char *prefix, char id[VM_ID_SIZE])
{
    unsigned number = 1;

    /* A list of n ids leaves one of the first n + 1 free. */
    do
        snprintf(id, VM_ID_SIZE, "%s%u", prefix, number++);
    while (vm_has_id(list, member, id));
}

static char *absolute(const char *path)
{
    char *directory = *path == '/' ? NULL : getcwd(NULL, 0), *whole = NULL;

    if (*path == '/')
        return strdup(path);
    if (!directory || asprintf(&whole, "%s/%s", directory, path) < 0)
        whole = NULL;
    free(directory);
    return whole;
}

/* `rate` a second as a bucket; nothing when there is no limit. */
static int put_rate(json_t *limiter, const char *name, struct husk_rate rate)
{
    if (!rate.per_second)
        return 0;
    return json_object_set_new(
        limiter, name,
        json_pack("{s:I, s:i}", "size", (json_int_t)rate.per_second, "refill_time", 1000));
}

static json_t *limiter(struct husk_rate operations, struct husk_rate bandwidth)
{
    json_t *object = json_object();

    if (object && put_rate(object, "ops", operations) == 0 &&
        put_rate(object, "bandwidth", bandwidth) == 0)
        return object;
    json_decref(object);
    return NULL;
}

int vm_drive_body(const struct husk_drive_options *drive, const char *id, json_t **out,
                  struct husk_error *err)
{
    static const char cannot_ask[] = "cannot ask for the disk";
    static const char *const engines[] = {[HUSK_BLOCK_ENGINE_AUTO] = NULL,
                                          [HUSK_BLOCK_ENGINE_URING] = "Async",
                                          [HUSK_BLOCK_ENGINE_THREADS] = "Sync"};
    char *path = absolute(drive->path);
    json_t *text;

    if (!path)
        return error_set(err, errno, drive->path, cannot_ask, NULL);
    text = json_string(path);
    free(path);
    if (!text)
        return error_set(err, EILSEQ, drive->path, cannot_ask,
                         "its path is not UTF-8, as the API's are");
    *out = json_pack("{s:s, s:o, s:b, s:b, s:s?, s:o}", "drive_id", id, "path_on_host", text,
                     "is_root_device", 0, "is_read_only", drive->read_only != 0, "io_engine",
                     engines[drive->engine], "rate_limiter",
                     limiter(drive->operations, drive->bandwidth));
    return *out ? 0 : error_set(err, ENOMEM, drive->path, cannot_ask, NULL);
}

json_t *vm_net_body(const struct husk_net_options *net, const char *id)
{
    static const uint8_t none[6];
    json_t *body = json_pack("{s:s, s:s, s:o, s:o}", "iface_id", id, "host_dev_name", net->tap_name,
                             "rx_rate_limiter", limiter(net->rx_operations, net->rx_bandwidth),
                             "tx_rate_limiter", limiter(net->tx_operations, net->tx_bandwidth));
    char mac[18];
    int ret = 0;

    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1],
             net->mac[2], net->mac[3], net->mac[4], net->mac[5]);
    if (body && memcmp(net->mac, none, sizeof(none)) != 0)
        ret = json_object_set_new(body, "guest_mac", json_string(mac));
    if (body && !ret && net->mtu)
        ret = json_object_set_new(body, "mtu", json_integer(net->mtu));
    if (!ret)
        return body;
    json_decref(body);
    return NULL;
}

json_t *vm_vfio_body(const struct husk_vfio_options *vfio, const char *id)
{
    static const char *const interfaces[] = {[HUSK_VFIO_IOMMU_AUTO] = "Auto",
                                             [HUSK_VFIO_IOMMU_IOMMUFD] = "Iommufd",
                                             [HUSK_VFIO_IOMMU_GROUP] = "Group"};

    return json_pack("{s:s, s:s, s:s}", "vfio_id", id, "address", vfio->address, "iommu",
                     interfaces[vfio->iommu]);
}

/* One "what: text" line. Nothing when there is no text. */
static void print_line(FILE *out, const char *what, const char *text, const char *more)
{
    char *copy = text ? strdup(text) : NULL;

    if (copy) {
        make_printable(copy);
        fprintf(out, "%s: %s%s\n", what, copy, more);
    }
    free(copy);
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static void print_machine(FILE *out, const json_t *machine)
{
    const json_t *cpus = json_object_get(machine, "vcpu_count");
    const json_t *memory = json_object_get(machine, "mem_size_mib");

    if (json_is_integer(cpus))
        fprintf(out, "CPUs: %" JSON_INTEGER_FORMAT "\n", json_integer_value(cpus));
    if (json_is_integer(memory))
        fprintf(out, "memory: %" JSON_INTEGER_FORMAT " MiB\n", json_integer_value(memory));
}

/* The devices of one kind: "drive ID: what", where `member` says what. */
static void print_devices(FILE *out, const json_t *list, const char *kind, const char *id_member,
                          const char *member)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *)list, i, item)
    {
        const char *id = text_of(item, id_member);
        char what[96];

        if (!id || !vm_id_is_valid(id))
            continue;
        snprintf(what, sizeof(what), "%s %s", kind, id);
        print_line(out, what, text_of(item, member),
                   json_is_true(json_object_get(item, "is_read_only")) ? " (read-only)" : "");
    }
}

void vm_info_print(FILE *out, const json_t *instance, const json_t *config)
{
    print_line(out, "id", text_of(instance, "id"), "");
    print_line(out, "state", text_of(instance, "state"), "");
    print_line(out, "monitor", text_of(instance, "app_name"), "");
    print_line(out, "version", text_of(instance, "vmm_version"), "");
    print_machine(out, json_object_get(config, "machine-config"));
    print_line(out, "kernel", text_of(json_object_get(config, "boot-source"), "kernel_image_path"),
               "");
    print_devices(out, json_object_get(config, "drives"), "drive", "drive_id", "path_on_host");
    print_devices(out, json_object_get(config, "network-interfaces"), "net", "iface_id",
                  "host_dev_name");
    print_devices(out, json_object_get(config, "vfio"), "vfio", "vfio_id", "address");
    print_line(out, "vsock", text_of(json_object_get(config, "vsock"), "uds_path"), "");
}
