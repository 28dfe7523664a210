// SPDX-License-Identifier: Apache-2.0
/* A device and its IOMMU group in sysfs: see vfio_group.h. */
#include "vmm/vfio_group.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "base/pci_address.h"
#include "base/sysfs.h"

#define DEVICE      "bus/pci/devices/%s"
#define CANNOT_GIVE "cannot be given to the VM"
#define DRIVER_SIZE 64u
/* In an error there is room for some. */
#define NAMED_MAX   3u

/* Drivers that VFIO has for certain devices are called like mlx5_vfio_pci. */
static bool is_vfio_driver(const char *driver)
{
    return strstr(driver, "vfio-pci") || strstr(driver, "vfio_pci");
}

/* Drivers that do no DMA of their own, so that a group with such a device is viable: Linux,
 * `driver_managed_dma` in drivers/pci/pci-stub.c and drivers/pci/pcie/portdrv.c. */
static bool is_harmless(const char *driver)
{
    return !driver[0] || is_vfio_driver(driver) || !strcmp(driver, "pci-stub") ||
           !strcmp(driver, "pcieport");
}

static void read_driver(const char *sysfs, const char *address, char driver[DRIVER_SIZE])
{
    if (sysfs_link(sysfs, driver, DRIVER_SIZE, DEVICE "/driver", address))
        driver[0] = '\0';
}

/* An IOMMU that is there but not for this device is another matter than none. */
static int no_group(const char *sysfs, const char *address, struct husk_error *err)
{
    char path[PATH_MAX];
    struct dirent *entry;
    bool any = false;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/class/iommu", sysfs);
    dir = opendir(path);
    while (dir && !any && (entry = readdir(dir)))
        any = entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    if (any)
        return error_set(err, ENODEV, address, CANNOT_GIVE,
                         "the host's IOMMU is on, but not for this device");
    return error_set(err, ENODEV, address, CANNOT_GIVE,
                     "the host's IOMMU is off: enable VT-d or AMD-Vi in the firmware; then boot "
                     "with intel_iommu=on on Intel, without amd_iommu=off on AMD");
}

static int check_driver(const char *sysfs, const char *address, struct husk_error *err)
{
    char driver[DRIVER_SIZE];

    read_driver(sysfs, address, driver);
    if (is_vfio_driver(driver))
        return 0;
    if (!sysfs_exists(sysfs, "bus/pci/drivers/vfio-pci"))
        return error_set(err, ENODEV, address, CANNOT_GIVE,
                         "the driver vfio-pci is missing: modprobe vfio-pci, then husk vf bind %s",
                         address);
    if (driver[0])
        return error_set(err, EBUSY, address, CANNOT_GIVE,
                         "its driver is %s, not vfio-pci: husk vf bind %s", driver, address);
    return error_set(err, EBUSY, address, CANNOT_GIVE, "it has no driver: husk vf bind %s",
                     address);
}

/* Adds "0000:01:00.1 (igb)" to the list, or counts what there is no room for. */
static void name_blocker(char *list, size_t size, unsigned *count, const char *address,
                         const char *driver)
{
    size_t used = strlen(list);

    if ((*count)++ < NAMED_MAX)
        snprintf(list + used, size - used, "%s%s (%.24s)", used ? ", " : "", address, driver);
}

static int check_viable(const char *sysfs, const char *address, int group, struct husk_error *err)
{
    char path[PATH_MAX], list[160] = "", more[24] = "";
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%d/devices", sysfs, group);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        char other[PCI_ADDRESS_SIZE], driver[DRIVER_SIZE];

        if (pci_address_parse(entry->d_name, other) || !strcmp(other, address))
            continue;
        read_driver(sysfs, other, driver);
        if (!is_harmless(driver))
            name_blocker(list, sizeof(list), &count, other, driver);
    }
    if (dir)
        closedir(dir);
    if (!count)
        return 0;
    if (count > NAMED_MAX)
        snprintf(more, sizeof(more), " and %u more", count - NAMED_MAX);
    return error_set(err, EBUSY, address, CANNOT_GIVE,
                     "its IOMMU group %d is not viable, bind all of it: %s%s", group, list, more);
}

int vfio_group_of(const char *sysfs, const char *address, struct husk_error *err)
{
    char text[32];
    uint64_t group;
    int ret;

    if (!sysfs_exists(sysfs, DEVICE, address))
        return error_set(err, ENODEV, address, "no such PCI device",
                         "lspci -D shows what there is, husk vf list the virtual functions");
    if (sysfs_link(sysfs, text, sizeof(text), DEVICE "/iommu_group", address) ||
        parse_u64(text, 0, INT_MAX, &group))
        return no_group(sysfs, address, err);
    if (sysfs_read(sysfs, text, sizeof(text), "kernel/iommu_groups/%d/name", (int)group) == 0 &&
        !strcmp(text, "vfio-noiommu"))
        return error_set(err, EINVAL, address, CANNOT_GIVE,
                         "its group is of VFIO's no-IOMMU mode, in which the guest could read and "
                         "write all of the host's memory");
    ret = check_driver(sysfs, address, err);
    if (!ret)
        ret = check_viable(sysfs, address, (int)group, err);
    return ret ? ret : (int)group;
}

int vfio_device_number(const char *sysfs, const char *address)
{
    char path[PATH_MAX];
    struct dirent *entry;
    uint64_t number = 0;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/" DEVICE "/vfio-dev", sysfs, address);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir)))
        found = !strncmp(entry->d_name, "vfio", 4) &&
                parse_u64(entry->d_name + 4, 0, INT_MAX, &number) == 0;
    if (dir)
        closedir(dir);
    return found ? (int)number : -ENOENT;
}
