// SPDX-License-Identifier: Apache-2.0
/*
 * The host end of a character device: an input descriptor, an output descriptor, and a bounded ring
 * of output between them and the device. Serves the uart and virtio-console.
 *
 * Neither a slow or stopped reader of the output nor a flood on the input can block a vCPU, block
 * the I/O thread, or grow memory: output that does not fit is refused (the device tells its guest
 * to wait), input is read only as far as the device has room.
 *
 * The caller's descriptors may be shared with other processes (a shell's terminal), so their file
 * status flags are never changed: the backend reopens them non-blocking where it can.
 *
 * Threads: console_backend_write(), _output_room() and _input_wanted() from any thread; the rest on
 * the I/O thread or while the loop is not running; callbacks run on the I/O thread without any lock
 * held.
 */
#ifndef HUSK_DEVICES_BACKEND_CONSOLE_H
#define HUSK_DEVICES_BACKEND_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_loop;
struct console_backend;

struct console_frontend_ops {
    /* How many input bytes the device can take now; 0 stops reading the descriptor until
     * console_backend_input_wanted(). */
    size_t (*input_room)(void *device);
    void (*input)(void *device, const uint8_t *data, size_t len);
    /* Input ended (end of file or error); never called twice. */
    void (*input_closed)(void *device);
    /* The output ring was full and has room again. */
    void (*output_ready)(void *device);
};

#define CONSOLE_OUTPUT_RING_BYTES 65536u

/* in_fd or out_fd may be -1 (no input; output is swallowed). They stay the caller's and must
 * outlive the backend. Returns 0 or -errno. */
int console_backend_create(struct event_loop *loop, int in_fd, int out_fd,
                           struct console_backend **out);

/* Writes out what is pending, waiting for the reader at most drain_ms in all. NULL is fine.
 * Returns 0, or -errno when output was lost for another reason than that the reader went away: a
 * full disk, say. */
int console_backend_destroy(struct console_backend *backend, unsigned drain_ms);

/* Connect the device; input flows from now on. */
void console_backend_set_frontend(struct console_backend *backend,
                                  const struct console_frontend_ops *ops, void *device);

/* Queue output; returns how many bytes were taken (0..len). Never blocks. */
size_t console_backend_write(struct console_backend *backend, const uint8_t *data, size_t len);

/* Bytes of free ring. Whoever hears 0 is told through output_ready(). */
size_t console_backend_output_room(struct console_backend *backend);

/* Say that the device lost output before it came here. Any thread. */
void console_backend_count_dropped(struct console_backend *backend, size_t bytes);

/* Bytes since the creation. */
struct console_stats {
    uint64_t tx_bytes;      /* output that was taken */
    uint64_t rx_bytes;      /* input that the device was given */
    uint64_t dropped_bytes; /* output that nobody got: no reader, or lost by the device */
};
/* Any thread. */
void console_backend_read_stats(struct console_backend *backend, struct console_stats *out);

/* The device has room for input again. */
void console_backend_input_wanted(struct console_backend *backend);

#endif
