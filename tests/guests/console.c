// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-console (virtio 1.2, section 5.3): greets, then echoes lines until "quit". COM1 is not
 * there; the exit status says whether checks failed.
 */
#include "lib/virtio.h"

#define PIECE 256u

static struct virtqueue receive, transmit;
static uint8_t *pieces[4];

static void put(const char *text, uint32_t len)
{
    uint32_t written;

    if (!virtq_request(&transmit, &(struct part){text, len, false}, 1, &written))
        end_guest(3);
}

static void offer(unsigned i)
{
    virtq_add(&receive, &(struct part){pieces[i], PIECE, true}, 1);
}

/* Returns whether "quit" was read. */
static bool echo(void)
{
    static char line[PIECE];
    static uint32_t len;
    struct used_element element;
    unsigned piece;

    if (!virtq_wait(&receive, &element))
        end_guest(4);
    piece = element.id % COUNT(pieces);
    for (uint32_t i = 0; i < element.len; i++) {
        char c = (char)pieces[piece][i];

        if (len < sizeof(line))
            line[len++] = c;
        if (c != '\n')
            continue;
        put("echo: ", 6);
        put(line, len);
        if (len == 5 && memcmp(line, "quit\n", 5) == 0)
            return true;
        len = 0;
    }
    offer(piece);
    virtq_kick(&receive);
    return false;
}

void guest_main(void)
{
    struct virtio *console;

    interrupts_init();
    virtio_scan();
    console = virtio_find(VIRTIO_CONSOLE, 0);
    if (!console)
        end_guest(5);
    if (!virtio_negotiate(console, 1) || !virtq_init(&receive, console, 0, COUNT(pieces)) ||
        !virtq_init(&transmit, console, 1, 0) || !virtio_start(console))
        end_guest(6);
    for (unsigned i = 0; i < COUNT(pieces); i++) {
        pieces[i] = allocate(PIECE, 16);
        offer(i);
    }
    virtq_kick(&receive);
    put("type: lines\n", 12);
    while (!echo())
        ;
    if (!virtio_interrupted(console))
        end_guest(7);
}
