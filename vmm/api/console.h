// SPDX-License-Identifier: Apache-2.0
/*
 * Between a VM's serial port and where its output goes.
 *
 * The VM's own console waits for a slow reader, and its guest with it (docs/adr/0006). Behind an
 * API nobody may be reading at all: many supervisors leave standard output as a pipe that they
 * never look at. So output to pipes, terminals and sockets passes through a pipe of our own, and
 * the API's thread moves it on. A reader that takes nothing for a second counts as gone, and bytes
 * are dropped until it reads again. Output to regular files, and to nothing, needs none of this.
 *
 * A rate limit (PUT /serial) drops what is above it.
 *
 * One thread: the API's.
 */
#ifndef HUSK_VMM_API_CONSOLE_H
#define HUSK_VMM_API_CONSOLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/token_bucket.h"
#include "husk/husk.h"

#define CONSOLE_CHUNK_BYTES 4096u

struct api_console {
    int out_fd; /* -1, or owned: where bytes go */
    bool is_socket;
    int pipe_read; /* -1: the VM writes to out_fd by itself */
    int pipe_write;
    bool reader_gone;
    uint64_t waiting_since_ns; /* when there is something pending */
    size_t pending_from, pending_to;
    struct token_bucket limit;
    uint64_t dropped_bytes;
    uint8_t pending[CONSOLE_CHUNK_BYTES];
};

void console_init(struct api_console *console);

/* Take over `fd` (owned from now on, even after a failure) as the destination: 0 or -errno.
 * rate.per_second 0: no limit. */
int console_open(struct api_console *console, int fd, struct husk_rate rate);

/* What to give to the VM: -1 before _open. */
int console_vm_fd(const struct api_console *console);

/* For the caller's poll loop: fd -1 when there is nothing to wait for. */
void console_poll(const struct api_console *console, struct pollfd *out);
int console_timeout_ms(const struct api_console *console);
void console_run(struct api_console *console);

/* The VM is gone: pass on the rest, waiting for a reader at most two seconds, and close. */
void console_close(struct api_console *console);

#endif
