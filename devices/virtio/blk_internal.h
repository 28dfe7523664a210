// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-blk between its own files: blk.c (device, queues, completions), blk_request.c (the wire
 * format of one request, and every check of it) and blk_live.c (what the host changes while the
 * guest runs). Virtio 1.2, section 5.2.
 */
#ifndef HUSK_DEVICES_VIRTIO_BLK_INTERNAL_H
#define HUSK_DEVICES_VIRTIO_BLK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/checked.h"
#include "base/counter.h"
#include "base/token_bucket.h"
#include "devices/backend/block.h"
#include "devices/virtio/devices.h"
#include "devices/virtio/queue.h"
#include "devices/virtio/virtio.h"

#define BLK_SECTOR_BYTES 512u
#define BLK_ID_BYTES     20u

/* What one request may ask for. A longer discard or zeroing is split by the driver, which reads
 * these limits from the configuration space. */
#define BLK_MAX_TRANSFER_BYTES    (1u << 30)
#define BLK_MAX_DISCARD_SECTORS   (1u << 21) /* 1 GiB */
#define BLK_MAX_ZERO_SECTORS      (1u << 15) /* 16 MiB: may have to be written out */
#define BLK_DISCARD_ALIGN_SECTORS 8u

/* Feature bits, 5.2.3. */
enum {
    BLK_F_SEG_MAX = 2,
    BLK_F_RO = 5,
    BLK_F_BLK_SIZE = 6,
    BLK_F_FLUSH = 9,
    BLK_F_MQ = 12,
    BLK_F_DISCARD = 13,
    BLK_F_WRITE_ZEROES = 14,
};

/* Configuration space, 5.2.4: offsets of what this device fills in. */
enum {
    BLK_CONFIG_CAPACITY = 0,
    BLK_CONFIG_SEG_MAX = 12,
    BLK_CONFIG_BLK_SIZE = 20,
    BLK_CONFIG_NUM_QUEUES = 34,
    BLK_CONFIG_MAX_DISCARD_SECTORS = 36,
    BLK_CONFIG_MAX_DISCARD_SEG = 40,
    BLK_CONFIG_DISCARD_ALIGNMENT = 44,
    BLK_CONFIG_MAX_ZERO_SECTORS = 48,
    BLK_CONFIG_MAX_ZERO_SEG = 52,
    BLK_CONFIG_ZERO_MAY_UNMAP = 56,
    BLK_CONFIG_BYTES = 60,
};

/* Request header, 5.2.6: type, reserved, sector. */
#define BLK_HEADER_BYTES 16u
enum { BLK_HEADER_TYPE = 0, BLK_HEADER_SECTOR = 8 };
enum {
    BLK_T_IN = 0,
    BLK_T_OUT = 1,
    BLK_T_FLUSH = 4,
    BLK_T_GET_ID = 8,
    BLK_T_DISCARD = 11,
    BLK_T_WRITE_ZEROES = 13,
};

/* One segment of a discard or zeroing, 5.2.6. */
#define BLK_SEGMENT_BYTES 16u
enum { BLK_SEGMENT_SECTOR = 0, BLK_SEGMENT_COUNT = 8, BLK_SEGMENT_FLAGS = 12 };
#define BLK_SEGMENT_F_UNMAP 1u

enum { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

/* What requests are checked against. */
struct blk_disk {
    uint64_t capacity_sectors;
    bool read_only;
    bool discard;       /* negotiated */
    bool write_zeroes;  /* negotiated */
    bool write_through; /* the driver did not negotiate FLUSH: writes complete stable (5.2.6.2) */
    char id[BLK_ID_BYTES];
};

struct event_source;
struct event_timer;
struct virtio_blk;

/* A request from its pop to its push. */
struct blk_request {
    struct block_request io;
    struct virtio_blk *blk;
    struct blk_request *next_unused;
    unsigned queue;
    uint32_t type;    /* BLK_T_*, or whatever the driver asked for */
    uint8_t *status;  /* guest memory: the last writable byte */
    uint8_t answer;   /* BLK_S_*, when it is known without the backend */
    uint32_t written; /* bytes written when it succeeds, the status included */
    struct virtq_chain chain;
};

enum blk_verdict {
    BLK_SUBMIT,    /* `io` is filled in, for the backend */
    BLK_ANSWER,    /* `answer` says it all */
    BLK_MALFORMED, /* there is no place to answer to */
};

/* Read and check the request in `chain`; everything but `blk` and `queue` is filled in. Guest
 * memory is written for GET_ID only. */
enum blk_verdict blk_request_parse(struct blk_request *request, const struct blk_disk *disk);

/* Written with the device's lock held. */
struct blk_counters {
    struct counter read_requests, write_requests, flush_requests, other_requests;
    struct counter read_bytes, write_bytes, failed_requests, throttled;
};

struct virtio_blk {
    struct virtio_device device;
    struct block_backend *backend;
    struct event_loop *loop;
    struct event_source *completions;
    struct event_timer *timer;
    struct blk_disk disk;
    uint8_t config[BLK_CONFIG_BYTES];

    struct token_bucket operations;
    struct token_bucket bandwidth;
    bool operation_paid; /* the next chain's operation token was taken, its bytes were not to be had
                          */

    uint32_t waiting;   /* queues with chains that nobody will kick for */
    uint32_t to_signal; /* queues with answers that their driver has not been told of */
    unsigned first;     /* the queue that is served first, in turns */
    uint64_t turn_bytes;
    bool forgetting;
    bool held;           /* the backend is being replaced: nothing is started */
    pthread_cond_t idle; /* held, and nothing is in flight any more */

    /* Slots are taken from `unused`, else fresh from the array, so that the memory of a depth that
     * the guest never reaches is never touched. */
    struct blk_request *slots;
    unsigned slot_count;
    unsigned fresh;
    struct blk_request *unused;

    struct log_limit error_limit;
    struct blk_counters counters;
};

static inline struct virtio_blk *to_blk(struct virtio_device *device)
{
    return container_of(device, struct virtio_blk, device);
}

/* blk.c, lock held, I/O thread: deliver what is finished, serve `queues` and those that waited, and
 * start all of it. */
void blk_serve(struct virtio_blk *blk, uint32_t queues);
/* blk.c: the backend's descriptor is ready (event_fn). */
void blk_completions_ready(void *arg, uint32_t events);

#endif
