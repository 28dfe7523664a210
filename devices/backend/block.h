// SPDX-License-Identifier: Apache-2.0
/*
 * A disk on the host: a raw file or block device behind one of two asynchronous engines, io_uring
 * or a small pool of threads. It sees host iovecs only, never guest addresses.
 *
 * Threads: a backend belongs to its device's lock. All functions are called with that lock held;
 * completions are delivered only from inside block_backend_reap() and block_backend_drain(), hence
 * under the lock as well, on whichever thread called. The engine signals `event_fd` when there is
 * something to reap; the device watches it on the I/O loop.
 */
#ifndef HUSK_DEVICES_BACKEND_BLOCK_H
#define HUSK_DEVICES_BACKEND_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/thread.h"
#include "husk/error.h"

struct block_backend;

enum block_engine {
    BLOCK_ENGINE_AUTO, /* io_uring where the host permits it, else threads */
    BLOCK_ENGINE_URING,
    BLOCK_ENGINE_THREADS,
};

enum block_op {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,        /* everything completed before is on stable storage */
    BLOCK_DISCARD,      /* the range's content becomes unspecified; space is freed if possible */
    BLOCK_WRITE_ZEROES, /* the range reads as zeroes; space may be kept */
};

struct block_request {
    enum block_op op;
    uint64_t offset_bytes;   /* multiple of 512, range inside the disk (the device checked) */
    uint64_t len_bytes;      /* of the iovecs, or of the range */
    const struct iovec *iov; /* READ, WRITE; must stay valid until completion */
    unsigned iov_count;
    bool may_unmap; /* WRITE_ZEROES: space may be freed */
    bool stable;    /* WRITE, WRITE_ZEROES: on stable storage when completed, as if flushed */
    /* result: 0 or -errno. A short transfer is finished by the engine, never reported; -EIO when
     * the file ends before the range does. May submit and kick. */
    void (*done)(struct block_request *request, int result);
};

struct block_open_options {
    const char *path; /* for messages; opened when fd is -1 */
    int fd;           /* an already open descriptor (becomes the backend's on success), or -1 */
    bool read_only;
};

/*
 * Open and lock a disk image: regular file (at least one sector of 512; a partial last sector is
 * unreachable and logged by the caller) or block device. The whole file gets an OFD lock, exclusive
 * or (read-only) shared, so that two VMs never write one disk. Returns a descriptor, or -errno with
 * err naming the path and what is wrong (missing, permission, a directory, empty, in use, …).
 */
int block_image_open(const struct block_open_options *options, uint64_t *size_bytes,
                     struct husk_error *err);

/* The size of the image behind fd, which need not be locked: 0 or -errno with err filled. */
int block_image_measure(int fd, const char *path, uint64_t *size_bytes, struct husk_error *err);

/*
 * At most `depth` (1..4096) requests will be in flight. fd becomes the backend's on success.
 * Returns 0 or -errno: ENOSYS, EPERM, ENOMEM, EOPNOTSUPP when io_uring was demanded and is not to
 * be had.
 */
int block_backend_create(int fd, enum block_engine engine, unsigned depth,
                         struct block_backend **out, struct husk_error *err);

/* One file of a joined disk. */
struct block_part {
    int fd;
    uint64_t size_bytes; /* how much of it; at least 1 */
};

#define BLOCK_PARTS_MAX 128u

/* The same for a disk that is made of these files, each behind the one before, to be read only. The
 * descriptors become the backend's on success. */
int block_backend_create_joined(const struct block_part *parts, unsigned count,
                                enum block_engine engine, unsigned depth,
                                struct block_backend **out, struct husk_error *err);

/*
 * Start every thread that the engine may come to use, each through the prologue, on the calling
 * thread; without this call they start when they are first needed, on whichever thread that is. For
 * who confines threads: those of the device can then do without the right to make any. Before the
 * first request. Returns 0 or -errno.
 */
int block_backend_start_threads(struct block_backend *backend,
                                const struct thread_prologue *prologue);

/* Drains, then closes. NULL is fine. */
void block_backend_destroy(struct block_backend *backend);

const char *block_backend_engine_name(const struct block_backend *backend);

/* Whether BLOCK_DISCARD can work: the file system can punch holes, the device can discard. */
bool block_backend_can_discard(const struct block_backend *backend);

/* Whether fd is open on the same file, or device, as the backend, and that is all of the disk. */
bool block_backend_is_file(const struct block_backend *backend, int fd);

/* Readable when there are completions to reap. */
int block_backend_event_fd(const struct block_backend *backend);

/* Queue a request. Returns 0, or -EBUSY when `depth` are in flight. Nothing starts until kick. */
int block_backend_submit(struct block_backend *backend, struct block_request *request);

/* Start what was queued. */
void block_backend_kick(struct block_backend *backend);

/* Deliver finished requests. May be called when there are none. */
void block_backend_reap(struct block_backend *backend);

/* Wait until nothing is in flight, delivering everything. */
void block_backend_drain(struct block_backend *backend);

unsigned block_backend_in_flight(const struct block_backend *backend);

/* How many requests may be in flight. */
unsigned block_backend_depth(const struct block_backend *backend);

#endif
