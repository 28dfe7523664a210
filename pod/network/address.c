// SPDX-License-Identifier: Apache-2.0
/* IPv4 and IPv6 addresses and prefixes: see address.h. */
#include "pod/network/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/parse.h"

size_t address_len(const struct address *address)
{
    return address->family == AF_INET ? 4 : 16;
}

int address_parse(const char *text, struct address *out)
{
    *out = (struct address){.family = AF_INET, .bits = 32};
    if (inet_pton(AF_INET, text, out->bytes) == 1)
        return 0;
    *out = (struct address){.family = AF_INET6, .bits = 128};
    return inet_pton(AF_INET6, text, out->bytes) == 1 ? 0 : -EINVAL;
}

int address_parse_prefix(const char *text, struct address *out)
{
    const char *slash = strchr(text, '/');
    char host[INET6_ADDRSTRLEN];
    uint64_t bits;

    if (!slash || (size_t)(slash - text) >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    if (address_parse(host, out) || strlen(slash + 1) > 3 || (slash[1] == '0' && slash[2]) ||
        parse_u64(slash + 1, 0, out->bits, &bits))
        return -EINVAL;
    out->bits = (uint8_t)bits;
    return 0;
}

void address_text(const struct address *address, char out[ADDRESS_TEXT])
{
    if (!inet_ntop(address->family, address->bytes, out, ADDRESS_TEXT))
        out[0] = '\0';
}

void address_prefix_text(const struct address *address, char out[ADDRESS_TEXT])
{
    size_t len;

    address_text(address, out);
    len = strlen(out);
    snprintf(out + len, ADDRESS_TEXT - len, "/%u", address->bits);
}

void mac_text(const uint8_t mac[6], char out[18])
{
    snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
}

struct address address_network(const struct address *address)
{
    struct address network = *address;

    for (unsigned bit = address->bits; bit < address_len(address) * 8; bit++)
        network.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
    return network;
}

bool address_within(const struct address *prefix, const struct address *address)
{
    struct address one = address_network(prefix), other = *address;

    other.bits = prefix->bits;
    other = address_network(&other);
    return prefix->family == address->family && !memcmp(one.bytes, other.bytes, sizeof(one.bytes));
}

bool address_equal(const struct address *one, const struct address *other)
{
    return one->family == other->family && !memcmp(one->bytes, other->bytes, address_len(one));
}

struct address address_at(const struct address *prefix, uint64_t offset)
{
    struct address at = address_network(prefix);
    size_t i = address_len(prefix);

    while (offset && i-- > 0) {
        offset += at.bytes[i];
        at.bytes[i] = (uint8_t)offset;
        offset >>= 8;
    }
    return at;
}

bool address_is_unicast(const struct address *address)
{
    static const uint8_t none[16], mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *bytes = address->bytes;

    if (address->family == AF_INET)
        return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224;
    return bytes[0] != 0xff && memcmp(bytes, none, 15) != 0 && memcmp(bytes, mapped, 12) != 0;
}

struct address address_link_local(const uint8_t mac[6])
{
    struct address address = {
        .family = AF_INET6,
        .bytes = {0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]},
        .bits = 128};

    return address;
}
