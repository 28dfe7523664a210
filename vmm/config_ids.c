// SPDX-License-Identifier: Apache-2.0
/*
 * Names of devices: see config.h. An id is the caller's handle on a drive or a network device; it
 * is unique among its kind, and never reaches the guest.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/config.h"

#define CANNOT_REMOVE "cannot remove the device"

/* Where the id of a configured device is, by its index. */
typedef const char *(*id_of_fn)(const struct machine_config *config, unsigned index);

static const char *drive_id(const struct machine_config *config, unsigned index)
{
    return config->drives[index].id;
}

static const char *net_id(const struct machine_config *config, unsigned index)
{
    return config->nets[index].id;
}

static const char *vfio_id(const struct machine_config *config, unsigned index)
{
    return config->vfios[index].id;
}

static bool is_id_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

int config_check_id(const char *id, const char *where, struct husk_error *err)
{
    size_t len = strnlen(id, CONFIG_ID_MAX + 1);

    if (len == 0 || len > CONFIG_ID_MAX)
        return error_set(err, EINVAL, where, "cannot use the id", "it must have 1 to %u characters",
                         CONFIG_ID_MAX);
    for (size_t i = 0; i < len; i++) {
        if (!is_id_character(id[i]))
            return error_set(err, EINVAL, where, "cannot use the id",
                             "only A-Z, a-z, 0-9, - and _ can be in it");
    }
    return 0;
}

/* The index of `id` among `count` devices, or -ENOENT. */
static int find(const struct machine_config *config, id_of_fn id_of, unsigned count, const char *id)
{
    for (unsigned i = 0; i < count; i++) {
        if (!strcmp(id_of(config, i), id))
            return (int)i;
    }
    return -ENOENT;
}

static int choose(const struct machine_config *config, id_of_fn id_of, unsigned count,
                  const char *kind, const char *given, char id[CONFIG_ID_MAX + 1],
                  struct husk_error *err)
{
    char where[CONFIG_NAME_MAX + 8];
    int ret, taken;

    if (!given) {
        /* The first free number from the position on: the caller may have taken some. */
        for (unsigned number = count + 1;; number++) {
            snprintf(id, CONFIG_ID_MAX + 1, "%s%u", kind, number);
            if (find(config, id_of, count, id) < 0)
                return 0;
        }
    }
    snprintf(where, sizeof(where), "%s %u: id", kind, count + 1);
    ret = config_check_id(given, where, err);
    if (ret)
        return ret;
    taken = find(config, id_of, count, given);
    if (taken >= 0)
        return error_set(err, EEXIST, where, "cannot use the id", "%s %d is called %s already",
                         kind, taken + 1, given);
    snprintf(id, CONFIG_ID_MAX + 1, "%s", given);
    return 0;
}

int config_choose_drive_id(const struct machine_config *config, const char *given,
                           char id[CONFIG_ID_MAX + 1], struct husk_error *err)
{
    return choose(config, drive_id, config->drive_count, "drive", given, id, err);
}

int config_choose_net_id(const struct machine_config *config, const char *given,
                         char id[CONFIG_ID_MAX + 1], struct husk_error *err)
{
    return choose(config, net_id, config->net_count, "net", given, id, err);
}

int config_choose_vfio_id(const struct machine_config *config, const char *given,
                          char id[CONFIG_ID_MAX + 1], struct husk_error *err)
{
    return choose(config, vfio_id, config->vfio_count, "vfio", given, id, err);
}

int config_check_drive(const struct machine_config *config, const struct drive_config *drive,
                       struct husk_error *err)
{
    char id[CONFIG_ID_MAX + 1], name[CONFIG_NAME_MAX];
    int ret = config_choose_drive_id(config, drive->id, id, err);

    snprintf(name, sizeof(name), "drive %u", config->drive_count + 1);
    return ret ? ret : config_check_room(config, config->drive_count, name, err);
}

int config_check_net(const struct machine_config *config, const struct net_config *net,
                     struct husk_error *err)
{
    char id[CONFIG_ID_MAX + 1], name[CONFIG_NAME_MAX];
    int ret = config_choose_net_id(config, net->id, id, err);

    snprintf(name, sizeof(name), "net %u", config->net_count + 1);
    return ret ? ret : config_check_room(config, config->net_count, name, err);
}

int config_check_vfio(const struct machine_config *config, const struct vfio_config *vfio,
                      struct husk_error *err)
{
    char id[CONFIG_ID_MAX + 1], name[CONFIG_NAME_MAX];
    int ret = config_choose_vfio_id(config, vfio->id, id, err);

    snprintf(name, sizeof(name), "vfio %u", config->vfio_count + 1);
    return ret ? ret : config_check_vfio_room(config, name, err);
}

/* The same with an error, in which what the caller gave must not be taken for granted. */
static int find_or_explain(const struct machine_config *config, id_of_fn id_of, unsigned count,
                           const char *id, const char *kind, const char *what,
                           struct husk_error *err)
{
    int ret = id ? find(config, id_of, count, id) : -ENOENT;

    if (ret >= 0)
        return ret;
    return error_set(err, ENOENT, id ? id : "", what, "there is no %s with this id", kind);
}

int machine_config_find_drive(const struct machine_config *config, const char *id, const char *what,
                              struct husk_error *err)
{
    return find_or_explain(config, drive_id, config->drive_count, id, "drive", what, err);
}

int machine_config_find_net(const struct machine_config *config, const char *id, const char *what,
                            struct husk_error *err)
{
    return find_or_explain(config, net_id, config->net_count, id, "network device", what, err);
}

int machine_config_find_vfio(const struct machine_config *config, const char *id, const char *what,
                             struct husk_error *err)
{
    return find_or_explain(config, vfio_id, config->vfio_count, id, "device of the host", what,
                           err);
}

int machine_config_remove_drive(struct machine_config *config, const char *id,
                                struct husk_error *err)
{
    int index = machine_config_find_drive(config, id, CANNOT_REMOVE, err);

    if (index < 0)
        return index;
    drive_config_release(&config->drives[index]);
    config->drive_count--;
    memmove(&config->drives[index], &config->drives[index + 1],
            (config->drive_count - (unsigned)index) * sizeof(config->drives[0]));
    return 0;
}

int machine_config_remove_net(struct machine_config *config, const char *id, struct husk_error *err)
{
    int index = machine_config_find_net(config, id, CANNOT_REMOVE, err);

    if (index < 0)
        return index;
    net_config_release(&config->nets[index]);
    config->net_count--;
    memmove(&config->nets[index], &config->nets[index + 1],
            (config->net_count - (unsigned)index) * sizeof(config->nets[0]));
    return 0;
}

int machine_config_remove_vfio(struct machine_config *config, const char *id,
                               struct husk_error *err)
{
    int index = machine_config_find_vfio(config, id, CANNOT_REMOVE, err);

    if (index < 0)
        return index;
    vfio_config_release(&config->vfios[index]);
    config->vfio_count--;
    memmove(&config->vfios[index], &config->vfios[index + 1],
            (config->vfio_count - (unsigned)index) * sizeof(config->vfios[0]));
    if (config->vfio_count == 0)
        close_fd(&config->vfio_iommu_fd);
    return 0;
}
