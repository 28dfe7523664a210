// SPDX-License-Identifier: Apache-2.0
/*
 * A disk that becomes another one while it is read without a pause (virtio 1.2, 5.2.5.1: the
 * configuration changes, and the driver is told). Options: before=N and after=N, the sectors of the
 * two. The first is full of the letter a, the second of b; sector 1 of the second gets the letter
 * z.
 */
#include "lib/virtio.h"

#define SECTOR      512u
#define IN_FLIGHT   16u
#define CAUSE_SPACE 2u /* the configuration space changed */
#define F_FLUSH     (1ull << 9)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4 };
enum { S_OK = 0, S_IOERR = 1, S_NONE = 0xff };

struct header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

/* One request that is made again and again. */
struct reader {
    struct header header;
    uint8_t status;
    uint16_t id;
    uint8_t *data;
};

static struct virtio *disk;
static struct virtqueue queue;
static struct reader readers[IN_FLIGHT];
static unsigned from_old, from_new, broken;

static uint64_t capacity(void)
{
    uint32_t before, low, high;

    do {
        before = virtio_read(disk, REG_CONFIG_GENERATION);
        low = virtio_read(disk, REG_CONFIG);
        high = virtio_read(disk, REG_CONFIG + 4);
    } while (virtio_read(disk, REG_CONFIG_GENERATION) != before);
    return (uint64_t)high << 32 | low;
}

/* By words: some hosts emulate guests one instruction at a time. */
static bool is_all(const uint8_t *data, char letter)
{
    uint64_t word = (uint8_t)letter * 0x0101010101010101ull;

    for (unsigned i = 0; i < SECTOR / 8; i++) {
        if (((const uint64_t *)data)[i] != word)
            return false;
    }
    return true;
}

/* Each reader has descriptors of its own, for they come back in any order. */
static void make(unsigned index)
{
    struct reader *reader = &readers[index];
    const struct part parts[] = {{&reader->header, sizeof(reader->header), false},
                                 {reader->data, SECTOR, true},
                                 {&reader->status, 1, true}};

    reader->status = S_NONE;
    reader->data[0] = 0;
    reader->data[SECTOR - 1] = 0;
    queue.next_desc = (uint16_t)(index * COUNT(parts));
    reader->id = virtq_add(&queue, parts, COUNT(parts));
}

/* Wait for one, count it, and return its number. A sector is of one disk or of the other, never of
 * both. */
static unsigned take(void)
{
    struct used_element element;
    unsigned index = 0;

    if (!virtq_wait(&queue, &element))
        give_up("read", "one never came back");
    while (index < IN_FLIGHT && readers[index].id != element.id)
        index++;
    if (index == IN_FLIGHT)
        give_up("read", "number %u came back, which was not out", element.id);
    if (readers[index].status == S_OK && is_all(readers[index].data, 'a'))
        from_old++;
    else if (readers[index].status == S_OK && is_all(readers[index].data, 'b'))
        from_new++;
    else
        broken++;
    return index;
}

/* Keep all readers busy until the device says that it is another one. */
static void read_until_told(void)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        readers[i].data = allocate(SECTOR, SECTOR);
        make(i);
    }
    virtq_kick(&queue);
    out8(0xf5, 1); /* the host may begin */
    while (!(disk->causes & CAUSE_SPACE)) {
        make(take());
        virtq_kick(&queue);
    }
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        take();
}

static uint8_t transfer(uint32_t type, uint64_t sector, uint8_t *data)
{
    struct header header = {.type = type, .sector = sector};
    uint8_t status = S_NONE;
    struct part parts[3] = {{&header, sizeof(header), false}};
    unsigned count = 1;
    uint32_t written;

    if (data)
        parts[count++] = (struct part){data, SECTOR, type == T_IN};
    parts[count++] = (struct part){&status, 1, true};
    return virtq_request(&queue, parts, count, &written) ? status : S_NONE;
}

static void expect(const char *name, uint8_t status, uint8_t expected)
{
    check(status == expected, name, "status %u, not %u", status, expected);
}

void guest_main(void)
{
    uint64_t before = option_number("before", 0), after = option_number("after", 0);
    uint8_t *data = allocate(SECTOR, SECTOR);

    interrupts_init();
    virtio_scan();
    disk = virtio_find(VIRTIO_BLK, 0);
    if (!disk || !virtio_negotiate(disk, F_FLUSH) || !virtq_init(&queue, disk, 0, 0) ||
        !virtio_start(disk))
        give_up("disk", "cannot be used");
    check(capacity() == before, "capacity before", "%U sectors", capacity());
    read_until_told();
    check(broken == 0, "every read is whole", "%u are not", broken);
    check(from_old > 0, "reads of the old disk", "none");
    check(capacity() == after, "capacity after", "%U sectors", capacity());
    for (uint64_t sector = 0; sector < after; sector++) {
        uint8_t status = transfer(T_IN, sector, data);

        if (status != S_OK || !is_all(data, 'b')) {
            check(false, "data of the new disk", "sector %U: status %u, first byte %u", sector,
                  status, data[0]);
            return;
        }
    }
    check(true, "data of the new disk", "");
    expect("read behind the end", transfer(T_IN, after, data), S_IOERR);
    memset(data, 'z', SECTOR);
    expect("write", transfer(T_OUT, 1, data), S_OK);
    expect("flush", transfer(T_FLUSH, 0, NULL), S_OK);
    check(!(virtio_read(disk, REG_STATUS) & STATUS_NEEDS_RESET), "status", "needs a reset");
}
