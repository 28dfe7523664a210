// SPDX-License-Identifier: Apache-2.0
/* Collecting a PF and its VFs as JSON, and printing that as text: see vf_report.h. */
#include "cli/vf_report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"

/* What PFs and VFs have in common. */
static json_t *report_function(const struct pci_function *function)
{
    json_t *interfaces = json_array();

    for (unsigned i = 0; i < function->interface_count; i++)
        json_array_append_new(interfaces, json_string(function->interfaces[i]));
    return json_pack("{s:s, s:o, s:o, s:o}", "address", function->address, "interfaces", interfaces,
                     "driver", function->driver[0] ? json_string(function->driver) : json_null(),
                     "iommu_group",
                     function->iommu_group < 0 ? json_null() : json_integer(function->iommu_group));
}

static void add_attribute(const struct vf_host *host, json_t *object, const char *key,
                          const char *interface, const char *name)
{
    char text[64];

    if (interface && interface_attribute(host, interface, name, text, sizeof(text)) == 0)
        json_object_set_new(object, key, json_string(text));
    else
        json_object_set_new(object, key, json_null());
}

static void add_settings(json_t *object, const struct vf_settings *settings)
{
    char mac[18];

    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", settings->mac[0], settings->mac[1],
             settings->mac[2], settings->mac[3], settings->mac[4], settings->mac[5]);
    for (unsigned bit = 1; bit & VF_ALL_SETTINGS; bit <<= 1) {
        json_t *value = bit == VF_MAC        ? json_string(mac)
                        : bit == VF_VLAN     ? json_integer(settings->vlan)
                        : bit == VF_RATE     ? json_integer(settings->rate_mbit)
                        : bit == VF_TRUST    ? json_boolean(settings->trust)
                        : bit == VF_SPOOFCHK ? json_boolean(settings->spoofchk)
                                             : json_string(vf_link_state_name(settings->link));

        if (!(settings->known & bit)) {
            json_decref(value);
            value = json_null();
        }
        json_object_set_new(object, vf_setting_name(bit), value);
    }
}

static json_t *report_vf(const struct vf_host *host, const char *pf, unsigned index,
                         const struct vf_settings *settings)
{
    char address[PCI_ADDRESS_SIZE];
    struct pci_function function;
    json_t *object;

    if (pci_vf_address(host, pf, index, address) || pci_function_read(host, address, &function))
        return NULL;
    object = report_function(&function);
    json_object_set_new(object, "index", json_integer(index));
    add_settings(object, settings);
    return object;
}

static void read_settings(const struct vf_host *host, struct rtnl *rtnl,
                          const struct pci_function *function, struct vf_settings *out,
                          unsigned count)
{
    char text[16];
    uint64_t ifindex;

    if (!rtnl || !function->interface_count ||
        interface_attribute(host, function->interfaces[0], "ifindex", text, sizeof(text)) ||
        parse_u64(text, 1, INT32_MAX, &ifindex) || vf_link_read(rtnl, (int)ifindex, out, count))
        memset(out, 0, count * sizeof(*out));
}

json_t *vf_report_pf(const struct vf_host *host, struct rtnl *rtnl, const char *pf)
{
    struct pci_function function;
    struct vf_settings *settings;
    unsigned now = 0, total = 0;
    const char *interface;
    json_t *object, *list;

    if (pci_function_read(host, pf, &function) || pci_vf_counts(host, pf, &now, &total))
        return NULL;
    if (now > PCI_VF_MAX)
        now = PCI_VF_MAX;
    settings = calloc(now + 1, sizeof(*settings));
    if (!settings)
        return NULL;
    if (now)
        read_settings(host, rtnl, &function, settings, now);
    interface = function.interface_count ? function.interfaces[0] : NULL;
    object = report_function(&function);
    list = json_array();
    add_attribute(host, object, "link", interface, "operstate");
    add_attribute(host, object, "mac", interface, "address");
    json_object_set_new(object, "total_vfs", json_integer(total));
    for (unsigned i = 0; i < now; i++) {
        json_t *vf = report_vf(host, pf, i, &settings[i]);

        if (vf)
            json_array_append_new(list, vf);
    }
    json_object_set_new(object, "vfs", list);
    free(settings);
    return object;
}

/* A member as a word to print; "-" for what is not there. */
static const char *word(const json_t *object, const char *key, char out[64])
{
    const json_t *value = json_object_get(object, key);

    if (json_is_array(value)) {
        out[0] = '\0';
        for (size_t i = 0; i < json_array_size(value); i++) {
            size_t len = strlen(out);

            snprintf(out + len, 64 - len, "%s%s", len ? "," : "",
                     json_string_value(json_array_get(value, i)));
        }
    } else if (json_is_string(value)) {
        snprintf(out, 64, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        snprintf(out, 64, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        snprintf(out, 64, "%s", json_is_true(value) ? "on" : "off");
    } else {
        out[0] = '\0';
    }
    if (!out[0])
        snprintf(out, 64, "-");
    make_printable(out);
    return out;
}

static const struct column {
    const char *key, *title;
    int width;
} columns[] = {
    {"index", "VF", 3},          {"address", "address", 13},  {"interfaces", "interface", 12},
    {"driver", "driver", 10},    {"iommu_group", "group", 5}, {"mac", "mac", 17},
    {"vlan", "vlan", 4},         {"rate", "rate", 6},         {"trust", "trust", 5},
    {"spoofchk", "spoofchk", 8}, {"link", "link", 0},
};

void vf_report_print(FILE *out, const json_t *pf)
{
    char address[64], interface[64], driver[64], group[64], link[64], mac[64], total[64], value[64];
    const json_t *vfs = json_object_get(pf, "vfs");

    fprintf(out, "%s  interface %s  driver %s  group %s  link %s  mac %s  VFs %zu of %s\n",
            word(pf, "address", address), word(pf, "interfaces", interface),
            word(pf, "driver", driver), word(pf, "iommu_group", group), word(pf, "link", link),
            word(pf, "mac", mac), json_array_size(vfs), word(pf, "total_vfs", total));
    for (size_t i = 0; i < json_array_size(vfs) + 1; i++) {
        if (!json_array_size(vfs))
            return;
        fprintf(out, "  ");
        for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
            const char *text =
                i == 0 ? columns[c].title : word(json_array_get(vfs, i - 1), columns[c].key, value);

            fprintf(out, "%s%-*s", c ? "  " : "", columns[c].width, text);
        }
        fprintf(out, "\n");
    }
}
