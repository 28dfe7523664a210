// SPDX-License-Identifier: Apache-2.0
/* Functions, their VFs and interfaces from sysfs's links and directories: see pci.h. */
#include "vf/pci.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/parse.h"

#define DEVICES "bus/pci/devices"

static int device_link(const struct vf_host *host, const char *address, const char *link, char *out,
                       size_t size)
{
    return sysfs_link(host->sysfs, out, size, DEVICES "/%s/%s", address, link);
}

/* A VF's representor hangs at the PF, too; its port is named pf0vf3 or c1pf0vf3. */
static bool is_representor(const struct vf_host *host, const char *interface)
{
    char port[64];

    return interface_attribute(host, interface, "phys_port_name", port, sizeof(port)) == 0 &&
           strstr(port, "vf");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void read_interfaces(const struct vf_host *host, struct pci_function *out)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/" DEVICES "/%s/net", host->sysfs, out->address);
    dir = opendir(path);
    while (dir && out->interface_count < PCI_INTERFACE_MAX && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (entry->d_name[0] == '.' || len >= IFNAMSIZ || is_representor(host, entry->d_name))
            continue;
        memcpy(out->interfaces[out->interface_count++], entry->d_name, len + 1);
    }
    if (dir)
        closedir(dir);
    qsort(out->interfaces, out->interface_count, sizeof(out->interfaces[0]), compare_names);
}

int pci_function_read(const struct vf_host *host, const char *address, struct pci_function *out)
{
    struct pci_function function = {.iommu_group = -1};
    char group[16];
    uint64_t number;

    if (!sysfs_exists(host->sysfs, DEVICES "/%s", address))
        return -ENODEV;
    snprintf(function.address, sizeof(function.address), "%s", address);
    if (device_link(host, address, "driver", function.driver, sizeof(function.driver)))
        function.driver[0] = '\0';
    if (device_link(host, address, "iommu_group", group, sizeof(group)) == 0 &&
        parse_u64(group, 0, INT_MAX, &number) == 0)
        function.iommu_group = (int)number;
    read_interfaces(host, &function);
    *out = function; /* last: the address may be a part of it */
    return 0;
}

static int read_number(const struct vf_host *host, const char *address, const char *name,
                       unsigned max, unsigned *out)
{
    char text[32];
    uint64_t number;
    int ret = sysfs_read(host->sysfs, text, sizeof(text), DEVICES "/%s/%s", address, name);

    if (ret == 0)
        ret = parse_u64(text, 0, max, &number);
    if (ret == 0)
        *out = (unsigned)number;
    return ret;
}

int pci_vf_counts(const struct vf_host *host, const char *pf, unsigned *now, unsigned *total)
{
    int ret = read_number(host, pf, "sriov_totalvfs", UINT16_MAX, total);

    return ret ? ret : read_number(host, pf, "sriov_numvfs", UINT16_MAX, now);
}

int pci_vf_address(const struct vf_host *host, const char *pf, unsigned index,
                   char out[PCI_ADDRESS_SIZE])
{
    char link[32], name[PCI_ADDRESS_SIZE];
    int ret;

    snprintf(link, sizeof(link), "virtfn%u", index);
    ret = device_link(host, pf, link, name, sizeof(name));
    return ret ? ret : pci_address_parse(name, out);
}

int pci_pf_of(const struct vf_host *host, const char *vf, char out[PCI_ADDRESS_SIZE])
{
    char name[PCI_ADDRESS_SIZE];
    int ret = device_link(host, vf, "physfn", name, sizeof(name));

    return ret ? ret : pci_address_parse(name, out);
}

bool interface_is_up(const struct vf_host *host, const char *interface)
{
    char text[32];
    uint64_t flags;

    return interface_attribute(host, interface, "flags", text, sizeof(text)) == 0 &&
           parse_u64(text, 0, UINT32_MAX, &flags) == 0 && flags & IFF_UP;
}

/* What a bond, bridge or VLAN is made of, as a list to read; "" for anything else. */
static void list_lower(const struct vf_host *host, const char *interface, char *out, size_t size)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    out[0] = '\0';
    snprintf(path, sizeof(path), "%s/class/net/%s", host->sysfs, interface);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        size_t len = strlen(out);

        if (strncmp(entry->d_name, "lower_", 6) == 0)
            snprintf(out + len, size - len, "%s%s", len ? ", " : "", entry->d_name + 6);
    }
    if (dir)
        closedir(dir);
}

static int find_interface(const struct vf_host *host, const char *name, char out[PCI_ADDRESS_SIZE],
                          struct husk_error *err)
{
    static const char what[] = "is not a physical function";
    char device[PCI_ADDRESS_SIZE], lower[96];

    if (!name[0] || strlen(name) >= IFNAMSIZ || strchr(name, '/') || name[0] == '.' ||
        !sysfs_exists(host->sysfs, "class/net/%s", name))
        return error_set(err, ENODEV, name, "no such physical function",
                         "it is neither a PCI address nor a network interface here; "
                         "`husk vf list` shows what there is");
    if (sysfs_link(host->sysfs, device, sizeof(device), "class/net/%s/device", name) == 0 &&
        pci_address_parse(device, out) == 0)
        return 0;
    list_lower(host, name, lower, sizeof(lower));
    if (strchr(lower, ','))
        return error_set(err, EINVAL, name, what,
                         "it is made of several interfaces: name one of %s", lower);
    if (lower[0])
        return error_set(err, EINVAL, name, what, "it lies on top of %s: name that", lower);
    return error_set(err, EINVAL, name, what, "the interface is not of a PCI device");
}

int pci_find_pf(const struct vf_host *host, const char *name, char out[PCI_ADDRESS_SIZE],
                struct husk_error *err)
{
    char pf[PCI_ADDRESS_SIZE];
    unsigned now, total;
    int ret;

    if (pci_address_parse(name, out)) {
        ret = find_interface(host, name, out, err);
        if (ret)
            return ret;
    } else if (!sysfs_exists(host->sysfs, DEVICES "/%s", out)) {
        return error_set(err, ENODEV, name, "no such PCI device",
                         "`husk vf list` shows what there is");
    }
    if (pci_pf_of(host, out, pf) == 0)
        return error_set(err, EINVAL, name, "is a virtual function",
                         "name its physical function, %s", pf);
    ret = pci_vf_counts(host, out, &now, &total);
    if (ret == -ENOENT)
        return error_set(err, EOPNOTSUPP, name, "is not SR-IOV capable",
                         "the device has no such capability, or it is off in the firmware's or the "
                         "card's own settings");
    return ret ? error_set(err, -ret, name, "cannot read how many VFs it has", NULL) : 0;
}

int pci_list_pfs(const struct vf_host *host, char (*out)[PCI_ADDRESS_SIZE], unsigned max)
{
    char path[PATH_MAX];
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/" DEVICES, host->sysfs);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : -errno; /* a host without PCI */
    while (count < max && (entry = readdir(dir))) {
        if (pci_address_parse(entry->d_name, out[count]) == 0 &&
            sysfs_exists(host->sysfs, DEVICES "/%s/sriov_totalvfs", out[count]))
            count++;
    }
    closedir(dir);
    qsort(out, count, sizeof(out[0]), compare_names);
    return (int)count;
}
