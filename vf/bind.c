// SPDX-License-Identifier: Apache-2.0
/*
 * Moving a function between its driver and vfio-pci: see change.h.
 *
 * driver_override (Linux, Documentation/ABI/testing/sysfs-bus-pci) says which driver alone may take
 * this one function; new_id would let vfio-pci take others of its kind, too. The order is
 *
 *     record -> override -> unbind -> probe        bind
 *     override -> unbind -> probe -> no record     unbind
 *
 * so that a record exists whenever anything differs from how it was found, and each step may be
 * taken twice.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "vf/change.h"
#include "vf/record.h"

#define VFIO "vfio-pci"

static int set_override(const struct vf_host *host, const char *address, const char *driver)
{
    /* An empty line takes it away. */
    return sysfs_write(host, driver[0] ? driver : "\n", "bus/pci/devices/%s/driver_override",
                       address);
}

static int read_override(const struct vf_host *host, const char *address, char *out, size_t size)
{
    int ret = sysfs_read(host->sysfs, out, size, "bus/pci/devices/%s/driver_override", address);

    if (ret == 0 && !strcmp(out, "(null)"))
        out[0] = '\0';
    return ret;
}

static int detach(const struct vf_host *host, const struct pci_function *function)
{
    int ret;

    if (!function->driver[0])
        return 0;
    ret = sysfs_write(host, function->address, "bus/pci/drivers/%s/unbind", function->driver);
    return ret == -ENODEV ? 0 : ret; /* it went by itself */
}

/* The driver that may have it takes it; an error of that driver does not come back from here. */
static int probe(const struct vf_host *host, struct pci_function *function)
{
    int ret = sysfs_write(host, function->address, "bus/pci/drivers_probe");

    if (ret)
        return ret;
    return pci_function_read(host, function->address, function);
}

static int read_function(const struct vf_host *host, const char *address, struct pci_function *out,
                         struct husk_error *err)
{
    int ret = pci_function_read(host, address, out);

    return ret ? error_set(err, -ret, address, "no such PCI device",
                           "`husk vf list` shows what there is")
               : 0;
}

static int check_bind(const struct vf_host *host, const struct pci_function *function,
                      struct husk_error *err)
{
    const char *address = function->address;
    char class[16];

    /* PCI Code and ID Assignment Specification 1.16, 1.7: 06h is a bridge of some kind. */
    if (sysfs_read(host->sysfs, class, sizeof(class), "bus/pci/devices/%s/class", address) == 0 &&
        !strncmp(class, "0x06", 4))
        return error_set(err, EINVAL, address, "is a bridge", "a VM can be given endpoints only");
    if (function->iommu_group < 0)
        return error_set(err, ENODEV, address, "has no IOMMU group",
                         "the IOMMU is off: enable VT-d or AMD-Vi in the firmware, and boot with "
                         "intel_iommu=on on Intel");
    if (!sysfs_exists(host->sysfs, "bus/pci/drivers/" VFIO))
        return error_set(err, ENODEV, address, "cannot be bound to " VFIO,
                         "the driver is missing: modprobe " VFIO);
    for (unsigned i = 0; i < function->interface_count; i++) {
        if (interface_is_up(host, function->interfaces[i]))
            return error_set(err, EBUSY, address, "is in use",
                             "its interface %s is up: `ip link set %s down` first",
                             function->interfaces[i], function->interfaces[i]);
    }
    if (sysfs_exists(host->sysfs, "bus/pci/devices/%s/virtfn0", address))
        return error_set(err, EBUSY, address, "is in use", "it has VFs: `husk vf remove %s` first",
                         address);
    return 0;
}

/* As much of the way back as goes; the record stays unless all of it did. */
static int restore(const struct vf_host *host, int records_fd, struct pci_function *function,
                   const struct vf_record *record)
{
    int ret = set_override(host, function->address, record->override);

    if (ret)
        return ret;
    if (strcmp(function->driver, record->driver)) {
        ret = detach(host, function);
        if (ret == 0)
            ret = pci_function_read(host, function->address, function);
        if (ret == 0 && record->driver[0])
            ret = probe(host, function);
        if (ret == 0 && strcmp(function->driver, record->driver) && !function->driver[0]) {
            /* Another way in, for a driver that would not take it by itself. */
            sysfs_write(host, function->address, "bus/pci/drivers/%s/bind", record->driver);
            ret = pci_function_read(host, function->address, function);
        }
        if (ret == 0 && strcmp(function->driver, record->driver))
            ret = -ENODEV;
    }
    return ret ? ret : vf_record_remove(records_fd, function->address);
}

static int move_to_vfio(const struct vf_host *host, struct pci_function *function)
{
    int ret = set_override(host, function->address, VFIO);

    if (ret == 0)
        ret = detach(host, function);
    if (ret == 0)
        ret = probe(host, function);
    return ret == 0 && strcmp(function->driver, VFIO) ? -ENODEV : ret;
}

static int bind_locked(const struct vf_host *host, int records_fd, const char *address,
                       struct husk_error *err)
{
    struct pci_function function;
    struct vf_record record = {0};
    bool noted;
    int ret = read_function(host, address, &function, err);

    if (ret)
        return ret;
    ret = vf_record_read(records_fd, address, &record);
    noted = ret == 0;
    if (ret && ret != -ENOENT)
        return error_set(err, -ret, address, "its record of a former driver cannot be read",
                         "remove %s/vf/%s when you know what driver it had", host->state, address);
    if (!strcmp(function.driver, VFIO))
        return VF_ALREADY;
    ret = check_bind(host, &function, err);
    if (ret)
        return ret;
    if (!noted) {
        memcpy(record.driver, function.driver, sizeof(record.driver));
        ret = read_override(host, address, record.override, sizeof(record.override));
        if (ret == 0)
            ret = vf_record_write(records_fd, address, &record);
        if (ret)
            return error_set(err, -ret, address, "cannot note down its driver", NULL);
    }
    ret = move_to_vfio(host, &function);
    if (ret) {
        int back = pci_function_read(host, address, &function);

        if (back == 0)
            back = restore(host, records_fd, &function, &record);
        return error_set(
            err, -ret, address, "cannot be bound to " VFIO, "%s (%s)%s", error_text(-ret),
            ret == -EPERM || ret == -EACCES ? "only root can" : "the kernel's log may say more",
            back ? "; `husk vf unbind` gives it back to its driver" : "");
    }
    return 0;
}

int vf_bind(const struct vf_host *host, const char *address, struct husk_error *err)
{
    int records_fd = vf_records_lock(host->state, err);
    int ret;

    if (records_fd < 0)
        return records_fd;
    ret = bind_locked(host, records_fd, address, err);
    close_fd(&records_fd);
    return ret;
}

/* A group that somebody has open, or whose devices are open without it, cannot be opened a second
 * time (Linux, drivers/vfio/group.c). Taking its driver away would wait for them. */
static bool vfio_in_use(const struct vf_host *host, const struct pci_function *function)
{
    char path[PATH_MAX];
    int fd, code;

    if (function->iommu_group < 0 ||
        snprintf(path, sizeof(path), "%s/vfio/%d", host->dev, function->iommu_group) >= PATH_MAX)
        return false;
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    code = fd < 0 ? errno : 0;
    close_fd(&fd);
    return code == EBUSY;
}

static int unbind_locked(const struct vf_host *host, int records_fd, const char *address,
                         struct husk_error *err)
{
    struct pci_function function;
    struct vf_record record = {0};
    int ret = vf_record_read(records_fd, address, &record);

    if (ret == 0 && pci_function_read(host, address, &function) == -ENODEV) {
        vf_record_remove(records_fd, address);
        return error_set(err, ENODEV, address, "is not there any more", "its record is removed");
    }
    if (ret == -ENOENT) {
        ret = read_function(host, address, &function, err);
        if (ret)
            return ret;
        if (!strcmp(function.driver, VFIO))
            return error_set(err, ENOENT, address, "was not bound by husk",
                             "there is no record of a former driver: unbind it as it was bound");
        return VF_ALREADY;
    }
    if (ret)
        return error_set(err, -ret, address, "its record of a former driver cannot be read",
                         "remove %s/vf/%s when you know what driver it had", host->state, address);
    if (!strcmp(function.driver, VFIO) && vfio_in_use(host, &function))
        return error_set(err, EBUSY, address, "is in use", "a VM has it: end that first");
    if (record.driver[0] && !sysfs_exists(host->sysfs, "bus/pci/drivers/%s", record.driver))
        return error_set(err, ENODEV, address, "cannot get its former driver back",
                         "%s is missing: load its module", record.driver);
    ret = restore(host, records_fd, &function, &record);
    if (ret)
        return error_set(err, -ret, address, "cannot get its former driver back",
                         "%s: %s (the kernel's log may say more)",
                         record.driver[0] ? record.driver : "none", error_text(-ret));
    return 0;
}

int vf_unbind(const struct vf_host *host, const char *address, struct husk_error *err)
{
    int records_fd = vf_records_lock(host->state, err);
    int ret;

    if (records_fd < 0)
        return records_fd;
    ret = unbind_locked(host, records_fd, address, err);
    close_fd(&records_fd);
    return ret;
}

/* Bridges in a group do no harm: VFIO leaves their driver, pcieport, alone. */
bool vf_group_blocker(const struct vf_host *host, const struct pci_function *function,
                      struct pci_function *out)
{
    char path[PATH_MAX], address[PCI_ADDRESS_SIZE];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    if (function->iommu_group < 0)
        return false;
    snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%d/devices", host->sysfs,
             function->iommu_group);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir))) {
        found = pci_address_parse(entry->d_name, address) == 0 &&
                strcmp(address, function->address) != 0 &&
                pci_function_read(host, address, out) == 0 && out->driver[0] &&
                strcmp(out->driver, VFIO) != 0 && strcmp(out->driver, "pcieport") != 0 &&
                strcmp(out->driver, "pci-stub") != 0;
    }
    if (dir)
        closedir(dir);
    return found;
}
