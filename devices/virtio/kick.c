// SPDX-License-Identifier: Apache-2.0
/* A queue's kick: see kick.h. */
#include "devices/virtio/kick.h"

#include <sys/epoll.h>

#include "base/event_loop.h"
#include "base/io.h"
#include "devices/virtio/virtio.h"

static void on_kick(void *arg, uint32_t events)
{
    struct virtio_kick *kick = arg;

    eventfd_drain(kick->fd);
    virtio_device_kick(kick->virtio, kick->queue);
}

int virtio_kick_open(struct virtio_kick *kick, struct event_loop *loop,
                     struct virtio_device *virtio, unsigned queue)
{
    *kick = (struct virtio_kick){.virtio = virtio, .queue = queue, .fd = eventfd_open()};
    if (kick->fd < 0) {
        int ret = kick->fd;

        kick->fd = -1;
        return ret;
    }
    return event_loop_add(loop, kick->fd, EPOLLIN, on_kick, kick, &kick->source);
}

void virtio_kick_close(struct virtio_kick *kick)
{
    event_source_remove(kick->source);
    kick->source = NULL;
    close_fd(&kick->fd);
}

int virtio_kick_take(struct virtio_kick *kick, bool taken)
{
    int ret = event_source_watch(kick->source, taken ? 0 : EPOLLIN);

    return ret ? ret : kick->fd;
}
