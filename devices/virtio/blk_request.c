// SPDX-License-Identifier: Apache-2.0
/*
 * One virtio-blk request (virtio 1.2, section 5.2.6): from a descriptor chain to a block request
 * that the backend may execute as it is, or to an answer.
 *
 * Pure functions of the chain and the disk; the device's lock is held. The chain's buffer list is
 * cut in place into header, data and status. Header and segments are copied out of guest memory
 * once, and only the copies are looked at. How the driver cut the request into descriptors means
 * nothing (2.7.4.1): a header in sixteen pieces, or status and data in one buffer, are all the
 * same.
 */
#include "devices/virtio/blk_internal.h"

#include <string.h>

#include "base/bytes.h"

/* One direction of the chain, as a list that shrinks from both ends. */
struct buffers {
    struct iovec *iov;
    unsigned count;
    uint64_t bytes;
};

/* Cut `len` bytes, at most what there is, off the front. */
static void cut_front(struct buffers *buffers, uint64_t len)
{
    buffers->bytes -= len;
    while (len) {
        uint64_t step = min_u64(len, buffers->iov->iov_len);

        buffers->iov->iov_base = (char *)buffers->iov->iov_base + step;
        buffers->iov->iov_len -= step;
        len -= step;
        if (buffers->iov->iov_len == 0) {
            buffers->iov++;
            buffers->count--;
        }
    }
}

/* Cut off the last byte, of which there is one, and return where it is. */
static uint8_t *cut_last_byte(struct buffers *buffers)
{
    struct iovec *last = &buffers->iov[buffers->count - 1];

    last->iov_len--;
    buffers->bytes--;
    if (last->iov_len == 0)
        buffers->count--;
    return (uint8_t *)last->iov_base + last->iov_len;
}

static enum blk_verdict answer(struct blk_request *request, uint8_t status)
{
    request->answer = status;
    return BLK_ANSWER;
}

static bool range_is_inside(const struct blk_disk *disk, uint64_t sector, uint64_t count)
{
    return sector <= disk->capacity_sectors && count <= disk->capacity_sectors - sector;
}

static enum blk_verdict parse_transfer(struct blk_request *request, const struct blk_disk *disk,
                                       enum block_op op, uint64_t sector,
                                       const struct buffers *data)
{
    /* "MUST set the status byte to VIRTIO_BLK_S_IOERR for a write request if VIRTIO_BLK_F_RO is
     * offered, and MUST NOT write any data" (5.2.6.2). */
    if (op == BLOCK_WRITE && disk->read_only)
        return answer(request, BLK_S_IOERR);
    if (!is_aligned(data->bytes, BLK_SECTOR_BYTES) || data->bytes > BLK_MAX_TRANSFER_BYTES ||
        !range_is_inside(disk, sector, data->bytes / BLK_SECTOR_BYTES))
        return answer(request, BLK_S_IOERR);
    if (data->bytes == 0)
        return answer(request, BLK_S_OK);

    request->io = (struct block_request){
        .op = op,
        .offset_bytes = sector * BLK_SECTOR_BYTES,
        .len_bytes = data->bytes,
        .iov = data->iov,
        .iov_count = data->count,
        .stable = disk->write_through,
    };
    if (op == BLOCK_READ)
        request->written += (uint32_t)data->bytes;
    return BLK_SUBMIT;
}

/* DISCARD and WRITE_ZEROES: one segment, as the configuration space announces. */
static enum blk_verdict parse_segment(struct blk_request *request, const struct blk_disk *disk,
                                      enum block_op op, const struct buffers *data)
{
    bool is_discard = op == BLOCK_DISCARD;
    uint8_t segment[BLK_SEGMENT_BYTES];
    uint32_t count, flags;
    uint64_t sector;

    if (is_discard ? !disk->discard : !disk->write_zeroes)
        return answer(request, BLK_S_UNSUPP);
    if (data->bytes != BLK_SEGMENT_BYTES)
        return answer(request, BLK_S_IOERR);
    iov_to_buf(data->iov, data->count, 0, segment, sizeof(segment));
    sector = get_le64(segment + BLK_SEGMENT_SECTOR);
    count = get_le32(segment + BLK_SEGMENT_COUNT);
    flags = get_le32(segment + BLK_SEGMENT_FLAGS);

    /* 5.2.6.2: UNSUPP for any unknown flag, and for unmap on a discard. */
    if (flags & ~(is_discard ? 0 : BLK_SEGMENT_F_UNMAP))
        return answer(request, BLK_S_UNSUPP);
    if (count > (is_discard ? BLK_MAX_DISCARD_SECTORS : BLK_MAX_ZERO_SECTORS) ||
        !range_is_inside(disk, sector, count))
        return answer(request, BLK_S_IOERR);
    if (count == 0)
        return answer(request, BLK_S_OK);

    request->io = (struct block_request){
        .op = op,
        .offset_bytes = sector * BLK_SECTOR_BYTES,
        .len_bytes = (uint64_t)count * BLK_SECTOR_BYTES,
        .may_unmap = flags & BLK_SEGMENT_F_UNMAP,
        .stable = disk->write_through,
    };
    return BLK_SUBMIT;
}

static enum blk_verdict get_id(struct blk_request *request, const struct blk_disk *disk,
                               const struct buffers *data)
{
    request->written +=
        (uint32_t)iov_from_buf(data->iov, data->count, 0, disk->id, sizeof(disk->id));
    return answer(request, BLK_S_OK);
}

enum blk_verdict blk_request_parse(struct blk_request *request, const struct blk_disk *disk)
{
    struct virtq_chain *chain = &request->chain;
    struct buffers readable = {chain->iov, chain->readable_count, chain->readable_bytes};
    struct buffers writable = {chain->iov + chain->readable_count, chain->writable_count,
                               chain->writable_bytes};
    uint8_t header[BLK_HEADER_BYTES];
    uint64_t sector;

    if (readable.bytes < BLK_HEADER_BYTES || writable.bytes < 1)
        return BLK_MALFORMED;
    iov_to_buf(readable.iov, readable.count, 0, header, sizeof(header));
    cut_front(&readable, BLK_HEADER_BYTES);
    request->type = get_le32(header + BLK_HEADER_TYPE);
    request->status = cut_last_byte(&writable);
    request->written = 1;
    request->answer = BLK_S_UNSUPP;
    sector = get_le64(header + BLK_HEADER_SECTOR);

    switch (request->type) {
    case BLK_T_IN:
        return parse_transfer(request, disk, BLOCK_READ, sector, &writable);
    case BLK_T_OUT:
        return parse_transfer(request, disk, BLOCK_WRITE, sector, &readable);
    case BLK_T_FLUSH:
        /* Nothing is ever volatile on a disk that cannot be written. */
        if (disk->read_only)
            return answer(request, BLK_S_OK);
        request->io = (struct block_request){.op = BLOCK_FLUSH};
        return BLK_SUBMIT;
    case BLK_T_GET_ID:
        return get_id(request, disk, &writable);
    case BLK_T_DISCARD:
        return parse_segment(request, disk, BLOCK_DISCARD, &readable);
    case BLK_T_WRITE_ZEROES:
        return parse_segment(request, disk, BLOCK_WRITE_ZEROES, &readable);
    default:
        return answer(request, BLK_S_UNSUPP);
    }
}
