// SPDX-License-Identifier: Apache-2.0
/*
 * Frames (husk/agent.h, "Frames"): a length of 32 bits, little-endian, and that many bytes of JSON.
 * They pass between host and agent, and between a supervisor and its clients, who may hand over
 * descriptors with the first byte of a frame (SCM_RIGHTS).
 *
 * Nothing here blocks, whatever the socket's mode, and every byte of the peer is hostile: lengths
 * are checked before anything is allocated, space grows with what arrives and not with what is
 * announced, and exactly one frame's bytes are taken off the socket at a time.
 */
#ifndef HUSK_POD_AGENT_FRAME_H
#define HUSK_POD_AGENT_FRAME_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

#define FRAME_HEADER_SIZE 4
#define FRAME_FDS_MAX     4u

struct frame_reader {
    size_t limit;     /* bytes of a frame, at most; set by the owner */
    unsigned fds_max; /* descriptors that a frame may bring, 0 to FRAME_FDS_MAX; set by the owner */
    uint8_t header[FRAME_HEADER_SIZE];
    size_t header_len;
    char *body;
    size_t body_len, body_size, body_space;
    int fds[FRAME_FDS_MAX]; /* of the frame that is coming in, or came in last */
    unsigned fd_count;
};

/* A zeroed one is fine too. Closes descriptors that nobody took. */
void frame_reader_clear(struct frame_reader *reader);

/*
 * Take what `socket` has, up to the end of one frame.
 *   1           *out is its object, the caller's; call again, there may be more
 *   0           there is no whole frame yet: wait for the socket
 *   -ENODATA    the peer has ended the connection between two frames
 *   -ECONNRESET it has ended within one; or another error of the socket
 *   -EPROTO     a length that is out of range, no JSON object, too deep, unwanted descriptors
 *   -ENOMEM
 * Whatever is negative is the connection's end, with err filled (`where` names the peer).
 */
int frame_read(struct frame_reader *reader, int socket, const char *where, json_t **out,
               struct husk_error *err);

/* The descriptors that came with the last frame, which are the caller's from now on: how many. The
 * next frame_read() closes them otherwise. */
unsigned frame_take_fds(struct frame_reader *reader, int fds[FRAME_FDS_MAX]);

/* Frames that wait to be sent. */
struct frame_writer {
    size_t limit; /* bytes that may wait, their lengths included; set by the owner */
    char *bytes;
    size_t start, len, space;
    struct frame_fds *passed; /* descriptors that go with some of them */
};

/* A zeroed one is fine too. Closes descriptors that were not sent. */
void frame_writer_clear(struct frame_writer *writer);

/*
 * Queue a message of at most frame_max bytes. -EMSGSIZE: it is longer; -ENOBUFS: too much waits
 * already; -EINVAL: no JSON; -ENOMEM. Nothing has changed then.
 */
int frame_queue(struct frame_writer *writer, const json_t *message, size_t frame_max);

/* The same with descriptors, at most FRAME_FDS_MAX, which it takes when it succeeds. */
int frame_queue_fds(struct frame_writer *writer, const json_t *message, size_t frame_max,
                    const int *fds, unsigned fd_count);

/* How many bytes wait. */
size_t frame_waiting(const struct frame_writer *writer);

/* Send what the socket takes now. 0, also when bytes are left; or -errno: the connection's end. */
int frame_flush(struct frame_writer *writer, int socket);

#endif
