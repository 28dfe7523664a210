// SPDX-License-Identifier: Apache-2.0
/*
 * Devices of the host in a configuration: checking what the caller gave. Whether the host has such
 * a device, and whether it can be given away, machine_open() finds out.
 *
 * Runs on the configuring thread; descriptors belong to the configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/config.h"

#define CANNOT_CONFIGURE "cannot configure the VM"

static int given_fd(int fd)
{
    return fd < 0 ? -1 : fd;
}

static int check_descriptors(const struct husk_vfio_options *options, const char *name,
                             struct husk_error *err)
{
    const char *why = NULL;

    if (options->device_fd >= 0 && options->group_fd >= 0)
        why = "descriptors of both a device and a group are given";
    else if (options->iommu_fd >= 0 && options->device_fd < 0 && options->group_fd < 0)
        why = "a descriptor of the IOMMU is given, and none of a device or group";
    else if (options->group_fd >= 0 && !options->address)
        why = "a group is given, and no address of a device in it";
    else if (options->device_fd >= 0 && options->iommu == HUSK_VFIO_IOMMU_GROUP)
        why = "a device's descriptor is of iommufd, and groups are asked for";
    else if (options->group_fd >= 0 && options->iommu == HUSK_VFIO_IOMMU_IOMMUFD)
        why = "a group's descriptor is given, and iommufd is asked for";
    else if (options->device_fd < 0 && !options->address)
        why = "no device was given";
    return why ? error_set(err, EINVAL, name, CANNOT_CONFIGURE, "%s", why) : 0;
}

/* Which interface it can only be; AUTO: either. */
static enum husk_vfio_iommu interface_of(const struct husk_vfio_options *options)
{
    if (options->device_fd >= 0)
        return HUSK_VFIO_IOMMU_IOMMUFD;
    return options->group_fd >= 0 ? HUSK_VFIO_IOMMU_GROUP : options->iommu;
}

/* Memory that is mapped twice would be locked twice. */
static int check_others(const struct machine_config *config, enum husk_vfio_iommu iommu,
                        const char *address, const char *name, struct husk_error *err)
{
    for (unsigned i = 0; i < config->vfio_count; i++) {
        const struct vfio_config *other = &config->vfios[i];

        if (address[0] && !strcmp(other->address, address))
            return error_set(err, EEXIST, name, CANNOT_CONFIGURE, "%s is given to vfio %u already",
                             address, i + 1);
        if (iommu != HUSK_VFIO_IOMMU_AUTO && other->iommu != HUSK_VFIO_IOMMU_AUTO &&
            iommu != other->iommu)
            return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                             "all devices use either groups or iommufd, and vfio %u uses %s", i + 1,
                             other->iommu == HUSK_VFIO_IOMMU_GROUP ? "groups" : "iommufd");
    }
    return 0;
}

static int check_vfio(const struct machine_config *config, const struct husk_vfio_options *options,
                      char address[PCI_ADDRESS_SIZE], const char *name, struct husk_error *err)
{
    int ret = check_descriptors(options, name, err);

    if (ret)
        return ret;
    if (config->transport == HUSK_TRANSPORT_MMIO)
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                         "it needs a PCI bus, and the transport is mmio: leave that to husk, or "
                         "make it pci");
    if ((unsigned)options->iommu > HUSK_VFIO_IOMMU_GROUP)
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "there is no interface %u",
                         (unsigned)options->iommu);
    address[0] = '\0';
    if (options->address && pci_address_parse(options->address, address))
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                         "it wants a PCI address like 0000:01:10.0");
    return check_others(config, interface_of(options), address, name, err);
}

int config_make_vfio(const struct machine_config *config, const struct husk_vfio_options *given,
                     struct vfio_config *vfio, int *iommu_fd, struct husk_error *err)
{
    struct husk_vfio_options options = HUSK_VFIO_OPTIONS_INIT;
    char name[CONFIG_NAME_MAX], id[CONFIG_ID_MAX + 1], address[PCI_ADDRESS_SIZE];
    int ret;

    snprintf(name, sizeof(name), "vfio %u", config->vfio_count + 1);
    ret = config_check_vfio_room(config, name, err);
    if (!ret)
        ret = config_copy_options(&options, sizeof(options), given, name, err);
    if (!ret)
        ret = check_vfio(config, &options, address, name, err);
    if (!ret)
        ret = config_choose_vfio_id(config, options.id, id, err);
    if (ret)
        return ret;
    *vfio = (struct vfio_config){
        .iommu = interface_of(&options),
        .device_fd = given_fd(options.device_fd),
        .group_fd = given_fd(options.group_fd),
    };
    memcpy(vfio->id, id, sizeof(vfio->id));
    memcpy(vfio->address, address, sizeof(vfio->address));
    *iommu_fd = given_fd(options.iommu_fd);
    return 0;
}

int machine_config_add_vfio(struct machine_config *config, const struct husk_vfio_options *options,
                            struct husk_error *err)
{
    struct vfio_config vfio;
    int iommu_fd, ret = config_make_vfio(config, options, &vfio, &iommu_fd, err);

    if (ret)
        return ret;
    config->vfios[config->vfio_count++] = vfio;
    if (config->vfio_iommu_fd < 0)
        config->vfio_iommu_fd = iommu_fd;
    else
        close_fd(&iommu_fd);
    return 0;
}

void vfio_config_release(struct vfio_config *vfio)
{
    close_fd(&vfio->device_fd);
    close_fd(&vfio->group_fd);
}
