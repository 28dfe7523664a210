// SPDX-License-Identifier: Apache-2.0
/*
 * A passed-through device and its guest, both hostile. The input says what the kernel and the
 * device say of themselves (the first part), and what the guest then does: configuration space,
 * BARs that move, the MSI-X table, interrupts meanwhile. Whatever they do, the kernel's rules are
 * kept, no two slots meet, and everything is given back.
 */
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/harness/vfio_fixture.h"

#define MAX_STEPS   256u
#define MAX_CHANGES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition)
{
    if (!condition)
        abort();
}

struct input {
    const uint8_t *data;
    size_t left;
};

static uint64_t take(struct input *input, unsigned bytes)
{
    uint8_t value[8] = {0};

    if (bytes > input->left)
        bytes = (unsigned)input->left;
    memcpy(value, input->data, bytes);
    input->data += bytes;
    input->left -= bytes;
    return get_le64(value);
}

/* A size or an offset that is more often near something than not. */
static uint64_t take_size(struct input *input)
{
    uint64_t value = take(input, 2);

    return (1ull << (value & 0x3f)) + (value >> 6 & 3 ? 0 : take(input, 8));
}

/* ---- what the device is ---- */

static void change_region(struct fake_vfio *fake, struct input *input)
{
    struct fake_region *region = &fake->regions[take(input, 1) % FAKE_REGIONS];

    switch (take(input, 1) % 6) {
    case 0:
        region->size = take_size(input);
        break;
    case 1:
        region->flags = (uint32_t)take(input, 1);
        break;
    case 2:
        fake_vfio_no_caps(region);
        break;
    case 3:
        region->caps[take(input, 1)] = (uint8_t)take(input, 1);
        break;
    case 4:
        if (region->caps_bytes < FAKE_CAPS_MAX / 2)
            fake_vfio_sparse(
                region, &(const struct fake_range){take(input, 1) << 12, take(input, 1) << 12}, 1);
        break;
    default:
        region->offset = take(input, 8);
        break;
    }
}

static void change_device(struct fake_vfio *fake, struct input *input)
{
    struct fake_irq *irq;
    unsigned at;

    switch (take(input, 1) % 5) {
    case 0: /* its configuration space; the plain part more often */
        at = (unsigned)take(input, 2);
        fake->config[at & 1 ? at >> 1 & 0xff : at >> 1 & 0xfff] = (uint8_t)take(input, 1);
        break;
    case 1:
        change_region(fake, input);
        break;
    case 2:
        irq = &fake->irqs[take(input, 1) % FAKE_IRQ_KINDS];
        irq->count = (uint32_t)take(input, 2) % (FAKE_VECTORS + 1);
        irq->flags = (uint32_t)take(input, 1);
        irq->room = 1 + (uint32_t)take(input, 1);
        break;
    case 3:
        fake->num_irqs = (uint32_t)take(input, 1) % 8;
        fake->num_regions = 4 + (uint32_t)take(input, 1) % 8;
        break;
    default:
        fake->fail_at = (unsigned)take(input, 1);
        fake->fail_errno = 1 + (int)take(input, 1) % 100;
        break;
    }
}

/* ---- what the guest does ---- */

static const unsigned sizes[] = {1, 2, 4, 8};

static void access_config(struct vfio_fixture *f, struct input *input, uint8_t op)
{
    unsigned offset = (unsigned)take(input, 2) % PCI_CONFIG_BYTES;
    unsigned bytes = sizes[op >> 4 & 3] & 7;

    if (op & 0x40)
        offset &= 0xff;
    if (op & 0x80)
        vfio_config_get(f, offset, bytes ? bytes : 4);
    else
        vfio_config_set(f, offset, bytes ? bytes : 4, (uint32_t)take(input, 4));
}

static void access_bar(struct vfio_fixture *f, struct input *input, uint8_t op)
{
    uint64_t address = vfio_bar_address(f, op >> 4 & 7) + take(input, 2);
    unsigned bytes = sizes[take(input, 1) & 3];

    /* Mapped registers are nobody's here; addresses elsewhere are not the device's. */
    if (vfio_slot_at(f, address) || (address < FIXTURE_LOW && address >= HIGH_START + HIGH_BYTES))
        return;
    if (op & 0x80)
        vfio_memory_get(f, address, bytes);
    else
        vfio_memory_set(f, address, bytes, take(input, 8));
}

static void interrupt(struct vfio_fixture *f, struct input *input)
{
    fake_vfio_interrupt(&f->fake, (unsigned)take(input, 1) % FAKE_IRQ_KINDS,
                        (unsigned)take(input, 2) % FAKE_VECTORS);
    surroundings_settle(&f->around);
}

static void step(struct vfio_fixture *f, struct input *input)
{
    uint8_t op = (uint8_t)take(input, 1);

    switch (op & 7) {
    case 0:
    case 1:
    case 2:
        access_config(f, input, op);
        break;
    case 3:
    case 4:
    case 5:
        access_bar(f, input, op);
        break;
    case 6:
        interrupt(f, input);
        break;
    default:
        f->slots_left = (unsigned)take(input, 1) % FIXTURE_SLOTS;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vfio_fixture f;
    struct input input = {.data = data, .left = size};
    enum vfio_mode mode = take(&input, 1) & 1 ? VFIO_IOMMUFD : VFIO_CONTAINER;
    unsigned changes = (unsigned)take(&input, 1) % MAX_CHANGES;

    vfio_fixture_init(&f);
    need(vfio_fixture_iommu(&f, mode, NULL) == 0);
    while (changes-- > 0)
        change_device(&f.fake, &input);
    if (vfio_fixture_plug(&f, mode, NULL) == 0) {
        for (unsigned i = 0; i < MAX_STEPS && input.left > 0; i++)
            step(&f, &input);
    }
    f.fake.fail_at = 0;
    need(vfio_fixture_release(&f) == 0);
    return 0;
}
