// SPDX-License-Identifier: Apache-2.0
/* Bare-metal guests of a few instructions: see tiny_guest.h. */
#include "tests/harness/tiny_guest.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/image_builder.h"

#define NOTE_OFFSET              0x200u
#define CODE_OFFSET              0x1000u
#define XEN_ELFNOTE_PHYS32_ENTRY 18u

int tiny_guest_fd(const uint8_t *code, size_t len)
{
    struct image_builder image = {0};
    size_t note_end = NOTE_OFFSET;
    uint32_t entry = TINY_GUEST_ADDRESS;
    int fd;

    image_put_note(&image, &note_end, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry, sizeof(entry), 4);
    image_put(&image, CODE_OFFSET, code, len);

    const struct image_segment segments[] = {
        {.type = PT_LOAD,
         .offset = CODE_OFFSET,
         .virtual_address = TINY_GUEST_ADDRESS,
         .physical_address = TINY_GUEST_ADDRESS,
         .file_bytes = len,
         .memory_bytes = 0x10000,
         .align = 0x1000},
        {.type = PT_NOTE,
         .offset = NOTE_OFFSET,
         .file_bytes = note_end - NOTE_OFFSET,
         .memory_bytes = note_end - NOTE_OFFSET,
         .align = 4},
    };

    image_put_elf(&image, TINY_GUEST_ADDRESS, segments, 2);
    fd = image_memfd(&image);
    image_free(&image);
    return fd;
}

bool tiny_guest_can_run(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        fprintf(stderr, "skipped: cannot open /dev/kvm: %s\n", strerror(errno));
        return false;
    }
    close(fd);
    return true;
}
