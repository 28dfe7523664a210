// SPDX-License-Identifier: Apache-2.0
/*
 * A standard stream of a process: bytes between a pipe or terminal of the process and a connection
 * of the host, if there is one. At most one buffer waits in each direction; without a connection
 * nothing is read, so that the process waits when its pipe is full.
 */
#ifndef HUSK_GUEST_AGENT_STREAM_H
#define HUSK_GUEST_AGENT_STREAM_H

#include "guest/agent/container.h"

/* Takes fd when it succeeds: the agent's end, which becomes non-blocking. */
int stream_create(struct event_loop *loop, int fd, enum stream_name name, struct stream **out);

/* Ends the connection. NULL is fine. */
void stream_destroy(struct stream *stream);

/* Takes the connection's descriptor when it succeeds; -EBUSY when there is one. */
int stream_attach(struct stream *stream, int connection);

bool stream_is_attached(const struct stream *stream);

/* A terminal ends with its process, once it is read empty; pipes end by themselves. NULL is fine.
 */
void stream_process_ended(struct stream *stream);

int stream_resize(struct stream *stream, uint16_t columns, uint16_t rows);

/* By the name of husk/agent.h; false when there is none. */
bool stream_find_name(const char *text, enum stream_name *out);

#endif
