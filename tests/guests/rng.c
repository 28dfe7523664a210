// SPDX-License-Identifier: Apache-2.0
/* The entropy device (virtio 1.2, section 5.4). */
#include "lib/virtio.h"

#define BYTES 64u

void guest_main(void)
{
    struct virtqueue queue = {0};
    struct virtio *rng;
    uint8_t *a, *b;
    uint32_t written = 0;
    bool zero = true;

    interrupts_init();
    virtio_scan();
    rng = virtio_find(VIRTIO_RNG, 0);
    if (!rng)
        give_up("rng", "none");
    a = allocate(65536, 16);
    b = allocate(BYTES, 16);
    if (!virtio_negotiate(rng, 0) || !virtq_init(&queue, rng, 0, 0) || !virtio_start(rng))
        give_up("start", "status 0x%x", virtio_read(rng, REG_STATUS));
    check(virtq_request(&queue, &(struct part){a, BYTES, true}, 1, &written) && written == BYTES,
          "read", "%u bytes", written);
    check(virtq_request(&queue, &(struct part){b, BYTES, true}, 1, &written) && written == BYTES,
          "read again", "%u bytes", written);
    check(memcmp(a, b, BYTES) != 0, "two reads differ", "they are the same");
    for (unsigned i = 0; i < BYTES; i++)
        zero &= a[i] == 0;
    check(!zero, "not zero", "all zero");
    /* Byte behind the buffer stays. */
    memset(b, 0x77, BYTES);
    check(virtq_request(&queue, &(struct part){b, 5, true}, 1, &written) && written == 5,
          "read five bytes", "%u bytes", written);
    check(b[5] == 0x77, "byte behind the buffer", "overwritten");
    /* A large buffer may come back partly filled, never overfilled, never empty. */
    check(virtq_request(&queue, &(struct part){a, 65536, true}, 1, &written) && written > 0 &&
              written <= 65536,
          "read of 64 KiB", "%u bytes", written);
    check(virtio_interrupted(rng), "interrupts", "none");
}
