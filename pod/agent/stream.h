// SPDX-License-Identifier: Apache-2.0
/*
 * Connections to the agent up to the end of the hello: for the streams of processes, from which on
 * all bytes are the stream's, and for the control connection (client.h uses it for that).
 *
 * An attempt that finds nobody is made again until its time is over: the guest may still be
 * starting. Everything happens on the loop's thread; no callback comes from within a call here.
 */
#ifndef HUSK_POD_AGENT_STREAM_H
#define HUSK_POD_AGENT_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "husk/error.h"
#include "pod/agent/connector.h"

#define AGENT_VERSION_SIZE 64

/* What the agent said of itself. */
struct agent_hello {
    unsigned minor;                   /* the lower of both sides: what may be used */
    char version[AGENT_VERSION_SIZE]; /* of the agent's program; printable */
    bool booted;                      /* PID 1 of a machine */
};

struct agent_dial;

/*
 * Called once, unless the dial is cancelled first: with a connected, non-blocking descriptor, which
 * is the callee's, and the hello; or with -1 and the error:
 *   ETIMEDOUT        nobody answered in time; the error says what the last attempt met
 *   EPROTO           what answered does not keep to the protocol
 *   EPROTONOSUPPORT  the majors differ
 *   others           what the agent answered (answer.h), or the connector
 * The dial has ended then, and may not be cancelled any more.
 */
typedef void (*agent_dial_fn)(void *arg, int fd, const struct agent_hello *hello,
                              const struct husk_error *error);

/*
 * Begin; `hello` is the object to say without its "husk", and is stolen; timeout_ms is at least 1.
 * The connector is copied, its arg must live on. 0 or -errno.
 */
int agent_dial_start(struct event_loop *loop, const struct agent_connector *connector,
                     json_t *hello, uint32_t timeout_ms, agent_dial_fn fn, void *arg,
                     struct agent_dial **out);

/* Give up without a callback. NULL is fine. */
void agent_dial_cancel(struct agent_dial *dial);

/*
 * Dial for a stream of a process: "stdin", "stdout", "stderr" or "terminal". The agent refuses with
 * ENOENT (no such container, process, stream) or EBUSY (it has a connection already).
 *
 * What the callback gets is the raw stream. Its end comes from the agent when everything has
 * arrived; "stdin" is ended by shutdown(fd, SHUT_WR), and not by close(), after which the agent may
 * lose what was on its way. Use MSG_NOSIGNAL to write.
 */
int agent_stream_open(struct event_loop *loop, const struct agent_connector *connector,
                      const char *container, const char *process, const char *stream,
                      uint32_t timeout_ms, agent_dial_fn fn, void *arg, struct agent_dial **out);

/*
 * Dial for a connection into the pod: the agent connects to `address` (IPv4 or IPv6 in numbers) and
 * `port` (1 to 65535) by TCP, in the network namespace of the machine, and what the callback gets
 * is that connection: each direction ends by itself (shutdown(2)). The agent refuses with EIO, and
 * what its kernel said ("Connection refused"), when it cannot connect or is not answered within
 * HUSK_AGENT_DIAL_TIMEOUT_MS, which timeout_ms should exceed; ENOSPC: there are too many; EINVAL:
 * no such address, or an agent of minor 1 or 0.
 */
int agent_port_open(struct event_loop *loop, const struct agent_connector *connector,
                    const char *address, uint16_t port, uint32_t timeout_ms, agent_dial_fn fn,
                    void *arg, struct agent_dial **out);

#endif
