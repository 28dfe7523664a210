// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that breaks every rule, against each virtio device that the machine has. After each
 * attack the device must work again once it was reset, and so must the machine. Where the rule is
 * one that the device must notice, it must ask for that reset (virtio 1.2, 2.1.2).
 *
 * With a second processor, it also rewrites descriptors while the device reads them.
 */
#include "lib/virtio.h"

#define SIZE        16u
#define PAGE        4096u
#define MMIO_WINDOW 0xd0000000ull
#define TRAMPOLINE  0x8000u

static struct virtio *device;
static unsigned queue_index; /* of the queue that is processed without anybody's doing */
static uint8_t *page;
static uint64_t memory_end;

/* ---- is it alive ---- */

static const char *name_of(uint32_t id)
{
    static const char *const names[] = {"?", "net", "blk", "console", "rng"};

    if (id == VIRTIO_VSOCK)
        return "vsock";
    return names[id < COUNT(names) ? id : 0];
}

static unsigned outgoing_queue(uint32_t id)
{
    return id == VIRTIO_NET || id == VIRTIO_CONSOLE || id == VIRTIO_VSOCK ? 1 : 0;
}

/* One request that the device must answer. */
static bool request(struct virtqueue *queue)
{
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    static uint8_t status;
    uint32_t written = 0;

    status = 0xff;
    memset(page, 0, PAGE);
    if (device->id == VIRTIO_RNG)
        return virtq_request(queue, &(struct part){page, 32, true}, 1, &written) && written == 32;
    if (device->id == VIRTIO_BLK) {
        struct part parts[] = {{&header, 16, false}, {page, 512, true}, {&status, 1, true}};

        return virtq_request(queue, parts, 3, &written) && status == 0;
    }
    /* A frame of zeroes to nobody, a packet from nobody, or characters that are not seen. */
    return virtq_request(queue, &(struct part){page, 72, false}, 1, &written);
}

static bool set_up(struct virtqueue *queue, uint64_t features)
{
    struct virtqueue receive = {0};

    if (!virtio_negotiate(device, features))
        return false;
    /* A network card works with pairs of queues only. */
    if (device->id == VIRTIO_NET && !virtq_init(&receive, device, 0, SIZE))
        return false;
    return virtq_init(queue, device, queue_index, SIZE) && virtio_start(device);
}

static bool alive(void)
{
    struct virtqueue queue = {0};

    return set_up(&queue, 0) && request(&queue);
}

static bool needs_reset(void *arg)
{
    return virtio_read(device, REG_STATUS) & STATUS_NEEDS_RESET;
}

/* ---- rings ---- */

static void one(struct virtqueue *q, uint64_t address, uint32_t len, uint16_t flags, uint16_t next)
{
    q->desc[0] = (struct descriptor){address, len, flags, next};
    virtq_offer(q, 0);
}

static void loop_to_itself(struct virtqueue *q)
{
    one(q, (uint64_t)page, 16, DESC_NEXT, 0);
}

static void loop_of_all(struct virtqueue *q)
{
    for (uint16_t i = 0; i < SIZE; i++)
        q->desc[i] = (struct descriptor){(uint64_t)page, 16, DESC_NEXT, (uint16_t)((i + 1) % SIZE)};
    virtq_offer(q, 3);
}

static void next_outside(struct virtqueue *q)
{
    one(q, (uint64_t)page, 16, DESC_NEXT, SIZE);
}

static void next_far_outside(struct virtqueue *q)
{
    one(q, (uint64_t)page, 16, DESC_NEXT, 0xffff);
}

static void head_outside(struct virtqueue *q)
{
    virtq_offer(q, SIZE);
}

static void head_far_outside(struct virtqueue *q)
{
    virtq_offer(q, 0xffff);
}

static void buffer_wraps(struct virtqueue *q)
{
    one(q, 0xfffffffffffff000ull, 0x2000, DESC_WRITE, 0);
}

static void buffer_beyond_memory(struct virtqueue *q)
{
    one(q, 1ull << 46, 64, DESC_WRITE, 0);
}

static void buffer_across_the_end(struct virtqueue *q)
{
    one(q, memory_end - 8, 16, DESC_WRITE, 0);
}

static void buffer_in_registers(struct virtqueue *q)
{
    one(q, MMIO_WINDOW, 64, DESC_WRITE, 0);
}

static void buffer_of_4_gib(struct virtqueue *q)
{
    one(q, (uint64_t)page, 0xffffffff, DESC_WRITE, 0);
}

static void readable_behind_writable(struct virtqueue *q)
{
    q->desc[0] = (struct descriptor){(uint64_t)page, 16, DESC_NEXT | DESC_WRITE, 1};
    q->desc[1] = (struct descriptor){(uint64_t)page, 16, 0, 0};
    virtq_offer(q, 0);
}

static void index_jumps(struct virtqueue *q)
{
    q->avail[1] = SIZE + 1;
}

static void index_jumps_far(struct virtqueue *q)
{
    q->avail[1] = 0x8000;
}

static void index_goes_back(struct virtqueue *q)
{
    q->avail[1] = 0xffff;
}

static void empty_buffer(struct virtqueue *q)
{
    one(q, (uint64_t)page, 0, DESC_WRITE, 0);
}

static void empty_buffer_nowhere(struct virtqueue *q)
{
    one(q, UINT64_MAX, 0, 0, 0);
}

static void same_head_again(struct virtqueue *q)
{
    q->desc[0] = (struct descriptor){(uint64_t)page, 64, DESC_WRITE, 0};
    for (unsigned i = 0; i < SIZE; i++)
        virtq_offer(q, 0);
}

/* The device writes over its own rings, where it writes at all. */
static void buffer_is_the_rings(struct virtqueue *q)
{
    q->desc[1] = (struct descriptor){(uint64_t)q->avail, 6 + 2 * SIZE, DESC_WRITE | DESC_NEXT, 2};
    q->desc[2] = (struct descriptor){(uint64_t)q->used, 6 + 8 * SIZE, DESC_WRITE, 0};
    one(q, (uint64_t)q->desc, 16 * SIZE, DESC_WRITE | DESC_NEXT, 1);
}

static void indirect(struct virtqueue *q, uint64_t address, uint32_t len, uint16_t flags)
{
    one(q, address, len, DESC_INDIRECT | flags, 1);
}

static struct descriptor *indirect_table(void)
{
    struct descriptor *table = (struct descriptor *)(page + 1024);

    for (uint16_t i = 0; i < 64; i++)
        table[i] = (struct descriptor){(uint64_t)page, 16, DESC_NEXT, (uint16_t)(i + 1)};
    return table;
}

static void indirect_nested(struct virtqueue *q)
{
    struct descriptor *table = indirect_table();

    table[0] = (struct descriptor){(uint64_t)table, 16, DESC_INDIRECT, 0};
    indirect(q, (uint64_t)table, 16, 0);
}

static void indirect_with_next(struct virtqueue *q)
{
    indirect_table()[0].flags = 0;
    q->desc[1] = (struct descriptor){(uint64_t)page, 16, 0, 0};
    indirect(q, (uint64_t)page + 1024, 16, DESC_NEXT);
}

static void indirect_of_odd_size(struct virtqueue *q)
{
    indirect(q, (uint64_t)indirect_table(), 17, 0);
}

static void indirect_empty(struct virtqueue *q)
{
    indirect(q, (uint64_t)indirect_table(), 0, 0);
}

static void indirect_longer_than_the_queue(struct virtqueue *q)
{
    indirect_table()[SIZE].flags = 0;
    indirect(q, (uint64_t)page + 1024, 16 * (SIZE + 1), 0);
}

static void indirect_huge(struct virtqueue *q)
{
    indirect(q, (uint64_t)indirect_table(), 0xfffffff0, 0);
}

static void indirect_outside(struct virtqueue *q)
{
    indirect(q, memory_end - 16, 64, 0);
}

static void indirect_next_outside(struct virtqueue *q)
{
    indirect_table();
    indirect(q, (uint64_t)page + 1024, 64, 0); /* its fourth entry goes on to a fifth */
}

static void indirect_loop(struct virtqueue *q)
{
    indirect_table()[1].next = 0;
    indirect(q, (uint64_t)page + 1024, 64, 0);
}

static const struct ring_attack {
    const char *name;
    void (*prepare)(struct virtqueue *q);
    bool must_fail; /* the device has to notice */
    uint64_t features;
} ring_attacks[] = {
    {"a descriptor that follows itself", loop_to_itself, true, 0},
    {"a ring of descriptors", loop_of_all, true, 0},
    {"next just outside the table", next_outside, true, 0},
    {"next far outside the table", next_far_outside, true, 0},
    {"head just outside the table", head_outside, true, 0},
    {"head far outside the table", head_far_outside, true, 0},
    {"a buffer that wraps", buffer_wraps, true, 0},
    {"a buffer beyond memory", buffer_beyond_memory, true, 0},
    {"a buffer across the end of memory", buffer_across_the_end, true, 0},
    {"a buffer in device registers", buffer_in_registers, true, 0},
    {"a buffer of 4 GiB", buffer_of_4_gib, true, 0},
    {"readable behind writable", readable_behind_writable, true, 0},
    {"an available index one too far", index_jumps, true, 0},
    {"an available index far away", index_jumps_far, true, 0},
    {"an available index that goes back", index_goes_back, true, 0},
    {"an empty buffer", empty_buffer, false, 0},
    {"an empty buffer nowhere", empty_buffer_nowhere, false, 0},
    {"the same head many times", same_head_again, false, 0},
    {"rings as a buffer", buffer_is_the_rings, false, 0},
    {"an indirect table not negotiated", indirect_loop, true, 0},
    {"an indirect table in an indirect table", indirect_nested, true, F_INDIRECT},
    {"an indirect table and next", indirect_with_next, true, F_INDIRECT},
    {"an indirect table of odd size", indirect_of_odd_size, true, F_INDIRECT},
    {"an empty indirect table", indirect_empty, true, F_INDIRECT},
    {"an indirect table longer than the queue", indirect_longer_than_the_queue, true, F_INDIRECT},
    {"an indirect table of 4 GiB", indirect_huge, true, F_INDIRECT},
    {"an indirect table outside memory", indirect_outside, true, F_INDIRECT},
    {"next outside an indirect table", indirect_next_outside, true, F_INDIRECT},
    {"a loop in an indirect table", indirect_loop, true, F_INDIRECT},
};

static void attack_rings(void)
{
    for (unsigned i = 0; i < COUNT(ring_attacks); i++) {
        const struct ring_attack *attack = &ring_attacks[i];
        size_t mark = allocation_mark();
        struct virtqueue queue = {0};
        bool noticed;

        if (!set_up(&queue, attack->features))
            give_up(attack->name, "the %s cannot be set up", name_of(device->id));
        attack->prepare(&queue);
        memory_barrier();
        virtq_kick(&queue);
        noticed = wait_until(needs_reset, NULL, attack->must_fail ? 5000 : 20);
        if (attack->must_fail && !noticed)
            check(false, attack->name, "the %s does not mind", name_of(device->id));
        virtq_kick(&queue); /* while it is broken */
        check(alive(), attack->name, "the %s is dead after it", name_of(device->id));
        allocation_release(mark);
    }
}

/* ---- set-up ---- */

/* Returns whether DRIVER_OK was accepted with the queue so. */
static bool starts_with(uint32_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
    virtio_negotiate(device, 0);
    virtio_write(device, REG_QUEUE_SEL, queue_index);
    virtio_write(device, REG_QUEUE_SIZE, size);
    virtio_write(device, REG_DESC_LOW, (uint32_t)desc);
    virtio_write(device, REG_DESC_HIGH, (uint32_t)(desc >> 32));
    virtio_write(device, REG_AVAIL_LOW, (uint32_t)avail);
    virtio_write(device, REG_AVAIL_HIGH, (uint32_t)(avail >> 32));
    virtio_write(device, REG_USED_LOW, (uint32_t)used);
    virtio_write(device, REG_USED_HIGH, (uint32_t)(used >> 32));
    virtio_write(device, REG_QUEUE_READY, 1);
    return virtio_start(device) && virtio_read(device, REG_QUEUE_READY);
}

static void attack_addresses(void)
{
    uint64_t good = (uint64_t)page;
    const struct {
        const char *name;
        uint32_t size;
        uint64_t desc, avail, used;
    } attacks[] = {
        {"size 0", 0, good, good + 1024, good + 2048},
        {"size 3", 3, good, good + 1024, good + 2048},
        {"size 512", 512, good, good + 1024, good + 2048},
        {"size of all ones", 0xffffffff, good, good + 1024, good + 2048},
        {"descriptors unaligned", SIZE, good + 8, good + 1024, good + 2048},
        {"available ring unaligned", SIZE, good, good + 1025, good + 2048},
        {"used ring unaligned", SIZE, good, good + 1024, good + 2050},
        {"descriptors at the end of memory", SIZE, memory_end - 16, good + 1024, good + 2048},
        {"available ring in registers", SIZE, good, MMIO_WINDOW, good + 2048},
        {"used ring beyond memory", SIZE, good, good + 1024, 1ull << 46},
        {"used ring that wraps", SIZE, good, good + 1024, 0xfffffffffffffffcull},
    };

    for (unsigned i = 0; i < COUNT(attacks); i++) {
        size_t mark = allocation_mark();
        bool accepted =
            starts_with(attacks[i].size, attacks[i].desc, attacks[i].avail, attacks[i].used);

        virtio_write(device, REG_NOTIFY, queue_index);
        check(!accepted && alive(), attacks[i].name, accepted ? "the %s starts" : "the %s is dead",
              name_of(device->id));
        allocation_release(mark);
    }
}

/* Queue registers are frozen once the driver is ready: the old rings go on to work. */
static void attack_frozen_registers(void)
{
    struct virtqueue queue = {0};

    set_up(&queue, 0);
    virtio_write(device, REG_QUEUE_SEL, queue_index);
    virtio_write(device, REG_DESC_LOW, 0xfffff000);
    virtio_write(device, REG_DESC_HIGH, 0xffffffff);
    virtio_write(device, REG_AVAIL_LOW, 0xd0000000);
    virtio_write(device, REG_USED_LOW, 0xd0000000);
    virtio_write(device, REG_QUEUE_SIZE, 256);
    virtio_write(device, REG_DRIVER_FEATURES_SEL, 0);
    virtio_write(device, REG_DRIVER_FEATURES, 0xffffffff);
    check(request(&queue), "queue registers after DRIVER_OK", "the %s takes them",
          name_of(device->id));
    virtio_write(device, REG_QUEUE_READY, 0);
    virtq_kick(&queue);
    check(alive(), "queue not ready after DRIVER_OK", "the %s is dead", name_of(device->id));
}

static bool features_ok_with(uint64_t features)
{
    virtio_reset(device);
    virtio_write(device, REG_STATUS, STATUS_ACKNOWLEDGE);
    virtio_write(device, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    virtio_write(device, REG_DRIVER_FEATURES_SEL, 0);
    virtio_write(device, REG_DRIVER_FEATURES, (uint32_t)features);
    virtio_write(device, REG_DRIVER_FEATURES_SEL, 1);
    virtio_write(device, REG_DRIVER_FEATURES, (uint32_t)(features >> 32));
    virtio_write(device, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    return virtio_read(device, REG_STATUS) & STATUS_FEATURES_OK;
}

static void attack_negotiation(void)
{
    check(!features_ok_with(UINT64_MAX), "all features", "the %s agrees", name_of(device->id));
    check(!features_ok_with(F_VERSION_1 | 1ull << 50), "a feature not offered", "the %s agrees",
          name_of(device->id));
    check(!features_ok_with(0), "no version", "the %s agrees", name_of(device->id));
    virtio_write(device, REG_STATUS, 0x0f);
    virtio_write(device, REG_NOTIFY, queue_index);
    check(alive(), "DRIVER_OK without features", "the %s is dead", name_of(device->id));
    virtio_write(device, REG_STATUS, STATUS_DRIVER);
    virtio_write(device, REG_STATUS, 0xff);
    virtio_write(device, REG_STATUS, 0xffffff00);
    check(alive(), "status bits in disorder", "the %s is dead", name_of(device->id));
}

/* Every register in every wrong way. Status writes may reset; nothing may do harm. */
static void attack_accesses(void)
{
    for (unsigned at = 0; at < 0x150; at++) {
        uint64_t address = device->base + at;

        mmio_read8(address);
        mmio_read16(address);
        mmio_read64(address);
        if (at & 3)
            mmio_read32(address);
        mmio_write8(address, 0xff);
        mmio_write16(address, 0xffff);
        mmio_write64(address, UINT64_MAX);
        if (at & 3)
            mmio_write32(address, 0xffffffff);
    }
    mmio_read64(device->base + VIRTIO_WINDOW_SIZE - 4);
    mmio_write64(device->base + VIRTIO_WINDOW_SIZE - 4, 0);
    check(virtio_read(device, REG_MAGIC) == 0x74726976, "odd accesses", "the %s is dead",
          name_of(device->id));
    /* Registers that do not exist, queues that do not exist. */
    for (unsigned at = 0xb0; at < 0xfc; at += 4)
        virtio_write(device, at, 0xffffffff);
    virtio_negotiate(device, 0);
    virtio_write(device, REG_QUEUE_SEL, 0xffffffff);
    check(virtio_read(device, REG_QUEUE_MAX) == 0, "a queue that does not exist", "has a size");
    virtio_write(device, REG_QUEUE_SIZE, 16);
    virtio_write(device, REG_QUEUE_READY, 1);
    virtio_write(device, REG_FEATURES_SEL, 0xffffffff);
    check(virtio_read(device, REG_FEATURES) == 0, "features that do not exist", "are offered");
    check(alive(), "registers that do not exist", "the %s is dead", name_of(device->id));
}

/* ---- storms ---- */

static void attack_storms(void)
{
    struct virtqueue queue = {0};

    virtio_reset(device);
    for (unsigned i = 0; i < 200; i++)
        virtio_write(device, REG_NOTIFY, i);
    set_up(&queue, 0);
    for (unsigned i = 0; i < 3000; i++)
        virtio_write(device, REG_NOTIFY, i % 4 ? queue_index : i * 0x10001);
    check(request(&queue), "a storm of notifications", "the %s is dead", name_of(device->id));
    for (unsigned i = 0; i < 50; i++) {
        size_t mark = allocation_mark();
        struct virtqueue other = {0};

        set_up(&other, 0);
        for (unsigned k = 0; k < SIZE; k++)
            virtq_add(&other, &(struct part){page, 64, k & 1}, 1);
        virtq_kick(&other);
        virtio_write(device, REG_STATUS, 0);
        allocation_release(mark);
    }
    check(alive(), "a storm of resets", "the %s is dead", name_of(device->id));
}

/* ---- a second processor that rewrites what the device reads ---- */

static struct descriptor *volatile raced;   /* the table to rewrite, NULL: none */
static struct descriptor *volatile written; /* the table that is being rewritten */

void ap_main(uint32_t number);

void ap_main(uint32_t number)
{
    interrupts_init_ap();
    for (uint32_t i = 0;; i++) {
        struct descriptor *table;

        __asm__ volatile("cli" : : : "memory");
        table = raced;
        written = table;
        if (!table) {
            __asm__ volatile("sti; hlt" : : : "memory"); /* until start_race() interrupts */
            continue;
        }
        __asm__ volatile("sti" : : : "memory");
        memory_barrier(); /* with stop_race(): one of the two sees what the other wrote */
        if (raced != table)
            continue;
        table[0].address = i & 1 ? (uint64_t)page : memory_end - 4;
        table[0].len = i & 2 ? 0xffffffff : 64;
        table[0].flags = (uint16_t)(i & 7);
        table[0].next = (uint16_t)(i & 4 ? 1 : 0x7fff);
    }
}

static void start_race(struct descriptor *table)
{
    raced = table;
    apic_send(1, 0x4000 | VECTOR_IPI);
    while (!written)
        ;
}

static void stop_race(void)
{
    raced = NULL;
    memory_barrier();
    while (written)
        ;
}

static void start_racer(void)
{
    memcpy((void *)TRAMPOLINE, ap_start, (size_t)(ap_start_end - ap_start));
    apic_send(1, 0x4500);
    sleep_ms(20);
    apic_send(1, 0x4600 | TRAMPOLINE >> 12);
}

static void attack_by_race(void)
{
    for (unsigned round = 0; round < 30; round++) {
        size_t mark = allocation_mark();
        struct virtqueue queue = {0};

        set_up(&queue, round & 1 ? F_INDIRECT : 0);
        queue.desc[1] = (struct descriptor){(uint64_t)page, 64, DESC_WRITE, 0};
        start_race(queue.desc);
        for (unsigned i = 0; i < SIZE; i++) {
            virtq_offer(&queue, 0);
            virtq_kick(&queue);
        }
        stop_race();
        virtio_reset(device);
        allocation_release(mark);
    }
    check(alive(), "descriptors that change", "the %s is dead", name_of(device->id));
}

void guest_main(void)
{
    bool race = option_number("cpus", 1) > 1;

    interrupts_init();
    virtio_scan();
    page = allocate(PAGE, PAGE);
    memory_end = low_memory_end();
    check(virtio_count == option_number("devices", 1), "devices", "%u", virtio_count);
    if (race)
        start_racer();
    for (unsigned i = 0; i < virtio_count; i++) {
        device = &virtio_devices[i];
        queue_index = outgoing_queue(device->id);
        if (!check(alive(), name_of(device->id), "does not work to begin with"))
            continue;
        attack_rings();
        attack_addresses();
        attack_frozen_registers();
        attack_negotiation();
        attack_accesses();
        attack_storms();
        if (race)
            attack_by_race();
    }
    for (unsigned i = 0; i < virtio_count; i++) {
        device = &virtio_devices[i];
        queue_index = outgoing_queue(device->id);
        check(alive(), "still alive", "the %s is not", name_of(device->id));
    }
}
