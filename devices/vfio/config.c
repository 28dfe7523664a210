// SPDX-License-Identifier: Apache-2.0
/*
 * Configuration space of a passed-through device.
 *
 * Each bit is of one of three kinds:
 *
 *   through   the device's: read from it at each access, and written to it
 *   writable  the guest's: kept in function.config, and known to nobody else
 *   neither   fixed
 *
 * `through` decides about reading, `writable` about writing; a bit that is both is the device's
 * own. What the guest writes to other bits never reaches the device. vfio-pci in the kernel
 * filters once more (drivers/vfio/pci/vfio_pci_config.c); nothing here relies on that for the
 * guest's sake, only for the host's.
 *
 * The command register is made here: memory decoding, which device.h says is always on at the
 * device, is kept as the guest wrote it; bus mastering and the rest of what it may set go to the
 * device with each write.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "devices/vfio/device.h"

#define HEADER_TYPE_MASK \
    0x7fu /* the other bit: there are more functions, of which nobody sees any */
#define COMMAND_WRITABLE                                                               \
    (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | \
     PCI_COMMAND_INTX_DISABLE)

/* ---- the device's side ---- */

static int read_device(const struct vfio_device *vfio, unsigned offset, void *data, unsigned size)
{
    ssize_t n;

    if (atomic_load(&vfio->dead) || offset >= vfio->config.size ||
        size > vfio->config.size - offset)
        return -EIO;
    n = vfio->kernel->pread(vfio->kernel->arg, vfio->attachment.device_fd, data, size,
                            vfio->config.offset + offset);
    return n == (ssize_t)size ? 0 : -EIO;
}

static void write_device(const struct vfio_device *vfio, unsigned offset, const void *data,
                         unsigned size)
{
    if (atomic_load(&vfio->dead) || offset >= vfio->config.size ||
        size > vfio->config.size - offset)
        return;
    /* A device that does not take it has no way to say so, on a real bus either. */
    vfio->kernel->pwrite(vfio->kernel->arg, vfio->attachment.device_fd, data, size,
                         vfio->config.offset + offset);
}

void vfio_config_command(struct vfio_device *vfio, bool off)
{
    uint16_t command = get_le16(vfio->function.config + PCI_COMMAND) & COMMAND_WRITABLE;

    put_le16(&command, off ? 0 : command | PCI_COMMAND_MEMORY);
    write_device(vfio, PCI_COMMAND, &command, sizeof(command));
}

/* ---- the guest's side ---- */

void vfio_config_read(struct pci_function *function, unsigned offset, unsigned size)
{
    struct vfio_device *vfio = vfio_of_function(function);
    uint8_t data[4];
    bool any = false;

    vfio_irq_config_read(vfio, offset, size);
    for (unsigned i = 0; i < size; i++)
        any |= vfio->through[offset + i] != 0;
    if (!any)
        return;
    if (read_device(vfio, offset, data, size))
        memset(data, 0xff, sizeof(data));
    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = vfio->through[offset + i];

        function->config[offset + i] =
            (uint8_t)((function->config[offset + i] & ~mask) | (data[i] & mask));
    }
}

static uint8_t passed(const struct vfio_device *vfio, unsigned offset)
{
    return vfio->through[offset] & vfio->function.writable[offset];
}

/* As one access where all of its bytes are the device's; else byte by byte those that are. */
static void write_through(struct vfio_device *vfio, unsigned offset, const uint8_t *data,
                          unsigned size)
{
    uint8_t bytes[4];
    unsigned count = 0;

    for (unsigned i = 0; i < size; i++) {
        bytes[i] = data[i] & passed(vfio, offset + i);
        count += passed(vfio, offset + i) != 0;
    }
    if (count == size) {
        write_device(vfio, offset, bytes, size);
    } else if (size == 4 && count > 0) {
        write_through(vfio, offset, data, 2);
        write_through(vfio, offset + 2, data + 2, 2);
    } else if (size == 2 && count > 0) {
        write_through(vfio, offset, data, 1);
        write_through(vfio, offset + 1, data + 1, 1);
    }
}

void vfio_config_written(struct pci_function *function, unsigned offset, const void *data,
                         unsigned size)
{
    struct vfio_device *vfio = vfio_of_function(function);

    write_through(vfio, offset, data, size);
    if (offset < PCI_COMMAND + 2 && offset + size > PCI_COMMAND)
        vfio_config_command(vfio, false);
    vfio_irq_config_written(vfio, offset, size);
}

/* ---- what there is ---- */

/* PCI 3.0, section 6.1: the header, but for BARs (bars.c) and the pin (irq_intx.c). Everything that
 * is not named is 0: the expansion ROM, which no firmware is there to run; BIST. */
static void init_header(struct vfio_device *vfio, const uint8_t *bytes)
{
    static const struct pci_function_ops ops = {
        .config_read = vfio_config_read,
        .config_written = vfio_config_written,
        .bar_read = vfio_bar_read,
        .bar_write = vfio_bar_write,
        .bar_moved = vfio_bar_moved,
    };
    const struct pci_identity identity = {
        .vendor = get_le16(bytes + PCI_VENDOR_ID),
        .device = get_le16(bytes + PCI_DEVICE_ID),
        .subsystem_vendor = get_le16(bytes + PCI_SUBSYSTEM_VENDOR_ID),
        .subsystem = get_le16(bytes + PCI_SUBSYSTEM_ID),
        .class_code = get_le32(bytes + PCI_CLASS_REVISION) >> 8,
        .revision = bytes[PCI_REVISION_ID],
    };
    struct pci_function *function = &vfio->function;

    pci_function_init(function, &ops, vfio->name, &identity);
    put_le16(function->writable + PCI_COMMAND, COMMAND_WRITABLE);
    /* 6.2.3: error bits are cleared by writing 1; that there are capabilities is said here. */
    put_le16(vfio->through + PCI_STATUS, (uint16_t)~PCI_STATUS_CAP_LIST);
    put_le16(function->writable + PCI_STATUS, 0xffff);
    function->config[PCI_MIN_GNT] = bytes[PCI_MIN_GNT];
    function->config[PCI_MAX_LAT] = bytes[PCI_MAX_LAT];
    /* 6.7: what lies behind the header belongs to capabilities, or to the device alone. */
    memset(vfio->through + PCI_STD_HEADER_SIZEOF, 0xff,
           PCI_CONVENTIONAL_BYTES - PCI_STD_HEADER_SIZEOF);
    memset(function->writable + PCI_STD_HEADER_SIZEOF, 0xff,
           PCI_CONVENTIONAL_BYTES - PCI_STD_HEADER_SIZEOF);
}

/* The kernel says how many: the plain ones, or those of PCI Express. */
static int read_all(struct vfio_device *vfio, uint8_t *bytes, unsigned count)
{
    unsigned done = 0;

    while (done < count) {
        ssize_t n = vfio->kernel->pread(vfio->kernel->arg, vfio->attachment.device_fd, bytes + done,
                                        count - done, vfio->config.offset + done);

        if (n <= 0 || (size_t)n > count - done)
            return n < 0 ? (int)n : -EPROTO;
        done += (unsigned)n;
    }
    return 0;
}

static int check_header(const struct vfio_device *vfio, const uint8_t *bytes,
                        struct husk_error *err)
{
    unsigned type = bytes[PCI_HEADER_TYPE] & HEADER_TYPE_MASK;

    if (get_le16(bytes + PCI_VENDOR_ID) == 0xffff)
        return error_set(err, ENODEV, vfio->name, VFIO_CANNOT_ATTACH,
                         "it does not answer: its configuration space reads all-ones");
    if (type != PCI_HEADER_TYPE_NORMAL)
        return error_set(err, ENODEV, vfio->name, VFIO_CANNOT_ATTACH,
                         "it is a bridge (header type %u)", type);
    return 0;
}

int vfio_config_init(struct vfio_device *vfio, struct husk_error *err)
{
    unsigned count;
    uint8_t *bytes;
    int ret = vfio_region_read(vfio->kernel, vfio->attachment.device_fd,
                               VFIO_PCI_CONFIG_REGION_INDEX, &vfio->config);

    if (!ret && vfio->config.size < PCI_CONVENTIONAL_BYTES)
        ret = -EPROTO;
    if (ret)
        return error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel does not describe its configuration space: %s",
                         error_text(-ret));
    count = (unsigned)min_u64(vfio->config.size, PCI_CONFIG_BYTES);
    bytes = calloc(1, PCI_CONFIG_BYTES);
    if (!bytes)
        return error_set(err, ENOMEM, vfio->name, VFIO_CANNOT_ATTACH, NULL);
    ret = read_all(vfio, bytes, count);
    if (ret)
        error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                  "its configuration space cannot be read: %s", error_text(-ret));
    if (!ret)
        ret = check_header(vfio, bytes, err);
    if (!ret) {
        init_header(vfio, bytes);
        ret = vfio_intx_init(vfio, bytes[PCI_INTERRUPT_PIN], err);
    }
    if (!ret)
        ret = vfio_capabilities_init(vfio, bytes, count, err);
    free(bytes);
    return ret;
}
