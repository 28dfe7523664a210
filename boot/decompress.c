// SPDX-License-Identifier: Apache-2.0
/*
 * gzip (RFC 1952, through zlib) and zstd (RFC 8878, through libzstd) into a bounded buffer.
 *
 * The buffer is an anonymous mapping of the limit plus one byte: pages that the stream does not
 * reach are never touched, and a stream that reaches the last byte is too large. The input is
 * read in pieces, so that a hostile file costs one piece and the limit at most. A stream must end
 * where the format says, with its checksum right.
 */
#include "boot/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "base/checked.h"
#include "base/error.h"

#define PIECE_BYTES (256u * 1024)

/* The input, piece by piece. */
struct reader {
    const struct boot_image *image;
    uint64_t offset;
    uint8_t *piece;
};

/* Fetch the next piece: its size, 0 at the end, or -errno. */
static ssize_t next_piece(struct reader *reader)
{
    size_t len = min_u64(PIECE_BYTES, reader->image->size - reader->offset);
    int r = boot_image_read(reader->image, reader->offset, reader->piece, len);

    if (r < 0)
        return r;
    reader->offset += len;
    return (ssize_t)len;
}

/*
 * Both decoders fill out[0..size) and set *produced. They return 0 at the end of a whole stream,
 * -ENODATA when the input ends before that, -EFBIG when the buffer is full, -EBADMSG when the
 * stream is corrupt, or what reading returned.
 */
static int gunzip(struct reader *reader, uint8_t *out, size_t size, uint64_t *produced)
{
    z_stream stream = {.next_out = out, .avail_out = (uInt)size};
    int r = 0;

    /* 16: expect a gzip header and check the trailer's CRC-32 and length. */
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
        return -ENOMEM;
    while (r == 0) {
        int z;

        if (stream.avail_in == 0) {
            ssize_t len = next_piece(reader);

            if (len <= 0) {
                r = len < 0 ? (int)len : -ENODATA;
                break;
            }
            stream.next_in = reader->piece;
            stream.avail_in = (uInt)len;
        }
        z = inflate(&stream, Z_NO_FLUSH);
        if (z == Z_STREAM_END)
            break;
        if (z == Z_MEM_ERROR)
            r = -ENOMEM;
        else if (z != Z_OK && z != Z_BUF_ERROR)
            r = -EBADMSG;
        else if (stream.avail_out == 0)
            r = -EFBIG;
    }
    *produced = stream.total_out;
    inflateEnd(&stream);
    return r;
}

static int unzstd(struct reader *reader, uint8_t *out, size_t size, uint64_t *produced)
{
    /* The default limit on a frame's window (128 MiB) bounds what the context allocates. */
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_outBuffer output = {.dst = out, .size = size};
    size_t expected = 1; /* 0 between frames */
    int r = 0;

    if (!context)
        return -ENOMEM;
    while (r == 0) {
        ssize_t len = next_piece(reader);
        ZSTD_inBuffer input = {.src = reader->piece, .size = len > 0 ? (size_t)len : 0};

        if (len <= 0) {
            r = len < 0 ? (int)len : expected ? -ENODATA : 0;
            break;
        }
        while (r == 0 && input.pos < input.size) {
            expected = ZSTD_decompressStream(context, &output, &input);
            if (ZSTD_isError(expected))
                r = -EBADMSG;
            else if (output.pos == output.size)
                r = -EFBIG;
        }
    }
    *produced = output.pos;
    ZSTD_freeDCtx(context);
    return r;
}

static int decompress_error(struct husk_error *err, int r, const struct boot_image *in,
                            const char *format, uint64_t limit)
{
    switch (r) {
    case -ENODATA:
        return error_set(err, ENOEXEC, in->name, BOOT_CANNOT_LOAD_KERNEL,
                         "its %s data is truncated", format);
    case -EBADMSG:
        return error_set(err, ENOEXEC, in->name, BOOT_CANNOT_LOAD_KERNEL, "its %s data is corrupt",
                         format);
    case -EFBIG:
        return error_set(err, ENOMEM, in->name, BOOT_CANNOT_LOAD_KERNEL,
                         "its %s data unpacks to more than %llu MiB, all the memory that the "
                         "guest may use for it; debug information may be the reason",
                         format, (unsigned long long)(limit / MIB));
    default:
        return error_set(err, -r, in->name, BOOT_CANNOT_LOAD_KERNEL, NULL);
    }
}

int boot_decompress(const struct boot_image *in, enum boot_compression compression, uint64_t limit,
                    struct boot_image *out, struct husk_error *err)
{
    const char *format = compression == BOOT_COMPRESSION_GZIP ? "gzip" : "zstd";
    struct reader reader = {.image = in};
    uint64_t produced = 0;
    uint8_t *buffer;
    int r;

    reader.piece = malloc(PIECE_BYTES);
    if (!reader.piece)
        return decompress_error(err, -ENOMEM, in, format, limit);
    buffer = mmap(NULL, limit + 1, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffer == MAP_FAILED) {
        r = -errno;
        free(reader.piece);
        return decompress_error(err, r, in, format, limit);
    }
    if (compression == BOOT_COMPRESSION_GZIP)
        r = gunzip(&reader, buffer, limit + 1, &produced);
    else
        r = unzstd(&reader, buffer, limit + 1, &produced);
    free(reader.piece);
    if (r == 0 && produced > limit)
        r = -EFBIG;

    *out = (struct boot_image){
        .name = in->name, .fd = -1, .size = produced, .bytes = buffer, .mapped_bytes = limit + 1};
    if (r < 0) {
        boot_image_close(out);
        return decompress_error(err, r, in, format, limit);
    }
    return 0;
}
