// SPDX-License-Identifier: Apache-2.0
/*
 * The small init of the demo and of the end-to-end tests: PID 1 of a guest whose only program it
 * is.
 *
 * It runs the commands of `husk.run=` on the kernel command line, a comma-separated list of
 * NAME[:ARGUMENT]..., and powers off. Each result is one line, "husk-init: NAME: VALUE", each
 * failure "husk-init: NAME: FAIL reason"; after a failure the VM ends through the debug-exit port
 * with status 1 instead of a power-off.
 */
#ifndef HUSK_GUEST_INIT_H
#define HUSK_GUEST_INIT_H

#include <stddef.h>
#include <stdint.h>

#define MAX_ARGUMENTS 6

struct init_command {
    const char *name;
    unsigned arguments; /* how many it takes */
    /* argv[0] is the name. Returns 0, or -1 after having reported a failure. */
    int (*run)(char **argv);
};

/* Each table ends with a NULL name. */
extern const struct init_command init_disk_commands[];
extern const struct init_command init_net_commands[];
extern const struct init_command init_machine_commands[];
extern const struct init_command init_pci_commands[];
extern const struct init_command init_vsock_commands[];
extern const struct init_command init_measure_commands[];

void report(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Returns -1. errno is appended when error_number is not 0. */
int report_failure(const char *name, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A number of a command's argument, with a suffix K, M or G. 0 when malformed. */
uint64_t argument_number(const char *text);

/* The test pattern: byte `offset` of the stream that belongs to `seed`. Host-side tests compute the
 * same: a 64-bit xorshift* per 8-byte word, keyed by seed and word index. */
void pattern_fill(uint8_t *buf, size_t len, uint64_t seed, uint64_t offset);

/* init_stream.c: over a connected stream socket, which is closed. Send the pattern and wait for the
 * other side's end; receive until then. They report bytes and checksum under `name`. */
int stream_send(const char *name, int fd, uint64_t seed, uint64_t bytes);
int stream_receive(const char *name, int fd);

/* One byte out of a port. */
void port_write(uint16_t port, uint8_t value);

#define PORT_DEBUG_EXIT 0xf4
#define PORT_MARK       0xf5
#define MARK_INIT       1

#endif
