// SPDX-License-Identifier: Apache-2.0
/* virtio-balloon against a hostile driver; afterwards an honest one must be served. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "devices/virtio/devices.h"
#include "tests/harness/hostile_driver.h"

#define MAX_STEPS 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_works(struct hostile_driver *h)
{
    uint32_t id, len;

    hostile_hand_over(h);
    ring_add(&h->rings[2], 0, 0x200000, 0x2000, VRING_DESC_F_WRITE);
    virtio_device_kick(h->device, 2);
    surroundings_settle(h->s);
    if (!ring_used(&h->rings[2], &id, &len) || id != 0 || len != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct virtio_surroundings s;
    struct virtio_device *device;
    struct hostile_driver h;

    surroundings_init(&s, NULL);
    if (virtio_balloon_create(&s.env, &device))
        abort();
    surroundings_connect(&s, device);
    hostile_init(&h, &s, device, fuzz_take(&in, 5));
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++) {
        unsigned kind = (unsigned)fuzz_take(&in, 1) % (HOSTILE_STEPS + 1);

        if (kind < HOSTILE_STEPS)
            hostile_step(&h, kind, &in);
        else
            event_loop_run_once(s.loop, 0);
    }
    check_works(&h);
    virtio_device_destroy(device);
    surroundings_release(&s);
    return 0;
}
