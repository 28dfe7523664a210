// SPDX-License-Identifier: Apache-2.0
/*
 * Making and removing VFs: see change.h. The kernel's interface is sriov_numvfs (Linux,
 * Documentation/PCI/pci-iov-howto.rst): a number may only replace 0, and 0 any number.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "vf/change.h"
#include "vf/record.h"

static int create_failed(const char *pf, const struct pci_function *function, int ret,
                         struct husk_error *err)
{
    static const char what[] = "cannot create VFs";

    switch (-ret) {
    case ENOENT:
        return error_set(err, ENOENT, pf, what, "its driver, %s, does not support SR-IOV",
                         function->driver);
    case ENOMEM:
    case ENOSPC:
        return error_set(err, -ret, pf, what,
                         "there are no addresses or bus numbers left for them: enable SR-IOV in "
                         "the firmware, or boot with pci=realloc,assign-busses");
    case EACCES:
    case EPERM:
        return error_set(err, -ret, pf, what, "only root can");
    case EROFS:
        return error_set(err, -ret, pf, what,
                         "sysfs is read-only here: do it outside the container");
    default:
        return error_set(err, -ret, pf, what, "driver %s: %s (the kernel's log may say more)",
                         function->driver, error_text(-ret));
    }
}

static int check_create(const char *pf, const struct pci_function *function, unsigned count,
                        unsigned now, unsigned total, struct husk_error *err)
{
    if (count < 1 || count > total || count > PCI_VF_MAX)
        return error_set(err, ERANGE, pf, "cannot create that many VFs",
                         total ? "%u wanted, it can have 1 to %u" : "%u wanted, its limit is %u",
                         count, total < PCI_VF_MAX ? total : PCI_VF_MAX);
    if (now && now != count)
        return error_set(err, EBUSY, pf, "has VFs already",
                         "%u of them; their number cannot be changed: `husk vf remove %s` first",
                         now, pf);
    if (!function->driver[0])
        return error_set(err, ENODEV, pf, "has no driver",
                         "it makes the VFs: load the module of the card");
    if (!strcmp(function->driver, "vfio-pci"))
        return error_set(err, EBUSY, pf, "is bound to vfio-pci",
                         "its own driver makes the VFs: `husk vf unbind %s` first", pf);
    return 0;
}

static int create_locked(const struct vf_host *host, const char *pf, unsigned count,
                         struct husk_error *err)
{
    struct pci_function function;
    unsigned now = 0, total = 0;
    char text[16];
    int ret = pci_function_read(host, pf, &function);

    if (ret == 0)
        ret = pci_vf_counts(host, pf, &now, &total);
    if (ret)
        return error_set(err, -ret, pf, "cannot read how many VFs it has", NULL);
    ret = check_create(pf, &function, count, now, total, err);
    if (ret)
        return ret;
    if (now == count)
        return VF_ALREADY;
    snprintf(text, sizeof(text), "%u", count);
    ret = sysfs_write(host, text, "bus/pci/devices/%s/sriov_numvfs", pf);
    if (ret)
        return create_failed(pf, &function, ret, err);
    /* Some drivers make fewer than asked for, and call that success. */
    if (pci_vf_counts(host, pf, &now, &total) == 0 && now != count) {
        sysfs_write(host, "0", "bus/pci/devices/%s/sriov_numvfs", pf);
        return error_set(err, EIO, pf, "cannot create that many VFs",
                         "driver %s made %u of %u; they are removed again", function.driver, now,
                         count);
    }
    return 0;
}

int vf_create(const struct vf_host *host, const char *pf, unsigned count, struct husk_error *err)
{
    int records_fd = vf_records_lock(host->state, err);
    int ret;

    if (records_fd < 0)
        return records_fd;
    ret = create_locked(host, pf, count, err);
    close_fd(&records_fd);
    return ret;
}

/* Removing a VF that a VM has would wait until the VM ends. */
static int check_unused(const struct vf_host *host, int records_fd, const char *vf,
                        struct husk_error *err)
{
    struct pci_function function;
    struct vf_record record;

    if (pci_function_read(host, vf, &function))
        return 0;
    if (vf_record_read(records_fd, vf, &record) != -ENOENT)
        return error_set(err, EBUSY, vf, "is in use",
                         "husk gave it to vfio-pci: `husk vf unbind %s` first", vf);
    if (!strcmp(function.driver, "vfio-pci"))
        return error_set(err, EBUSY, vf, "is in use",
                         "it is bound to vfio-pci, not by husk: unbind it as it was bound");
    for (unsigned i = 0; i < function.interface_count; i++) {
        if (interface_is_up(host, function.interfaces[i]))
            return error_set(err, EBUSY, vf, "is in use",
                             "its interface %s is up: `ip link set %s down` first",
                             function.interfaces[i], function.interfaces[i]);
    }
    return 0;
}

static int remove_locked(const struct vf_host *host, int records_fd, const char *pf,
                         struct husk_error *err)
{
    char vf[PCI_ADDRESS_SIZE];
    unsigned now = 0, total = 0;
    int ret = pci_vf_counts(host, pf, &now, &total);

    if (ret)
        return error_set(err, -ret, pf, "cannot read how many VFs it has", NULL);
    if (now == 0)
        return VF_ALREADY;
    for (unsigned i = 0; i < now; i++) {
        ret = pci_vf_address(host, pf, i, vf) ? 0 : check_unused(host, records_fd, vf, err);
        if (ret)
            return ret;
    }
    ret = sysfs_write(host, "0", "bus/pci/devices/%s/sriov_numvfs", pf);
    if (ret)
        return error_set(err, -ret, pf, "cannot remove its VFs",
                         ret == -EACCES || ret == -EPERM ? "only root can" : NULL);
    if (pci_vf_counts(host, pf, &now, &total) == 0 && now)
        return error_set(err, EBUSY, pf, "cannot remove its VFs",
                         "its driver keeps %u: some are given to VMs", now);
    return 0;
}

int vf_remove(const struct vf_host *host, const char *pf, struct husk_error *err)
{
    int records_fd = vf_records_lock(host->state, err);
    int ret;

    if (records_fd < 0)
        return records_fd;
    ret = remove_locked(host, records_fd, pf, err);
    close_fd(&records_fd);
    return ret;
}
