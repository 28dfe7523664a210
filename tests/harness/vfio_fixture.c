// SPDX-License-Identifier: Apache-2.0
/* A VM for passed-through devices: see vfio_fixture.h. */
#include "tests/harness/vfio_fixture.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "vmm/bus.h"

/* ---- KVM's side ---- */

static int add_file(void *arg, int fd)
{
    struct vfio_fixture *f = arg;

    f->fake.files++;
    return 0;
}

static void remove_file(void *arg, int fd)
{
    struct vfio_fixture *f = arg;

    f->fake.breaches += f->fake.files == 0;
    f->fake.files--;
}

static int map(void *arg, uint64_t gpa, void *hva, uint64_t size, unsigned *slot)
{
    struct vfio_fixture *f = arg;
    unsigned free_slot = FIXTURE_SLOTS;

    f->fake.breaches += size == 0 || ((gpa | size | (uintptr_t)hva) & 0xfff) != 0;
    for (unsigned i = 0; i < FIXTURE_SLOTS; i++) {
        const struct fixture_slot *other = &f->slots[i];

        if (!other->used)
            free_slot = i;
        else if (gpa < other->gpa + other->size && other->gpa < gpa + size)
            return -EEXIST;
    }
    if (f->slots_left == 0 || free_slot == FIXTURE_SLOTS)
        return -ENOSPC;
    f->slots_left--;
    f->slots[free_slot] = (struct fixture_slot){true, gpa, size, hva};
    *slot = free_slot;
    return 0;
}

static void unmap(void *arg, unsigned slot)
{
    struct vfio_fixture *f = arg;

    f->fake.breaches += slot >= FIXTURE_SLOTS || !f->slots[slot].used;
    f->slots[slot].used = false;
    f->slots_left++;
}

/* ---- interrupts ---- */

static int take_line(void *arg, struct irq_line *out)
{
    struct vfio_fixture *f = arg;

    for (unsigned i = 0; i < FIXTURE_LINES; i++) {
        if (f->lines[i].fd >= 0)
            continue;
        f->lines[i] = (struct fixture_line){.fd = eventfd_open()};
        *out = (struct irq_line){.event_fd = f->lines[i].fd, .gsi = i};
        return 0;
    }
    return -ENOSPC;
}

static struct fixture_line *line_of(struct vfio_fixture *f, const struct irq_line *line)
{
    static struct fixture_line nobody;
    bool known = line->gsi < FIXTURE_LINES && f->lines[line->gsi].fd == line->event_fd;

    f->fake.breaches += !known;
    return known ? &f->lines[line->gsi] : &nobody;
}

static void give_line(void *arg, struct irq_line *line)
{
    struct vfio_fixture *f = arg;

    if (line->event_fd < 0)
        return;
    close_fd(&line_of(f, line)->fd);
    *line = (struct irq_line){.event_fd = -1};
}

static int route_line(void *arg, const struct irq_line *line, uint64_t address, uint32_t data)
{
    struct fixture_line *known = line_of(arg, line);

    known->routed = true;
    known->address = address;
    known->data = data;
    return 0;
}

static int hold_line(void *arg, const struct irq_line *line, bool held)
{
    struct fixture_line *known = line_of(arg, line);

    ((struct vfio_fixture *)arg)->fake.breaches += known->held == held;
    known->held = held;
    return 0;
}

static void set_level(void *arg, uint32_t gsi, bool asserted)
{
}

static int take_level(void *arg, uint32_t gsi, struct irq_resampled *out)
{
    struct vfio_fixture *f = arg;

    f->pins_taken++;
    f->pin = (struct irq_resampled){
        .trigger_fd = eventfd_open(), .resample_fd = eventfd_open(), .gsi = gsi};
    *out = f->pin;
    return 0;
}

static void give_level(void *arg, struct irq_resampled *irq)
{
    struct vfio_fixture *f = arg;

    f->fake.breaches += f->pins_taken == 0;
    f->pins_taken--;
    close_fd(&irq->trigger_fd);
    close_fd(&irq->resample_fd);
}

static void on_event(void *arg, struct device *device, enum vfio_event event)
{
    struct vfio_fixture *f = arg;

    f->requests += event == VFIO_EVENT_REQUEST;
    f->errors += event == VFIO_EVENT_ERROR;
}

/* ---- life ---- */

void vfio_fixture_init(struct vfio_fixture *f)
{
    const struct pci_window low = {FIXTURE_LOW, FIXTURE_LOW_SIZE};
    const struct pci_window high = {FIXTURE_HIGH, FIXTURE_HIGH_SIZE};
    struct pci_pins pins = {.levels = &f->levels, .first_gsi = FIXTURE_FIRST_GSI};

    memset(f, 0, sizeof(*f));
    surroundings_init(&f->around, NULL);
    fake_vfio_init(&f->fake);
    f->slots_left = FIXTURE_SLOTS;
    for (unsigned i = 0; i < FIXTURE_LINES; i++)
        f->lines[i].fd = -1;
    f->vm = (struct vfio_vm){
        .add_file = add_file, .remove_file = remove_file, .map = map, .unmap = unmap, .arg = f};
    f->msi = (struct msi_controller){
        .take = take_line, .give = give_line, .route = route_line, .hold = hold_line, .arg = f};
    f->levels = (struct level_controller){
        .set = set_level, .take = take_level, .give = give_level, .arg = f};
    if (pci_host_create(&f->around.env, FIXTURE_ECAM, &low, &high, &pins, &f->host))
        f->fake.breaches++;
    f->env = (struct vfio_device_env){
        .env = f->around.env,
        .host = f->host,
        .msi = &f->msi,
        .levels = &f->levels,
        .event = on_event,
        .event_arg = f,
    };
}

void vfio_fixture_unplug(struct vfio_fixture *f)
{
    device_destroy(f->device);
    f->device = NULL;
}

unsigned vfio_fixture_release(struct vfio_fixture *f)
{
    unsigned left;

    vfio_fixture_unplug(f);
    vfio_iommu_destroy(f->iommu);
    device_destroy(pci_host_device(f->host));
    left = f->fake.breaches + f->fake.files + f->fake.maps + f->fake.mapped_count + f->pins_taken +
           vfio_slots_used(f) + vfio_lines_taken(f) + guest_memory_is_pinned(f->around.memory);
    fake_vfio_release(&f->fake);
    surroundings_release(&f->around);
    return left;
}

int vfio_fixture_iommu(struct vfio_fixture *f, enum vfio_mode mode, struct husk_error *err)
{
    int fd = mode == VFIO_IOMMUFD ? fake_vfio_iommufd(&f->fake) : fake_vfio_container(&f->fake);

    return vfio_iommu_create(mode, fd, f->around.memory, &f->vm, &f->fake.kernel, &f->around.log,
                             &f->iommu, err);
}

int vfio_fixture_plug(struct vfio_fixture *f, enum vfio_mode mode, struct husk_error *err)
{
    const struct vfio_device_config config = {
        .name = "vfio 1",
        .address = FAKE_VFIO_ADDRESS,
        .group_fd = mode == VFIO_CONTAINER ? fake_vfio_group(&f->fake, 0) : -1,
        .device_fd = mode == VFIO_IOMMUFD ? fake_vfio_device(&f->fake) : -1,
    };

    f->env.iommu = f->iommu;
    return vfio_device_create(&f->env, &config, &f->device, err);
}

/* ---- the guest ---- */

uint32_t vfio_config_get(struct vfio_fixture *f, unsigned offset, unsigned size)
{
    uint8_t bytes[8];

    bus_read(f->around.mmio, FIXTURE_ECAM + (1u << 15) + offset, bytes, size);
    return (uint32_t)get_le_sized(bytes, size);
}

void vfio_config_set(struct vfio_fixture *f, unsigned offset, unsigned size, uint32_t value)
{
    uint8_t bytes[4];

    put_le32(bytes, value);
    bus_write(f->around.mmio, FIXTURE_ECAM + (1u << 15) + offset, bytes, size);
}

const struct fixture_slot *vfio_slot_at(const struct vfio_fixture *f, uint64_t address)
{
    for (unsigned i = 0; i < FIXTURE_SLOTS; i++) {
        const struct fixture_slot *slot = &f->slots[i];

        if (slot->used && address >= slot->gpa && address - slot->gpa < slot->size)
            return slot;
    }
    return NULL;
}

uint64_t vfio_memory_get(struct vfio_fixture *f, uint64_t address, unsigned size)
{
    const struct fixture_slot *slot = vfio_slot_at(f, address);
    uint8_t bytes[8];

    if (slot && size <= slot->size - (address - slot->gpa))
        memcpy(bytes, slot->hva + (address - slot->gpa), size);
    else
        bus_read(f->around.mmio, address, bytes, size);
    return get_le_sized(bytes, size);
}

void vfio_memory_set(struct vfio_fixture *f, uint64_t address, unsigned size, uint64_t value)
{
    const struct fixture_slot *slot = vfio_slot_at(f, address);
    uint8_t bytes[8];

    put_le64(bytes, value);
    if (slot && size <= slot->size - (address - slot->gpa))
        memcpy(slot->hva + (address - slot->gpa), bytes, size);
    else
        bus_write(f->around.mmio, address, bytes, size);
}

uint64_t vfio_bar_address(struct vfio_fixture *f, unsigned bar)
{
    uint32_t low = vfio_config_get(f, PCI_BASE_ADDRESS_0 + 4 * bar, 4);
    uint64_t address = low & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

    if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
        address |= (uint64_t)vfio_config_get(f, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4) << 32;
    return address;
}

unsigned vfio_slots_used(const struct vfio_fixture *f)
{
    unsigned used = 0;

    for (unsigned i = 0; i < FIXTURE_SLOTS; i++)
        used += f->slots[i].used;
    return used;
}

unsigned vfio_lines_taken(const struct vfio_fixture *f)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < FIXTURE_LINES; i++)
        taken += f->lines[i].fd >= 0;
    return taken;
}

const struct fixture_line *vfio_line_of(const struct vfio_fixture *f, uint64_t address,
                                        uint32_t data)
{
    for (unsigned i = 0; i < FIXTURE_LINES; i++) {
        const struct fixture_line *line = &f->lines[i];

        if (line->fd >= 0 && line->routed && line->address == address && line->data == data)
            return line;
    }
    return NULL;
}
