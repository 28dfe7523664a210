// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net: rate limits, which the host may change while the guest runs, and what was counted.
 *
 * Limits and counters belong to the device, one set for each direction: all queue pairs together.
 * Neither works with vhost, where packets never come here.
 *
 * Threads: everything is guarded by the device's lock, except that counters are read without it.
 */
#include <errno.h>

#include "base/io.h"
#include "devices/virtio/net_internal.h"

static void set_bucket(struct token_bucket *bucket, const struct rate_limit *rate)
{
    if (rate)
        token_bucket_init(bucket, rate->per_second, rate->burst, monotonic_ns());
}

void net_limit_set(struct net_limit *limit, const struct rate_limit *bytes,
                   const struct rate_limit *packets)
{
    set_bucket(&limit->bytes, bytes);
    set_bucket(&limit->packets, packets);
}

bool net_limit_ready(struct net_limit *limit, uint64_t *wait_ns)
{
    uint64_t now_ns;

    if (limit->owed_bytes == 0 && limit->owed_packets == 0)
        return true;
    now_ns = monotonic_ns();
    if (limit->owed_bytes > 0) {
        if (!token_bucket_take(&limit->bytes, limit->owed_bytes, now_ns, wait_ns))
            return false;
        limit->owed_bytes = 0;
    }
    if (limit->owed_packets > 0) {
        if (!token_bucket_take(&limit->packets, limit->owed_packets, now_ns, wait_ns))
            return false;
        limit->owed_packets = 0;
    }
    return true;
}

void net_limit_packet(struct net_limit *limit, struct net_counters *counters, uint32_t bytes)
{
    counter_add(&counters->packets, 1);
    counter_add(&counters->bytes, bytes);
    if (limit->bytes.rate_per_s > 0)
        limit->owed_bytes += bytes;
    if (limit->packets.rate_per_s > 0)
        limit->owed_packets++;
}

static bool is_limit(const struct rate_limit *rate)
{
    return rate && rate->per_second > 0;
}

int virtio_net_set_limits(struct virtio_device *device, const struct virtio_net_limits *limits)
{
    struct virtio_net *net = net_of(device);

    if (net->pairs[0].vhost) /* constant since the creation */
        return is_limit(limits->rx_bandwidth) || is_limit(limits->tx_bandwidth) ||
                       is_limit(limits->rx_operations) || is_limit(limits->tx_operations)
                   ? -EOPNOTSUPP
                   : 0;
    virtio_device_lock(device);
    net_limit_set(&net->rx_limit, limits->rx_bandwidth, limits->rx_operations);
    net_limit_set(&net->tx_limit, limits->tx_bandwidth, limits->tx_operations);
    for (unsigned i = 0; i < net->pair_count; i++) {
        net_rx_limit_changed(&net->pairs[i]);
        net_tx_limit_changed(&net->pairs[i]);
    }
    virtio_device_unlock(device);
    return 0;
}

void virtio_net_read_stats(struct virtio_device *device, struct virtio_net_stats *out)
{
    const struct net_counters *rx = &net_of(device)->rx_count, *tx = &net_of(device)->tx_count;

    *out = (struct virtio_net_stats){
        .rx_packets = counter_read(&rx->packets),
        .rx_bytes = counter_read(&rx->bytes),
        .rx_dropped = counter_read(&rx->dropped),
        .rx_throttled = counter_read(&rx->throttled),
        .tx_packets = counter_read(&tx->packets),
        .tx_bytes = counter_read(&tx->bytes),
        .tx_dropped = counter_read(&tx->dropped),
        .tx_throttled = counter_read(&tx->throttled),
    };
}
