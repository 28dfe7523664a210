// SPDX-License-Identifier: Apache-2.0
/* Looking at IOMMU and VFIO: see host_vfio.h. */
#include "cli/host_vfio.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/pci_address.h"
#include "base/sysfs.h"

static unsigned count_groups(const char *sysfs)
{
    char path[PATH_MAX];
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/kernel/iommu_groups", sysfs);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

/* A driver's directory has a link for each of its devices. */
static unsigned count_bound(const char *sysfs)
{
    char path[PATH_MAX], address[PCI_ADDRESS_SIZE];
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/bus/pci/drivers/vfio-pci", sysfs);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        count += pci_address_parse(entry->d_name, address) == 0;
    if (dir)
        closedir(dir);
    return count;
}

/* The names of interrupt controllers begin with "IR-" when what they send is remapped: Linux,
 * drivers/iommu/intel/irq_remapping.c and drivers/iommu/amd/iommu.c. */
static bool interrupts_are_remapped(const char *proc)
{
    char path[PATH_MAX], line[4096];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "%s/interrupts", proc);
    file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof(line), file))
        found = strstr(line, " IR-") != NULL;
    if (file)
        fclose(file);
    return found;
}

static bool parameter_is_on(const char *sysfs, const char *module)
{
    char value[8];

    return sysfs_read(sysfs, value, sizeof(value), "module/%s/parameters/allow_unsafe_interrupts",
                      module) == 0 &&
           value[0] == 'Y';
}

void host_look_at_vfio(const char *sysfs, const char *dev, const char *proc, struct host_vfio *out)
{
    *out = (struct host_vfio){
        .groups = count_groups(sysfs),
        .has_driver = sysfs_exists(sysfs, "bus/pci/drivers/vfio-pci"),
        .bound = count_bound(sysfs),
        .has_groups =
            sysfs_exists(dev, "vfio/vfio") && sysfs_exists(sysfs, "module/vfio_iommu_type1"),
        .has_iommufd = sysfs_exists(dev, "iommu"),
        .has_cdevs = sysfs_exists(dev, "vfio/devices"),
        .remapping = HOST_REMAPPING_OFF,
    };
    if (interrupts_are_remapped(proc))
        out->remapping = HOST_REMAPPING_ON;
    else if (parameter_is_on(sysfs, "vfio_iommu_type1") || parameter_is_on(sysfs, "iommufd"))
        out->remapping = HOST_REMAPPING_UNSAFE;
}
