// SPDX-License-Identifier: Apache-2.0
/*
 * File descriptors: whole reads and writes, clean closing, eventfds. Everything opened here is
 * CLOEXEC. Functions return 0 (or a count where said) or -errno and retry EINTR.
 */
#ifndef HUSK_BASE_IO_H
#define HUSK_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Closes *fd if it is >= 0 and sets it to -1. Preserves errno. */
void close_fd(int *fd);

/*
 * A descriptor of our own for what fd has open, for reading (O_RDONLY) or writing (O_WRONLY). Where
 * it can be, that is a non-blocking open file description of its own (through /proc/self/fd), so
 * that the flag is not seen by others who share fd, a shell say; the caller finds O_NONBLOCK set.
 * Else it is a plain duplicate: of regular files, whose offset and append mode are wanted; sockets;
 * masters of pseudo-terminals; what another user owns; and where there is no /proc. -errno when fd
 * is none.
 */
int dup_nonblocking(int fd, int access);

/* Opens once more, with these flags of open(2), the file that `fd` (which may be O_PATH) has open:
 * an open file description of its own, whatever paths lead to by now. The descriptor or -errno. */
int open_again(int fd, int flags);

/* Exactly `len` bytes at `offset`: -ENODATA when the file ends before. */
int pread_full(int fd, void *buf, size_t len, uint64_t offset);

/* The whole of a regular file of at most max bytes: -EFBIG beyond, -EINVAL for another kind; a link
 * as the last part of the name is not followed. *bytes is the caller's to free, NULL on failure,
 * and ends with a NUL that does not count. `dir` may be AT_FDCWD. */
int read_file_at(int dir, const char *name, size_t max, char **bytes, size_t *len);

/* All of `len` bytes to a blocking descriptor. */
int write_full(int fd, const void *buf, size_t len);

/* A non-blocking CLOEXEC eventfd, or -errno. */
int eventfd_open(void);

/* Adds 1. Never blocks: a saturated counter is as good as signalled. */
void eventfd_signal(int fd);

/* Resets to 0 and returns the former count (0 when it was not signalled). */
uint64_t eventfd_drain(int fd);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t monotonic_ns(void);

#endif
