// SPDX-License-Identifier: Apache-2.0
/* Functions, their VFs and interfaces from sysfs's links and directories: see vf_pci.h. */
#include "cli/vf_pci.h"

#include <ctype.h>
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

/* One to `most` hexadecimal digits, and the character after them; steps over both. */
static bool take_hex(const char **at, unsigned most, char after, unsigned *out)
{
    unsigned digits = 0;

    for (*out = 0; digits < most && isxdigit((unsigned char)**at); digits++, (*at)++) {
        unsigned char c = (unsigned char)**at;

        *out = *out * 16 + (unsigned)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
    }
    return digits && *(*at)++ == after;
}

/* domain:bus:device.function, all hexadecimal; PCI Express 6.0, 2.2.6.2. VMD's domains begin at
 * 0x10000. */
int pci_address_parse(const char *text, char out[PCI_ADDRESS_SIZE])
{
    const char *colon = strchr(text, ':');
    unsigned domain = 0, bus, device, function;

    if (colon && strchr(colon + 1, ':') && !take_hex(&text, 8, ':', &domain))
        return -EINVAL;
    if (!take_hex(&text, 2, ':', &bus) || !take_hex(&text, 2, '.', &device) ||
        !take_hex(&text, 1, '\0', &function) || device > 0x1f || function > 7)
        return -EINVAL;
    snprintf(out, PCI_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain, bus, device, function);
    return 0;
}

/* The last component of what a link of a device points to. */
static int link_name(const struct vf_host *host, const char *directory, const char *link, char *out,
                     size_t size)
{
    char path[PATH_MAX], target[PATH_MAX];
    const char *name;
    ssize_t n;

    if (snprintf(path, sizeof(path), "%s/%s/%s", host->sysfs, directory, link) >= PATH_MAX)
        return -ENAMETOOLONG;
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    name = strrchr(target, '/');
    name = name ? name + 1 : target;
    return (size_t)snprintf(out, size, "%s", name) < size ? 0 : -ENAMETOOLONG;
}

static int device_link(const struct vf_host *host, const char *address, const char *link, char *out,
                       size_t size)
{
    char directory[64];

    snprintf(directory, sizeof(directory), DEVICES "/%s", address);
    return link_name(host, directory, link, out, size);
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

    if (!sysfs_exists(host, DEVICES "/%s", address))
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
    int ret = sysfs_read(host, text, sizeof(text), DEVICES "/%s/%s", address, name);

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
    char directory[64], device[PCI_ADDRESS_SIZE], lower[96];

    if (!name[0] || strlen(name) >= IFNAMSIZ || strchr(name, '/') || name[0] == '.' ||
        !sysfs_exists(host, "class/net/%s", name))
        return error_set(err, ENODEV, name, "no such physical function",
                         "it is neither a PCI address nor a network interface here; "
                         "`husk vf list` shows what there is");
    snprintf(directory, sizeof(directory), "class/net/%s", name);
    if (link_name(host, directory, "device", device, sizeof(device)) == 0 &&
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
    } else if (!sysfs_exists(host, DEVICES "/%s", out)) {
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
            sysfs_exists(host, DEVICES "/%s/sriov_totalvfs", out[count]))
            count++;
    }
    closedir(dir);
    qsort(out, count, sizeof(out[0]), compare_names);
    return (int)count;
}
