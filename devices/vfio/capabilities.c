// SPDX-License-Identifier: Apache-2.0
/*
 * Which capabilities of a passed-through device the guest sees. They stay where the device has
 * them, for drivers know the registers between them by offset; what is not shown is left out of the
 * list, and its bytes read 0.
 *
 * Shown are those of which it is known what the guest could do with them. Not shown are, among
 * others: Enhanced Allocation (BARs by another way), SR-IOV and ARI (functions that VFIO does not
 * give), Resizable BAR (the windows would not fit any more), ATS, PRI and PASID (translation is the
 * host's), AER (errors are the host's to handle), VC, L1 PM substates, PTM (so is the link).
 *
 * The lists are the device's: next pointers may loop, point anywhere, or overlap.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "devices/vfio/device.h"

struct found {
    unsigned at, room; /* room: bytes to the next one, or to the end */
    uint16_t id;
};

/* More do not fit: each has 4 bytes at least. */
#define PLAIN_MAX    ((PCI_CONVENTIONAL_BYTES - PCI_STD_HEADER_SIZEOF) / 4)
#define EXTENDED_MAX ((PCI_CONFIG_BYTES - PCI_CONVENTIONAL_BYTES) / 4)

static void set_room(struct found *found, unsigned count, unsigned end)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned next = end;

        for (unsigned j = 0; j < count; j++) {
            if (found[j].at > found[i].at && found[j].at < next)
                next = found[j].at;
        }
        found[i].room = next - found[i].at;
    }
}

static bool is_known(const struct found *found, unsigned count, unsigned at)
{
    for (unsigned i = 0; i < count; i++) {
        if (found[i].at == at)
            return true;
    }
    return false;
}

/* Bytes that are neither the device's nor the guest's. */
static void fix(struct vfio_device *vfio, unsigned at, const uint8_t *bytes, unsigned size)
{
    memset(vfio->through + at, 0, size);
    memset(vfio->function.writable + at, 0, size);
    if (bytes)
        memcpy(vfio->function.config + at, bytes, size);
    else
        memset(vfio->function.config + at, 0, size);
}

/* ---- capabilities of the first 256 bytes (PCI 3.0, section 6.7) ---- */

static unsigned walk_plain(const uint8_t *bytes, struct found *found)
{
    unsigned at =
        get_le16(bytes + PCI_STATUS) & PCI_STATUS_CAP_LIST ? bytes[PCI_CAPABILITY_LIST] & ~3u : 0;
    unsigned count = 0;

    /* A list that goes back to where it was, or into the header, has ended. */
    while (at >= PCI_STD_HEADER_SIZEOF && count < PLAIN_MAX && !is_known(found, count, at)) {
        found[count++] = (struct found){.at = at, .id = bytes[at + PCI_CAP_LIST_ID]};
        at = bytes[at + PCI_CAP_LIST_NEXT] & ~3u;
    }
    set_room(found, count, PCI_CONVENTIONAL_BYTES);
    return count;
}

/* PCI PM 1.2, section 3.2. The device stays in D0, so the state is the guest's to read back, and
 * nothing is lost on the way (No_Soft_Reset); there is nobody to send PME to. */
static void show_power(struct vfio_device *vfio, const uint8_t *bytes, unsigned at)
{
    uint8_t power[PCI_PM_SIZEOF] = {0};

    put_le16(power + PCI_PM_PMC, get_le16(bytes + at + PCI_PM_PMC) &
                                     (uint16_t) ~(PCI_PM_CAP_PME_MASK | PCI_PM_CAP_PME));
    put_le16(power + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
    fix(vfio, at, power, sizeof(power));
    put_le16(vfio->function.writable + at + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
}

/* PCI 3.0, appendix I: to be read, not written, for it lies in the card's memory. Bit 15 of the
 * address asks for a write. */
static void show_vpd(struct vfio_device *vfio, unsigned at)
{
    put_le16(vfio->function.writable + at + PCI_VPD_ADDR, PCI_VPD_ADDR_MASK);
    memset(vfio->function.writable + at + PCI_VPD_DATA, 0, 4);
}

/*
 * PCIe 6.0, section 7.5.3. On bus 0 there is no link above a function: it is one that is integrated
 * into the root complex (1.3.2.3), which has no registers for one.
 */
static void show_express(struct vfio_device *vfio, const uint8_t *bytes, unsigned at, unsigned size)
{
    static const struct {
        unsigned from, to;
    } absent[] = {
        {PCI_EXP_LNKCAP, PCI_EXP_DEVCAP2}, /* link, slot, root */
        {PCI_EXP_LNKCAP2, PCI_EXP_SLTSTA2 + 2},
    };
    uint16_t flags = get_le16(bytes + at + PCI_EXP_FLAGS) &
                     (uint16_t) ~(PCI_EXP_FLAGS_TYPE | PCI_EXP_FLAGS_SLOT);
    uint8_t fixed[2];

    put_le16(fixed, flags | PCI_EXP_TYPE_RC_END << 4);
    fix(vfio, at + PCI_EXP_FLAGS, fixed, sizeof(fixed));
    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
        unsigned to = absent[i].to < size ? absent[i].to : size;

        if (absent[i].from < to)
            fix(vfio, at + absent[i].from, NULL, to - absent[i].from);
    }
}

/* Only those of vendors may be there more than once. */
static bool is_again(const struct found *found, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (found[i].id == found[index].id && found[i].id != PCI_CAP_ID_VNDR)
            return true;
    }
    return false;
}

/* Bytes of a capability that is shown, or 0. At least 2. */
static unsigned plain_size(const uint8_t *bytes, const struct found *capability)
{
    unsigned at = capability->at, flags;

    switch (capability->id) {
    case PCI_CAP_ID_PM:
        return PCI_PM_SIZEOF;
    case PCI_CAP_ID_VPD:
        return PCI_CAP_VPD_SIZEOF;
    case PCI_CAP_ID_MSI:
        return PCI_MSI_DATA_32 + 2; /* more, as its flags say */
    case PCI_CAP_ID_MSIX:
        return PCI_CAP_MSIX_SIZEOF;
    case PCI_CAP_ID_VNDR: /* 6.7: its length is its third byte */
        return capability->room > 2 && bytes[at + 2] > 2 ? bytes[at + 2] : 0;
    case PCI_CAP_ID_EXP:
        flags =
            capability->room > PCI_EXP_FLAGS ? bytes[at + PCI_EXP_FLAGS] & PCI_EXP_FLAGS_VERS : 0;
        return flags < 2 ? PCI_CAP_EXP_ENDPOINT_SIZEOF_V1 : PCI_CAP_EXP_ENDPOINT_SIZEOF_V2;
    case PCI_CAP_ID_AF:
        return PCI_CAP_AF_SIZEOF;
    default:
        return 0;
    }
}

static int show_plain(struct vfio_device *vfio, const uint8_t *bytes,
                      const struct found *capability, unsigned size, struct husk_error *err)
{
    switch (capability->id) {
    case PCI_CAP_ID_PM:
        show_power(vfio, bytes, capability->at);
        return 0;
    case PCI_CAP_ID_VPD:
        show_vpd(vfio, capability->at);
        return 0;
    case PCI_CAP_ID_EXP:
        show_express(vfio, bytes, capability->at, size);
        return 0;
    case PCI_CAP_ID_MSI:
        return vfio_msi_init(vfio, bytes, capability->at, capability->room, err);
    case PCI_CAP_ID_MSIX:
        return vfio_msix_init(vfio, bytes, capability->at, err);
    default:
        return 0;
    }
}

static int add_plain(struct vfio_device *vfio, const uint8_t *bytes, struct husk_error *err)
{
    struct found found[PLAIN_MAX];
    unsigned count = walk_plain(bytes, found);
    unsigned link = PCI_CAPABILITY_LIST;

    for (unsigned i = 0; i < count; i++) {
        unsigned at = found[i].at, size = plain_size(bytes, &found[i]);
        int ret;

        if (size == 0 || size > found[i].room || is_again(found, i)) {
            fix(vfio, at, NULL, found[i].room);
            continue;
        }
        ret = show_plain(vfio, bytes, &found[i], size, err);
        if (ret)
            return ret;
        fix(vfio, at, (uint8_t[]){(uint8_t)found[i].id, 0}, 2);
        vfio->function.config[link] = (uint8_t)at;
        link = at + PCI_CAP_LIST_NEXT;
        vfio->function.config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    }
    return 0;
}

/* ---- extended capabilities (PCIe 6.0, section 7.6.3) ---- */

static unsigned walk_extended(const uint8_t *bytes, unsigned end, struct found *found)
{
    unsigned at = PCI_CONVENTIONAL_BYTES, count = 0;

    while (at >= PCI_CONVENTIONAL_BYTES && at <= end - 4 && count < EXTENDED_MAX &&
           !is_known(found, count, at)) {
        uint32_t header = get_le32(bytes + at);

        if (header == 0 || header == UINT32_MAX)
            break; /* there is none */
        found[count++] = (struct found){.at = at, .id = (uint16_t)PCI_EXT_CAP_ID(header)};
        at = PCI_EXT_CAP_NEXT(header);
    }
    set_room(found, count, end);
    return count;
}

static unsigned extended_size(const uint8_t *bytes, const struct found *capability)
{
    switch (capability->id) {
    case PCI_EXT_CAP_ID_DSN:
        return PCI_EXT_CAP_DSN_SIZEOF;
    case PCI_EXT_CAP_ID_VNDR: /* 7.9.5: its length is in its second header */
        return capability->room >= 8 ? get_le32(bytes + capability->at + PCI_VNDR_HEADER) >> 20 : 0;
    default:
        return 0;
    }
}

/* What is not shown reads 0, and so do the bytes of no capability. A list begins at 0x100 in any
 * case: when nothing is shown there, with an empty one (7.9.28, the null capability). */
static void add_extended(struct vfio_device *vfio, const uint8_t *bytes, unsigned end)
{
    struct found found[EXTENDED_MAX];
    unsigned count = walk_extended(bytes, end, found);
    uint8_t *config = vfio->function.config;
    unsigned last = PCI_CONVENTIONAL_BYTES;

    for (unsigned i = 0; i < count; i++) {
        unsigned at = found[i].at, size = extended_size(bytes, &found[i]);

        if (size < 4 || size > found[i].room)
            continue;
        memset(vfio->through + at, 0xff, size);
        memset(vfio->function.writable + at, 0xff, size);
        fix(vfio, at, NULL, 4);
        /* Its id and version, without what follows it. */
        put_le32(config + at, get_le32(bytes + at) & 0x000fffffu);
        if (at != last)
            put_le32(config + last, get_le32(config + last) | at << 20);
        last = at;
    }
}

int vfio_capabilities_init(struct vfio_device *vfio, const uint8_t *bytes, unsigned count,
                           struct husk_error *err)
{
    int ret = add_plain(vfio, bytes, err);

    if (!ret && count == PCI_CONFIG_BYTES)
        add_extended(vfio, bytes, count);
    return ret;
}
