// SPDX-License-Identifier: Apache-2.0
/*
 * A disk, used as its specification allows (virtio 1.2, section 5.2). The image holds a pattern
 * that the test on the host wrote and checks again afterwards. Options: sectors=N the size, ro a
 * read-only disk, queues=N their number; written sectors get the pattern's version 1.
 */
#include "lib/virtio.h"

#define SECTOR 512u
#define WORDS  (SECTOR / 8)

#define F_RO           (1ull << 5)
#define F_FLUSH        (1ull << 9)
#define F_MQ           (1ull << 12)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)
#define WANTED         (F_RO | F_FLUSH | F_MQ | F_DISCARD | F_WRITE_ZEROES)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_NONE = 0xff };

/* Where the tests write; must fit the host's check in test_blk.py. */
#define WRITE_AT   100u
#define VECTOR_AT  200u
#define QUEUES_AT  400u
#define ZEROES_AT  600u
#define DISCARD_AT 640u

struct header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

struct segment {
    uint64_t sector;
    uint32_t count;
    uint32_t flags;
};

static struct virtio *disk;
static struct virtqueue queues[16];
static unsigned queue_count;
static uint64_t capacity;
static uint64_t *buffer;

static uint64_t word_of(uint64_t sector, unsigned word, unsigned version)
{
    return (sector * WORDS + word + ((uint64_t)version << 32)) * 0x9e3779b97f4a7c15ull;
}

static void fill(uint64_t *at, uint64_t sector, unsigned count, unsigned version)
{
    for (unsigned i = 0; i < count * WORDS; i++)
        at[i] = word_of(sector + i / WORDS, i % WORDS, version);
}

static bool matches(const uint64_t *at, uint64_t sector, unsigned count, unsigned version)
{
    for (unsigned i = 0; i < count * WORDS; i++) {
        if (at[i] != word_of(sector + i / WORDS, i % WORDS, version))
            return false;
    }
    return true;
}

static bool all_zero(const uint64_t *at, unsigned count)
{
    for (unsigned i = 0; i < count * WORDS; i++) {
        if (at[i])
            return false;
    }
    return true;
}

/* One request with its data in one piece. Returns its status, S_NONE without an answer. */
static uint8_t transfer(struct virtqueue *queue, uint32_t type, uint64_t sector, void *data,
                        uint32_t len)
{
    bool in = type == T_IN || type == T_GET_ID;
    struct header header = {.type = type, .sector = sector};
    uint8_t status = S_NONE;
    struct part parts[3] = {{&header, sizeof(header), false}};
    unsigned count = 1;
    uint32_t written;

    if (len > 0)
        parts[count++] = (struct part){data, len, in};
    parts[count++] = (struct part){&status, 1, true};
    if (!virtq_request(queue, parts, count, &written))
        return S_NONE;
    /* 2.7.8.2: exactly what was written; nobody may rely on more. */
    if (status == S_OK && written != (in ? len + 1 : 1)) {
        check(false, "used length", "%u written of %u", written, len);
        return S_NONE;
    }
    return status;
}

static void expect(const char *name, uint8_t status, uint8_t expected)
{
    check(status == expected, name, "status %u, not %u", status, expected);
}

static void start(uint64_t features)
{
    if (!virtio_negotiate(disk, features))
        give_up("features", "refused");
    for (unsigned i = 0; i < queue_count; i++) {
        if (queues[i].size)
            virtq_restart(&queues[i]);
        else if (!virtq_init(&queues[i], disk, i, 0))
            give_up("queue", "number %u cannot be used", i);
    }
    if (!virtio_start(disk))
        give_up("start", "the device needs a reset");
}

static void reading(void)
{
    expect("read", transfer(&queues[0], T_IN, 0, buffer, 16 * SECTOR), S_OK);
    check(matches(buffer, 0, 16, 0), "data at the start", "differs");
    expect("read the end", transfer(&queues[0], T_IN, capacity - 8, buffer, 8 * SECTOR), S_OK);
    check(matches(buffer, capacity - 8, 8, 0), "data at the end", "differs");
}

/* 2.7.4.1: the device must not care how a request is cut into descriptors. */
static void framing(void)
{
    struct header header = {.type = T_IN, .sector = 5};
    uint8_t *bytes = (uint8_t *)buffer;
    uint8_t status = S_NONE;
    const struct part parts[] = {
        {&header, 3, false},    {(uint8_t *)&header + 3, 13, false},   {bytes, 1, true},
        {bytes + 1, 700, true}, {bytes + 701, 2 * SECTOR - 701, true}, {&status, 1, true},
    };
    uint32_t written = 0;

    check(virtq_request(&queues[0], parts, COUNT(parts), &written) && status == S_OK,
          "read into odd pieces", "status %u", status);
    check(matches(buffer, 5, 2, 0), "data in odd pieces", "differs");
    check(written == 2 * SECTOR + 1, "length of odd pieces", "%u", written);
}

static void bad_requests(void)
{
    expect("read behind the end", transfer(&queues[0], T_IN, capacity, buffer, SECTOR), S_IOERR);
    expect("read across the end", transfer(&queues[0], T_IN, capacity - 1, buffer, 2 * SECTOR),
           S_IOERR);
    expect("read at a sector that wraps",
           transfer(&queues[0], T_IN, UINT64_MAX / SECTOR, buffer, SECTOR), S_IOERR);
    expect("read at the last number", transfer(&queues[0], T_IN, UINT64_MAX, buffer, SECTOR),
           S_IOERR);
    expect("read of half a sector", transfer(&queues[0], T_IN, 0, buffer, 256), S_IOERR);
    expect("unknown request", transfer(&queues[0], 99, 0, buffer, 0), S_UNSUPP);
}

static void identity(void)
{
    memset(buffer, 0, SECTOR);
    expect("get id", transfer(&queues[0], T_GET_ID, 0, buffer, 20), S_OK);
    check(*(char *)buffer != '\0', "id", "empty");
}

/* Written through one queue, read back through another. */
static void writing(void)
{
    struct virtqueue *other = &queues[queue_count - 1];

    fill(buffer, WRITE_AT, 16, 1);
    expect("write", transfer(&queues[0], T_OUT, WRITE_AT, buffer, 16 * SECTOR), S_OK);
    memset(buffer, 0, 16 * SECTOR);
    expect("read back", transfer(other, T_IN, WRITE_AT, buffer, 16 * SECTOR), S_OK);
    check(matches(buffer, WRITE_AT, 16, 1), "written data", "differs");
    expect("read beside it", transfer(other, T_IN, WRITE_AT + 16, buffer, SECTOR), S_OK);
    check(matches(buffer, WRITE_AT + 16, 1, 0), "data beside it", "differs");
    expect("write behind the end", transfer(&queues[0], T_OUT, capacity, buffer, SECTOR), S_IOERR);
    if (disk->accepted & F_FLUSH)
        expect("flush", transfer(&queues[0], T_FLUSH, 0, NULL, 0), S_OK);
}

/* As many descriptors as a request may have pieces. */
static void long_vector(void)
{
    struct header header = {.type = T_OUT, .sector = VECTOR_AT};
    struct part parts[130];
    uint8_t status = S_NONE;
    uint32_t written;

    fill(buffer, VECTOR_AT, 64, 1);
    parts[0] = (struct part){&header, sizeof(header), false};
    for (unsigned i = 0; i < 128; i++)
        parts[1 + i] = (struct part){(uint8_t *)buffer + 256 * i, 256, false};
    parts[129] = (struct part){&status, 1, true};
    check(virtq_request(&queues[0], parts, 130, &written) && status == S_OK, "write of many pieces",
          "status %u", status);
    memset(buffer, 0, 64 * SECTOR);
    expect("read them in one", transfer(&queues[0], T_IN, VECTOR_AT, buffer, 64 * SECTOR), S_OK);
    check(matches(buffer, VECTOR_AT, 64, 1), "many pieces", "differ");
}

static void zeroes_and_discard(void)
{
    struct segment segment = {.sector = ZEROES_AT, .count = 16};

    if (disk->accepted & F_WRITE_ZEROES) {
        expect("write zeroes", transfer(&queues[0], T_ZEROES, 0, &segment, sizeof(segment)), S_OK);
        transfer(&queues[0], T_IN, ZEROES_AT, buffer, 17 * SECTOR);
        check(all_zero(buffer, 16), "zeroes", "there is other data");
        check(matches(buffer + 16 * WORDS, ZEROES_AT + 16, 1, 0), "data behind zeroes", "differs");
        segment.sector = capacity;
        expect("zeroes behind the end",
               transfer(&queues[0], T_ZEROES, 0, &segment, sizeof(segment)), S_IOERR);
        segment.sector = ZEROES_AT;
        segment.flags = 0x80;
        expect("zeroes with an unknown flag",
               transfer(&queues[0], T_ZEROES, 0, &segment, sizeof(segment)), S_UNSUPP);
    }
    if (disk->accepted & F_DISCARD) {
        segment = (struct segment){.sector = DISCARD_AT, .count = 16};
        expect("discard", transfer(&queues[0], T_DISCARD, 0, &segment, sizeof(segment)), S_OK);
        segment.sector = UINT64_MAX - 3;
        expect("discard that wraps", transfer(&queues[0], T_DISCARD, 0, &segment, sizeof(segment)),
               S_IOERR);
    }
}

/* One in each queue at the same time, and many in one. */
static void in_parallel(void)
{
    static struct header headers[32];
    static uint8_t statuses[32];
    bool good = true;

    for (unsigned i = 0; i < 32; i++) {
        struct virtqueue *queue = &queues[i % queue_count];
        struct part parts[] = {{&headers[i], sizeof(headers[i]), false},
                               {buffer + i * WORDS, SECTOR, true},
                               {&statuses[i], 1, true}};

        headers[i] = (struct header){.type = T_IN, .sector = QUEUES_AT + i};
        statuses[i] = S_NONE;
        virtq_add(queue, parts, COUNT(parts));
    }
    for (unsigned i = 0; i < queue_count; i++)
        virtq_kick(&queues[i]);
    for (unsigned i = 0; i < 32; i++) {
        struct used_element element;

        good &= virtq_wait(&queues[i % queue_count], &element) && element.len == SECTOR + 1;
    }
    check(good, "all of 32 requests come back", "one does not");
    for (unsigned i = 0; i < 32; i++)
        good &= statuses[i] == S_OK;
    check(good && matches(buffer, QUEUES_AT, 32, 0), "data of 32 requests", "differs");
}

static void indirect(void)
{
    struct descriptor *table = allocate(3 * sizeof(*table), 16);
    struct header header = {.type = T_IN, .sector = 7};
    struct used_element element;
    uint8_t status = S_NONE;

    table[0] = (struct descriptor){(uint64_t)&header, sizeof(header), DESC_NEXT, 2};
    table[2] = (struct descriptor){(uint64_t)buffer, SECTOR, DESC_NEXT | DESC_WRITE, 1};
    table[1] = (struct descriptor){(uint64_t)&status, 1, DESC_WRITE, 0};
    queues[0].desc[0] = (struct descriptor){(uint64_t)table, 48, DESC_INDIRECT, 0};
    queues[0].next_desc = 1;
    virtq_offer(&queues[0], 0);
    virtq_kick(&queues[0]);
    check(virtq_wait(&queues[0], &element) && element.id == 0 && status == S_OK,
          "indirect descriptors", "status %u", status);
    check(matches(buffer, 7, 1, 0), "data of indirect descriptors", "differs");
}

/* In flight while the device is reset: neither buffers nor rings may be touched afterwards. */
static void reset_in_flight(void)
{
    static struct header header = {.type = T_IN, .sector = 0};
    static uint8_t status;
    uint16_t index;

    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 16; i++) {
            struct part parts[] = {
                {&header, sizeof(header), false}, {buffer, 16 * SECTOR, true}, {&status, 1, true}};

            virtq_add(&queues[0], parts, COUNT(parts));
        }
        virtq_kick(&queues[0]);
        virtio_reset(disk);
        memset(buffer, 0x5a, 16 * SECTOR);
        index = queues[0].used[1];
        sleep_ms(20);
        if (buffer[0] != 0x5a5a5a5a5a5a5a5aull || queues[0].used[1] != index) {
            check(false, "reset with requests in flight", "memory changed after it");
            return;
        }
        start(WANTED);
    }
    check(true, "reset with requests in flight", "");
}

static void read_only(void)
{
    check(disk->accepted & F_RO, "read-only is offered", "it is not");
    fill(buffer, WRITE_AT, 1, 1);
    expect("write to a read-only disk", transfer(&queues[0], T_OUT, WRITE_AT, buffer, SECTOR),
           S_IOERR);
    transfer(&queues[0], T_IN, WRITE_AT, buffer, SECTOR);
    check(matches(buffer, WRITE_AT, 1, 0), "data of a read-only disk", "changed");
}

void guest_main(void)
{
    interrupts_init();
    virtio_scan();
    disk = virtio_find(VIRTIO_BLK, 0);
    if (!disk)
        give_up("disk", "none");
    buffer = allocate(64 * SECTOR, 4096);
    queue_count = virtio_offered(disk) & F_MQ ? mmio_read16(disk->base + REG_CONFIG + 34) : 1;
    check(queue_count == option_number("queues", 1), "queues", "%u", queue_count);
    start(WANTED);
    capacity = mmio_read32(disk->base + REG_CONFIG) |
               (uint64_t)mmio_read32(disk->base + REG_CONFIG + 4) << 32;
    check(capacity == option_number("sectors", 0), "capacity", "%U sectors", capacity);
    reading();
    framing();
    bad_requests();
    identity();
    if (option("ro")) {
        read_only();
    } else {
        writing();
        long_vector();
        zeroes_and_discard();
    }
    in_parallel();
    start(WANTED | F_INDIRECT | F_EVENT_IDX);
    indirect();
    reading();
    in_parallel();
    start(WANTED);
    reset_in_flight();
    reading();
    check(virtio_interrupted(disk), "interrupts", "none");
}
