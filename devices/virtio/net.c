// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net: the device, its configuration space and its control queue. Packets are moved by
 * net_rx.c and net_tx.c, or by the kernel (net_vhost.c); net_limit.c limits and counts them;
 * net_internal.h shows how they fit.
 *
 * Specification: virtio 1.2, 5.1 (network device).
 *
 * Queues: 2n is receive queue and 2n + 1 transmit queue of pair n; the control queue comes last, or
 * right behind the first pair when the driver did not accept VIRTIO_NET_F_MQ (5.1.2).
 *
 * Tap offloads are what the driver negotiated, no more: the kernel then segments and checksums what
 * this driver cannot take. They belong to the interface and are set through the first descriptor,
 * which alone is never detached.
 *
 * Threads: see net_internal.h.
 */
#include "devices/virtio/net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "devices/backend/tap.h"

/* struct virtio_net_config (5.1.4), as far as it belongs to offered features. */
enum {
    CONFIG_MAC = 0,
    CONFIG_STATUS = 6,
    CONFIG_MAX_PAIRS = 8,
    CONFIG_MTU = 10,
    CONFIG_BYTES = 12
};

#define CONTROL_QUEUE_SIZE   64u
#define CONTROL_HEADER_BYTES 2u
#define CONTROL_MQ_BYTES     4u

static const struct net_host_ops kernel_host = {
    .set_header_size = tap_set_header_size,
    .set_offload = tap_set_offload,
    .set_queue_enabled = tap_set_queue_enabled,
    .vhost_ioctl = vhost_ioctl,
};

/* ---- pairs ---- */

static bool queues_ready(const struct net_pair *pair)
{
    const struct virtqueue *queues = pair->net->device.queues;

    return queues[net_rx_queue(pair)].ready && queues[net_tx_queue(pair)].ready;
}

bool net_pair_live(const struct net_pair *pair)
{
    return pair->net->running && !pair->net->held && pair->enabled && queues_ready(pair);
}

void net_pair_watch(struct net_pair *pair)
{
    uint32_t events = 0;

    if (net_pair_live(pair)) {
        if (pair->rx.state == NET_RX_READING)
            events |= EPOLLIN;
        if (pair->tx.state == NET_TX_BLOCKED)
            events |= EPOLLOUT;
    }
    event_source_watch(pair->tap_source, events);
}

void net_pair_lock(struct net_pair *pair)
{
    struct virtio_net *net = pair->net;

    virtio_device_lock(&net->device);
    if (!net->device.active)
        net->running = false; /* the core found the driver at fault meanwhile */
}

static void tap_ready(void *arg, uint32_t events)
{
    struct net_pair *pair = arg;
    struct virtio_device *device = &pair->net->device;
    bool broken = events & (EPOLLERR | EPOLLHUP);

    net_pair_lock(pair);
    if (pair->tx.state == NET_TX_BLOCKED && (broken || (events & EPOLLOUT))) {
        pair->tx.state = NET_TX_READY;
        net_tx_run(pair);
    }
    if (broken || (events & EPOLLIN))
        net_rx_run(pair, broken);
    net_pair_watch(pair);
    virtio_device_unlock(device);
}

/* Begin, or go on after a pause, with what the tap and the driver have waiting. */
static int start_pair(struct net_pair *pair)
{
    if (!net_pair_live(pair))
        return 0;
    if (pair->vhost)
        return net_vhost_start(pair);
    if (pair->rx.state != NET_RX_STARVED)
        virtqueue_disable_notify(&pair->net->device.queues[net_rx_queue(pair)]);
    net_pair_watch(pair);
    return 0;
}

static void stop_pair(struct net_pair *pair)
{
    if (pair->vhost)
        net_vhost_stop(pair);
    else
        net_pair_watch(pair);
}

/* What the driver did while nobody listened. I/O thread. */
static void catch_up(struct net_pair *pair)
{
    if (pair->vhost || !net_pair_live(pair))
        return;
    net_rx_kick(pair);
    net_tx_run(pair);
}

/* Take a pair into or out of service, its queue of the tap included. */
static int set_pair_enabled(struct net_pair *pair, bool enabled)
{
    int ret = 0;

    if (pair->enabled == enabled)
        return 0;
    if (!enabled) {
        pair->enabled = false;
        stop_pair(pair);
    }
    if (pair->index > 0)
        ret = pair->net->host->set_queue_enabled(pair->tap_fd, enabled);
    if (ret == 0 && enabled) {
        pair->enabled = true;
        ret = start_pair(pair);
    }
    return ret;
}

/* ---- control queue (5.1.6.5) ---- */

static unsigned control_queue(const struct virtio_net *net)
{
    return virtio_device_has_feature(&net->device, VIRTIO_NET_F_MQ) ? 2 * net->pair_count : 2;
}

/* VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET (5.1.6.5.5). */
static bool set_pair_count(struct virtio_net *net, unsigned count)
{
    if (!virtio_device_has_feature(&net->device, VIRTIO_NET_F_MQ) ||
        count < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || count > net->pair_count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!queues_ready(&net->pairs[i]))
            return false;
    }
    for (unsigned i = 0; i < net->pair_count; i++) {
        struct net_pair *pair = &net->pairs[i];
        int ret = set_pair_enabled(pair, i < count);

        if (ret) {
            log_limited(net->device.log, &net->device.log_limit, LOG_LEVEL_ERROR,
                        net->device.ops->name, "queue pair %u: cannot change its service: %s", i,
                        error_text(-ret));
            if (i < count) {
                /* Some pairs more than before may run; the driver hears that it failed. */
                set_pair_enabled(pair, false);
                return false;
            }
        }
        catch_up(pair);
    }
    return true;
}

/* The command in `chain`, wherever the driver put the borders of its descriptors (2.7.4). */
static uint8_t run_command(struct virtio_net *net, const struct virtq_chain *chain)
{
    uint8_t command[CONTROL_MQ_BYTES];

    if (chain->readable_bytes != sizeof(command))
        return VIRTIO_NET_ERR; /* the one command offered has this size */
    iov_to_buf(chain->iov, chain->readable_count, 0, command, sizeof(command));
    if (command[0] == VIRTIO_NET_CTRL_MQ && command[1] == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET &&
        set_pair_count(net, get_le16(command + CONTROL_HEADER_BYTES)))
        return VIRTIO_NET_OK;
    return VIRTIO_NET_ERR;
}

/* One command: 1, 0 when there is none, -EPROTO when the driver broke the queue. */
static int run_next_command(struct virtio_net *net, struct virtqueue *queue)
{
    struct virtio_device *device = &net->device;
    struct virtq_chain chain;
    int ret = virtqueue_pop(queue, &chain);
    uint8_t ack;

    if (ret == 0)
        return 0;
    if (ret < 0 || chain.writable_bytes == 0) {
        virtio_device_failed(device, "control queue: %s",
                             ret < 0 ? "malformed descriptor chain" : "no room for the answer");
        net->running = false;
        return -EPROTO;
    }
    ack = run_command(net, &chain);
    iov_from_buf(chain.iov + chain.readable_count, chain.writable_count, 0, &ack, sizeof(ack));
    virtqueue_push(queue, chain.head, sizeof(ack));
    return 1;
}

static void run_control_queue(struct virtio_net *net, unsigned index)
{
    struct virtqueue *queue = &net->device.queues[index];
    unsigned budget = queue->size + 1u; /* a whole ring; drivers wait for each answer anyway */
    int ret;

    do {
        ret = run_next_command(net, queue);
        if (ret < 0)
            return;
    } while ((ret > 0 || virtqueue_enable_notify(queue)) && --budget > 0);
    virtio_device_signal_queue(&net->device, index);
}

/* ---- operations of the core ---- */

/* TUN_F_*: what the tap may hand over unfinished, from what the driver accepted. */
static unsigned negotiated_offload(const struct virtio_device *device)
{
    unsigned offload = 0;

    if (!virtio_device_has_feature(device, VIRTIO_NET_F_GUEST_CSUM))
        return 0; /* 5.1.3.1: the others require it */
    offload |= TUN_F_CSUM;
    if (virtio_device_has_feature(device, VIRTIO_NET_F_GUEST_TSO4))
        offload |= TUN_F_TSO4;
    if (virtio_device_has_feature(device, VIRTIO_NET_F_GUEST_TSO6))
        offload |= TUN_F_TSO6;
    if ((offload & (TUN_F_TSO4 | TUN_F_TSO6)) &&
        virtio_device_has_feature(device, VIRTIO_NET_F_GUEST_ECN))
        offload |= TUN_F_TSO_ECN;
    return offload;
}

static int net_activate(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);
    int ret = net->host->set_offload(net->pairs[0].tap_fd, negotiated_offload(device));

    if (ret) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_ERROR, device->ops->name,
                    "cannot set the offloads of the tap: %s", error_text(-ret));
        return ret;
    }
    net->running = true;
    /* 5.1.6.5.5: one pair until the driver asks for more. */
    ret = set_pair_enabled(&net->pairs[0], true);
    if (ret) {
        log_limited(device->log, &device->log_limit, LOG_LEVEL_ERROR, device->ops->name,
                    "cannot start the data path: %s", error_text(-ret));
        net->running = false;
        net->pairs[0].enabled = false;
    }
    return ret;
}

static void net_reset(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);

    net->running = false;
    for (unsigned i = 0; i < net->pair_count; i++) {
        struct net_pair *pair = &net->pairs[i];
        int ret = set_pair_enabled(pair, false);

        if (ret)
            log_limited(device->log, &device->log_limit, LOG_LEVEL_ERROR, device->ops->name,
                        "queue pair %u: cannot detach it: %s", i, error_text(-ret));
        if (pair->vhost) {
            net_vhost_reset(pair);
        } else {
            net_rx_reset(pair);
            net_tx_reset(pair);
            net_pair_watch(pair);
        }
    }
}

static void net_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_net *net = net_of(device);
    struct net_pair *pair;

    if (virtio_device_has_feature(device, VIRTIO_NET_F_CTRL_VQ) && queue == control_queue(net)) {
        run_control_queue(net, queue);
        return;
    }
    if (queue >= 2 * net->pair_count)
        return;
    pair = &net->pairs[queue / 2];
    if (pair->vhost)
        return; /* the kernel listens itself */
    if (queue == net_rx_queue(pair))
        net_rx_kick(pair);
    else
        net_tx_run(pair);
}

static void net_config_read(struct virtio_device *device, uint32_t offset, void *data,
                            unsigned size)
{
    const struct virtio_net *net = net_of(device);
    uint8_t config[CONFIG_BYTES];

    memcpy(config + CONFIG_MAC, net->mac, sizeof(net->mac));
    put_le16(config + CONFIG_STATUS, VIRTIO_NET_S_LINK_UP);
    put_le16(config + CONFIG_MAX_PAIRS, (uint16_t)net->pair_count);
    put_le16(config + CONFIG_MTU, net->mtu);
    memcpy(data, config + offset, size);
}

static void net_pause(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);

    net->held = true;
    for (unsigned i = 0; i < net->pair_count; i++)
        stop_pair(&net->pairs[i]);
}

static void net_resume(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);

    net->held = false;
    for (unsigned i = 0; i < net->pair_count && net->running; i++) {
        int ret = start_pair(&net->pairs[i]);

        if (ret) {
            virtio_device_failed(device, "queue pair %u: cannot resume: %s", i, error_text(-ret));
            net->running = false;
            return;
        }
    }
    /* The core goes on to kick every queue: what the driver did meanwhile is found then. */
}

static void net_destroy(struct virtio_device *device)
{
    struct virtio_net *net = net_of(device);

    for (unsigned i = 0; i < net->pair_count; i++) {
        struct net_pair *pair = &net->pairs[i];

        event_source_remove(pair->tap_source);
        net_rx_release(pair);
        net_tx_release(pair);
        net_vhost_release(pair);
        close_fd(&pair->tap_fd);
    }
    free(net->pairs);
    free(net);
}

static const struct virtio_device_ops net_ops = {
    .name = "virtio-net",
    .activate = net_activate,
    .reset = net_reset,
    .notify = net_notify,
    .config_read = net_config_read,
    .pause = net_pause,
    .resume = net_resume,
    .destroy = net_destroy,
};

/* ---- creation ---- */

static uint64_t offered_features(const struct virtio_net_config *config)
{
    static const unsigned always[] = {
        VIRTIO_NET_F_CSUM,       VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
        VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,  VIRTIO_NET_F_HOST_TSO4,
        VIRTIO_NET_F_HOST_TSO6,  VIRTIO_NET_F_HOST_ECN,   VIRTIO_NET_F_MRG_RXBUF,
        VIRTIO_NET_F_MAC,        VIRTIO_NET_F_STATUS,
    };
    uint64_t features = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
        features |= 1ull << always[i];
    if (config->mtu)
        features |= 1ull << VIRTIO_NET_F_MTU;
    if (config->queue_pairs > 1)
        features |= 1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ;
    return features;
}

/* Of the features that the kernel's data path has to know, leave those that it knows. */
static int limit_to_vhost(struct virtio_device *device, uint64_t vhost_features)
{
    const uint64_t needs_vhost = 1ull << VIRTIO_RING_F_EVENT_IDX |
                                 1ull << VIRTIO_RING_F_INDIRECT_DESC |
                                 1ull << VIRTIO_NET_F_MRG_RXBUF;

    if (!(vhost_features & 1ull << VIRTIO_F_VERSION_1))
        return -ENOTSUP;
    device->offered &= ~(needs_vhost & ~vhost_features);
    return 0;
}

static int init_pair(struct net_pair *pair, const struct virtio_net_config *config)
{
    struct virtio_net *net = pair->net;
    int flags = fcntl(config->tap_fds[pair->index], F_GETFL);
    uint64_t features = 0;
    int ret;

    pair->tap_fd = config->tap_fds[pair->index];
    if (flags < 0 || fcntl(pair->tap_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    ret = net->host->set_header_size(pair->tap_fd, NET_HEADER_BYTES);
    if (ret == 0 && pair->index > 0)
        ret = net->host->set_queue_enabled(pair->tap_fd, false);
    if (ret)
        return ret;
    if (config->vhost_fds) {
        ret = net_vhost_init(pair, config->vhost_fds[pair->index], &features);
        return ret ? ret : limit_to_vhost(&net->device, features);
    }
    ret = event_loop_add(net->loop, pair->tap_fd, 0, tap_ready, pair, &pair->tap_source);
    if (ret == 0)
        ret = net_rx_init(pair);
    if (ret == 0)
        ret = net_tx_init(pair);
    return ret;
}

static int init_pairs(struct virtio_net *net, const struct virtio_net_config *config)
{
    for (unsigned i = 0; i < net->pair_count; i++) {
        int ret = init_pair(&net->pairs[i], config);

        if (ret)
            return ret;
    }
    return 0;
}

/* The caller keeps its descriptors when creation fails. */
static void disown_descriptors(struct virtio_net *net)
{
    for (unsigned i = 0; i < net->pair_count; i++) {
        net->pairs[i].tap_fd = -1;
        if (net->pairs[i].vhost)
            net->pairs[i].vhost->vhost.fd = -1;
    }
}

static struct virtio_net *allocate(const struct device_env *env,
                                   const struct virtio_net_config *config,
                                   const struct net_host_ops *host)
{
    struct virtio_net *net = calloc(1, sizeof(*net));

    if (!net)
        return NULL;
    net->pairs = calloc(config->queue_pairs, sizeof(*net->pairs));
    if (!net->pairs) {
        free(net);
        return NULL;
    }
    net->loop = env->loop;
    net->host = host;
    net->mtu = config->mtu;
    memcpy(net->mac, config->mac, sizeof(net->mac));
    net_limit_set(&net->rx_limit, &config->rx_bandwidth, &config->rx_operations);
    net_limit_set(&net->tx_limit, &config->tx_bandwidth, &config->tx_operations);
    net->pair_count = config->queue_pairs;
    for (unsigned i = 0; i < net->pair_count; i++) {
        net->pairs[i].net = net;
        net->pairs[i].index = i;
        net->pairs[i].tap_fd = -1;
    }
    return net;
}

int net_create(const struct device_env *env, const struct virtio_net_config *config,
               const struct net_host_ops *host, struct virtio_device **out)
{
    uint16_t sizes[2 * NET_MAX_PAIRS + 1];
    unsigned queue_count = 2 * config->queue_pairs + (config->queue_pairs > 1);
    struct virtio_net *net;
    int ret;

    if (config->queue_pairs == 0 || config->queue_pairs > NET_MAX_PAIRS)
        return -EINVAL;
    for (unsigned i = 0; i < queue_count; i++)
        sizes[i] = i < 2 * config->queue_pairs ? NET_QUEUE_SIZE : CONTROL_QUEUE_SIZE;
    net = allocate(env, config, host);
    if (!net)
        return -ENOMEM;
    ret = virtio_device_init(&net->device, &net_ops, VIRTIO_ID_NET, offered_features(config), sizes,
                             queue_count, CONFIG_BYTES, env);
    if (ret) {
        free(net->pairs);
        free(net);
        return ret;
    }
    ret = init_pairs(net, config);
    if (ret) {
        disown_descriptors(net);
        virtio_device_destroy(&net->device);
        return ret;
    }
    *out = &net->device;
    return 0;
}

int virtio_net_create(const struct device_env *env, const struct virtio_net_config *config,
                      struct virtio_device **out)
{
    return net_create(env, config, &kernel_host, out);
}
