// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-console (virtio 1.2, section 5.3): one port, its size in the configuration space.
 *
 * Queue 0 (receiveq) takes input for the driver, queue 1 (transmitq) its output. Both sides push
 * back: output that the backend's ring cannot take stays in the transmit queue until
 * output_ready(), input is only read from the host while the receive queue has buffers.
 *
 * Threads: queue work and backend callbacks run on the I/O thread, resize on any.
 */
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/event_loop.h"
#include "devices/backend/console.h"
#include "devices/virtio/devices.h"

#define RECEIVE_QUEUE  0
#define TRANSMIT_QUEUE 1
#define QUEUE_SIZE     64

/* struct virtio_console_config (5.3.4): cols, rows, max_nr_ports, emerg_wr. */
#define CONFIG_BYTES 12u

struct virtio_console {
    struct virtio_device virtio;
    struct console_backend *backend;
    struct event_timer *again; /* a turn's budget was spent and chains may be left */
    uint8_t config[CONFIG_BYTES];
    struct virtq_chain output; /* the chain that is being written out */
    bool output_held;          /* `output` was popped and not pushed */
    size_t output_done;        /* its bytes that the backend took */
    struct virtq_chain input;  /* scratch of console_input() */
};

/* Hands the held chain's rest to the backend; true when all of it was taken. */
static bool write_held(struct virtio_console *console)
{
    const struct virtq_chain *chain = &console->output;
    size_t at = 0;

    for (unsigned i = 0; i < chain->readable_count; i++) {
        const uint8_t *data = chain->iov[i].iov_base;
        size_t len = chain->iov[i].iov_len, skip, taken;

        at += len;
        if (console->output_done >= at)
            continue;
        skip = len - (at - console->output_done);
        taken = console_backend_write(console->backend, data + skip, len - skip);
        console->output_done += taken;
        if (taken < len - skip)
            return false;
    }
    return true;
}

/* Lock held. Writes out one chain, or what is left of the held one. Returns 1, 0 when there is none
 * or the backend is full (output_ready() goes on), or -EPROTO. */
static int transmit_one(struct virtio_console *console)
{
    struct virtqueue *queue = &console->virtio.queues[TRANSMIT_QUEUE];

    if (!console->output_held) {
        int ret = virtqueue_pop(queue, &console->output);

        if (ret <= 0)
            return ret;
        console->output_held = true;
        console->output_done = 0;
    }
    if (!write_held(console))
        return 0;
    console->output_held = false;
    virtqueue_push(queue, console->output.head, 0);
    return 1;
}

/*
 * Lock held. At most a queue's worth of chains in one turn: the backend's ring bounds bytes, but
 * chains may be empty, and a driver that adds them as fast as we take them must not keep other
 * devices waiting.
 */
static void transmit(struct virtio_console *console)
{
    struct virtqueue *queue = &console->virtio.queues[TRANSMIT_QUEUE];
    unsigned budget = queue->size;
    int ret;

    do {
        do {
            ret = transmit_one(console);
        } while (ret > 0 && --budget > 0);
    } while (ret == 0 && !console->output_held && virtqueue_enable_notify(queue));
    if (ret < 0) {
        virtio_device_failed(&console->virtio, "the driver broke the transmit queue");
        return;
    }
    if (ret > 0)
        event_timer_arm(console->again, 0);
    virtio_device_signal_queue(&console->virtio, TRANSMIT_QUEUE);
}

static void on_again(void *arg)
{
    virtio_device_kick(arg, TRANSMIT_QUEUE);
}

static void console_notify(struct virtio_device *virtio, unsigned queue)
{
    struct virtio_console *console = (struct virtio_console *)virtio;

    if (queue == TRANSMIT_QUEUE)
        transmit(console);
    else
        console_backend_input_wanted(console->backend);
}

/* How many input bytes the driver's buffers take now; 0 while there is no driver. */
static size_t console_input_room(void *device)
{
    struct virtio_console *console = device;
    struct virtio_device *virtio = &console->virtio;
    struct virtqueue *queue = &virtio->queues[RECEIVE_QUEUE];
    size_t room = 0;
    int ret = 0;

    virtio_device_lock(virtio);
    if (virtio->active && !virtio->paused && queue->ready) {
        ret = virtqueue_pop(queue, &console->input);
        /* Nobody asks again before the driver kicks: have it do so, and look once more for buffers
         * that it added before it could know. */
        if (ret == 0 && virtqueue_enable_notify(queue))
            ret = virtqueue_pop(queue, &console->input);
        if (ret > 0) {
            room = console->input.writable_bytes;
            virtqueue_unpop(queue);
        } else if (ret < 0) {
            virtio_device_failed(virtio, "the driver broke the receive queue");
        }
    }
    virtio_device_unlock(virtio);
    return room;
}

/*
 * `len` is at most what input_room() said. What a reset or a driver that rewrites its buffers has
 * taken away meanwhile is dropped; at most a queue's worth of chains is tried.
 */
static void console_input(void *device, const uint8_t *data, size_t len)
{
    struct virtio_console *console = device;
    struct virtio_device *virtio = &console->virtio;
    struct virtqueue *queue = &virtio->queues[RECEIVE_QUEUE];
    struct virtq_chain *chain = &console->input;

    virtio_device_lock(virtio);
    for (unsigned budget = queue->size; budget > 0 && len > 0 && virtio->active; budget--) {
        size_t copied;
        int ret = virtqueue_pop(queue, chain);

        if (ret <= 0) {
            if (ret < 0)
                virtio_device_failed(virtio, "the driver broke the receive queue");
            break;
        }
        copied =
            iov_from_buf(chain->iov + chain->readable_count, chain->writable_count, 0, data, len);
        virtqueue_push(queue, chain->head, (uint32_t)copied);
        data += copied;
        len -= copied;
    }
    if (virtio->active)
        virtio_device_signal_queue(virtio, RECEIVE_QUEUE);
    virtio_device_unlock(virtio);
}

/* The port has no way to say that input ended: without multiport there is no control queue. */
static void console_input_closed(void *device)
{
}

static void console_output_ready(void *device)
{
    struct virtio_console *console = device;

    virtio_device_lock(&console->virtio);
    if (console->virtio.active && !console->virtio.paused)
        transmit(console);
    virtio_device_unlock(&console->virtio);
}

static const struct console_frontend_ops frontend_ops = {
    .input_room = console_input_room,
    .input = console_input,
    .input_closed = console_input_closed,
    .output_ready = console_output_ready,
};

static int console_activate(struct virtio_device *virtio)
{
    console_backend_input_wanted(((struct virtio_console *)virtio)->backend);
    return 0;
}

static void console_reset(struct virtio_device *virtio)
{
    struct virtio_console *console = (struct virtio_console *)virtio;

    event_timer_disarm(console->again);
    console->output_held = false;
}

static void console_resume(struct virtio_device *virtio)
{
    console_backend_input_wanted(((struct virtio_console *)virtio)->backend);
}

static void console_config_read(struct virtio_device *virtio, uint32_t offset, void *data,
                                unsigned size)
{
    memcpy(data, ((struct virtio_console *)virtio)->config + offset, size);
}

static void console_destroy(struct virtio_device *virtio)
{
    struct virtio_console *console = (struct virtio_console *)virtio;

    console_backend_set_frontend(console->backend, NULL, NULL);
    event_timer_remove(console->again);
    free(console);
}

static const struct virtio_device_ops console_ops = {
    .name = "virtio-console",
    .activate = console_activate,
    .reset = console_reset,
    .notify = console_notify,
    .config_read = console_config_read,
    .resume = console_resume,
    .destroy = console_destroy,
};

static void set_size(struct virtio_console *console, uint16_t columns, uint16_t rows)
{
    put_le16(console->config, columns);
    put_le16(console->config + 2, rows);
}

int virtio_console_create(const struct device_env *env, struct console_backend *backend,
                          uint16_t columns, uint16_t rows, struct virtio_device **out)
{
    static const uint16_t sizes[] = {QUEUE_SIZE, QUEUE_SIZE};
    struct virtio_console *console = calloc(1, sizeof(*console));
    int ret;

    if (!console)
        return -ENOMEM;
    console->backend = backend;
    set_size(console, columns, rows);
    put_le32(console->config + 4, 1); /* max_nr_ports */
    ret = event_loop_add_timer(env->loop, on_again, &console->virtio, &console->again);
    if (ret) {
        free(console);
        return ret;
    }
    ret = virtio_device_init(&console->virtio, &console_ops, VIRTIO_ID_CONSOLE,
                             1ull << VIRTIO_CONSOLE_F_SIZE, sizes, 2, CONFIG_BYTES, env);
    if (ret) {
        event_timer_remove(console->again);
        free(console);
        return ret;
    }
    console_backend_set_frontend(backend, &frontend_ops, console);
    *out = &console->virtio;
    return 0;
}

void virtio_console_resize(struct virtio_device *virtio, uint16_t columns, uint16_t rows)
{
    virtio_device_lock(virtio);
    set_size((struct virtio_console *)virtio, columns, rows);
    virtio_device_config_changed(virtio);
    virtio_device_unlock(virtio);
}
