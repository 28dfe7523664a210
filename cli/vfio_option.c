// SPDX-License-Identifier: Apache-2.0
/*
 * Parsing a device of the host as users write it: see device_options.h.
 *
 *     0000:01:10.0[,id=ID][,iommu=auto|iommufd|group]
 *     0000:01:10.0,fd=N[,iommu-fd=M]        N an open /dev/vfio/devices/vfioK
 *     0000:01:10.0,group-fd=N[,iommu-fd=M]  N an open /dev/vfio/GROUP
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/parse.h"
#include "base/pci_address.h"
#include "cli/device_options.h"

#define VFIO_WORDS "id=, iommu=, fd=, group-fd=, iommu-fd="

static int parse_interface(const struct option_place *place, struct husk_vfio_options *vfio,
                           const char *value)
{
    static const struct {
        const char *name;
        enum husk_vfio_iommu iommu;
    } kinds[] = {{"auto", HUSK_VFIO_IOMMU_AUTO},
                 {"iommufd", HUSK_VFIO_IOMMU_IOMMUFD},
                 {"group", HUSK_VFIO_IOMMU_GROUP}};

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!strcmp(value, kinds[i].name)) {
            vfio->iommu = kinds[i].iommu;
            return 0;
        }
    }
    return cli_usage_error(place->command, "%s %s: iommu=%s: wants auto, iommufd or group",
                           place->flag, vfio->address, value);
}

/* A descriptor that whoever started us left open: from now on it is not for those we start. */
static int parse_descriptor(const struct option_place *place, const struct husk_vfio_options *vfio,
                            const struct option_list *list, int *out)
{
    uint64_t number;

    if (*out >= 0)
        return cli_usage_error(place->command, "%s %s: %s= given twice", place->flag, vfio->address,
                               list->key);
    if (parse_u64(list->value, 3, INT_MAX, &number) || fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
        return cli_usage_error(place->command, "%s %s: %s=%s: not an open descriptor", place->flag,
                               vfio->address, list->key, list->value);
    *out = (int)number;
    return 0;
}

/* One key=value of --vfio. */
static int parse_word(const struct option_place *place, struct option_texts *texts,
                      struct husk_vfio_options *vfio, const struct option_list *list)
{
    if (!list->has_value)
        return cli_usage_error(place->command, "%s %s: unknown word '%s' (known: " VFIO_WORDS ")",
                               place->flag, vfio->address, list->value);
    if (!strcmp(list->key, "id") && !vfio->id)
        return option_id_parse(place, list->value, &vfio->id, texts);
    if (!strcmp(list->key, "iommu"))
        return parse_interface(place, vfio, list->value);
    if (!strcmp(list->key, "fd"))
        return parse_descriptor(place, vfio, list, &vfio->device_fd);
    if (!strcmp(list->key, "group-fd"))
        return parse_descriptor(place, vfio, list, &vfio->group_fd);
    if (!strcmp(list->key, "iommu-fd"))
        return parse_descriptor(place, vfio, list, &vfio->iommu_fd);
    return cli_usage_error(place->command,
                           "%s %s: unknown or repeated key '%s' (known: " VFIO_WORDS ")",
                           place->flag, vfio->address, list->key);
}

int vfio_option_parse(const struct option_place *place, const char *text,
                      struct husk_vfio_options *vfio, struct option_texts *texts)
{
    static const struct husk_vfio_options defaults = HUSK_VFIO_OPTIONS_INIT;
    char address[PCI_ADDRESS_SIZE];
    struct option_list list;
    int ret;

    *vfio = defaults;
    option_list_begin(&list, text);
    if (option_list_next(&list) != 1 || list.has_value || pci_address_parse(list.value, address))
        return cli_usage_error(place->command,
                               "%s %s: wants a PCI address like 0000:01:10.0, then [,WORD]...",
                               place->flag, text);
    vfio->address = option_text_keep(texts, address);
    if (!vfio->address)
        return option_out_of_memory();
    while ((ret = option_list_next(&list)) == 1) {
        ret = parse_word(place, texts, vfio, &list);
        if (ret)
            return ret;
    }
    return ret ? option_bad_element(place, text, ret) : 0;
}
