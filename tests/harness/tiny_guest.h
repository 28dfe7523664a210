// SPDX-License-Identifier: Apache-2.0
/*
 * Bare-metal guests of a few instructions: machine code wrapped into an ELF file with a PVH note,
 * so that a test says in one line what its guest does. They run at 1 MiB in 32-bit protected mode
 * with paging and interrupts off (see boot/boot.h, BOOT_PVH).
 */
#ifndef HUSK_TESTS_HARNESS_TINY_GUEST_H
#define HUSK_TESTS_HARNESS_TINY_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TINY_GUEST_ADDRESS 0x100000u

/* A CLOEXEC memfd with the image; the caller closes it. */
int tiny_guest_fd(const uint8_t *code, size_t len);

/* Whether /dev/kvm can be opened; says on standard error why not. */
bool tiny_guest_can_run(void);

/* Code fragments, to be strung together: out %al, port and the like. */
#define GUEST_OUT(port, value)    0xb0, (value), 0xe6, (port) /* ports below 256 */
#define GUEST_OUT_DX(port, value) 0x66, 0xba, (port)&0xff, (port) >> 8, 0xb0, (value), 0xee
#define GUEST_HALT                0xf4, 0xeb, 0xfd /* for ever */
#define GUEST_SPIN                0xeb, 0xfe
#define GUEST_UD2                 0x0f, 0x0b /* without an IDT: a triple fault */

#endif
