// SPDX-License-Identifier: Apache-2.0
/*
 * One message with its descriptors over a SOCK_SEQPACKET socket (see protocol.h), and the fields
 * that both ends need.
 *
 * Descriptors that were received belong to the message until they are taken out of it;
 * message_release() closes the rest. Calls on one socket must not overlap.
 */
#ifndef HUSK_VMM_PROCESS_CHANNEL_H
#define HUSK_VMM_PROCESS_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"
#include "husk/husk.h"
#include "vmm/process/protocol.h"

struct message {
    uint8_t bytes[PROTOCOL_MESSAGE_MAX];
    size_t len;
    int fds[PROTOCOL_FDS_MAX];
    unsigned fd_count;
    unsigned fds_taken;
};

/* Start a message to send: its kind is the first field. No descriptor in it is owned. */
void message_begin(struct message *message, struct wire_writer *writer, enum protocol_kind kind);

/* Add a descriptor, or say that there is none (fd < 0). Makes the writer bad when there are too
 * many. */
void message_put_fd(struct message *message, struct wire_writer *writer, int fd);

/* Finish and send. Waits at most timeout_ms for room (-1: for ever, 0: not at all). 0, -E2BIG when
 * a field did not fit, -EAGAIN, -EPIPE when the peer is gone, or -errno. No signal is raised. */
int message_send(int fd, struct message *message, const struct wire_writer *writer, int timeout_ms);

/* Receive into *message, whose fields come through *reader after its kind. Returns the kind (1 to
 * 255), 0 when the peer is gone, -ETIMEDOUT, -EPROTO (empty, cut, or too many descriptors), or
 * -errno; nothing is left to release then. */
int message_receive(int fd, struct message *message, struct wire_reader *reader, int timeout_ms);

/* The same from whom one cannot trust: descriptors in it are -EPROTO, and never become this
 * process's, for even closing one can hang (a file on a server that does not answer). */
int message_receive_plain(int fd, struct message *message, struct wire_reader *reader,
                          int timeout_ms);

/* The next descriptor, which becomes the caller's; -1 when none was put. Makes the reader bad when
 * one was put but did not come. */
int message_take_fd(struct message *message, struct wire_reader *reader);

/* Closes received descriptors that were not taken. */
void message_release(struct message *message);

/* A string for people, from whom one cannot trust: cut to size, NULL as "", and with '?' for
 * control characters, which must not teach a terminal new tricks. */
void wire_get_text(struct wire_reader *reader, char *out, size_t size);

/* Texts as wire_get_text() gives them. */
void wire_put_error(struct wire_writer *writer, const struct husk_error *error);
void wire_get_error(struct wire_reader *reader, struct husk_error *error);

void wire_put_rate(struct wire_writer *writer, const struct husk_rate *rate);
void wire_get_rate(struct wire_reader *reader, struct husk_rate *rate);

#endif
