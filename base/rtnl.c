// SPDX-License-Identifier: Apache-2.0
/*
 * Talking rtnetlink: see rtnl.h. RFC 3549, 2.3; the layout of messages is of linux/netlink.h.
 * Lengths in answers are checked against what was received before anything is read, although the
 * kernel is to be trusted: the same code reads the recordings of tests.
 */
#include "base/rtnl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#include "base/io.h"

#define ANSWER_BYTES_MAX (1u << 20)
#define ANSWERS_MAX      4096u /* datagrams that are looked at for one request */
#define TIMEOUT_S        10

int rtnl_open(struct rtnl *rtnl)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    const struct timeval patience = {.tv_sec = TIMEOUT_S};
    const int on = 1;

    *rtnl = (struct rtnl){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    if (rtnl->fd < 0)
        return -errno;
    if (bind(rtnl->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        setsockopt(rtnl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
        int ret = -errno;

        rtnl_close(rtnl);
        return ret;
    }
    /* Reasons in words; without them there is still the number. */
    setsockopt(rtnl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    setsockopt(rtnl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    return 0;
}

void rtnl_close(struct rtnl *rtnl)
{
    close_fd(&rtnl->fd);
}

void *rtnl_add(struct rtnl_request *request, uint16_t type, size_t len)
{
    struct rtattr *attribute =
        (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(len);
    request->header.nlmsg_len =
        NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_ALIGN(attribute->rta_len);
    return RTA_DATA(attribute);
}

void rtnl_begin_as(struct rtnl_request *request, uint16_t type, uint16_t flags, const void *body,
                   size_t len)
{
    memset(request, 0, sizeof(*request));
    request->header.nlmsg_type = type;
    request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
    memcpy(request->rest, body, len);
}

void rtnl_begin(struct rtnl_request *request, uint16_t type, int ifindex)
{
    const struct ifinfomsg link = {.ifi_index = ifindex};

    rtnl_begin_as(request, type, 0, &link, sizeof(link));
}

void rtnl_put(struct rtnl_request *request, uint16_t type, const void *data, size_t len)
{
    memcpy(rtnl_add(request, type, len), data, len);
}

void rtnl_put_u32(struct rtnl_request *request, uint16_t type, uint32_t value)
{
    rtnl_put(request, type, &value, sizeof(value));
}

void rtnl_put_text(struct rtnl_request *request, uint16_t type, const char *text)
{
    rtnl_put(request, type, text, strlen(text) + 1);
}

struct rtattr *rtnl_nest(struct rtnl_request *request, uint16_t type)
{
    return (struct rtattr *)((char *)rtnl_add(request, type, 0) - RTA_LENGTH(0));
}

void rtnl_nest_end(struct rtnl_request *request, struct rtattr *nest)
{
    nest->rta_len =
        (unsigned short)((char *)request + request->header.nlmsg_len - (const char *)nest);
}

int rtnl_next(const uint8_t **at, const uint8_t *end, const uint8_t **data, size_t *len)
{
    struct rtattr attribute;
    size_t whole;

    if ((size_t)(end - *at) < sizeof(attribute))
        return -1;
    memcpy(&attribute, *at, sizeof(attribute));
    if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > (size_t)(end - *at))
        return -1;
    *data = *at + RTA_LENGTH(0);
    *len = attribute.rta_len - RTA_LENGTH(0);
    whole = RTA_ALIGN(attribute.rta_len);
    *at = whole > (size_t)(end - *at) ? end : *at + whole;
    return attribute.rta_type & NLA_TYPE_MASK;
}

/* A whole datagram in memory that the caller frees; its length or -errno. */
static ssize_t receive(struct rtnl *rtnl, uint8_t **out)
{
    ssize_t n, len;
    uint8_t *data;

    do
        len = recv(rtnl->fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    if (len == 0 || len > (ssize_t)ANSWER_BYTES_MAX)
        return -EPROTO;
    data = malloc((size_t)len);
    if (!data)
        return -ENOMEM;
    n = recv(rtnl->fd, data, (size_t)len, 0);
    if (n != len) {
        free(data);
        return n < 0 ? -errno : -EPROTO;
    }
    *out = data;
    return n;
}

/* The words of a refusal follow its number, and the request's header, as attributes. */
static int take_error(struct rtnl *rtnl, const uint8_t *data, size_t size, uint16_t flags)
{
    const uint8_t *at, *value;
    struct nlmsgerr error;
    size_t len, skip = sizeof(error);
    int type;

    if (size < sizeof(error))
        return -EPROTO;
    memcpy(&error, data, sizeof(error));
    if (error.error > 0)
        return -EPROTO;
    if (!(flags & NLM_F_CAPPED) && error.msg.nlmsg_len > sizeof(error.msg))
        skip += NLMSG_ALIGN(error.msg.nlmsg_len - sizeof(error.msg));
    if (!error.error || !(flags & NLM_F_ACK_TLVS) || skip > size)
        return error.error;
    at = data + skip;
    while ((type = rtnl_next(&at, data + size, &value, &len)) >= 0) {
        if (type != NLMSGERR_ATTR_MSG)
            continue;
        len = strnlen((const char *)value, len);
        if (len >= sizeof(rtnl->refusal))
            len = sizeof(rtnl->refusal) - 1;
        memcpy(rtnl->refusal, value, len);
        rtnl->refusal[len] = '\0';
    }
    return error.error;
}

/* The end of a dump, with what became of it. */
static int take_done(const uint8_t *data, size_t size)
{
    int error = 0;

    if (size >= sizeof(error))
        memcpy(&error, data, sizeof(error));
    return error < 0 ? error : 1;
}

/* 1 when the acknowledgement came, 0 when there is more to come, -errno. */
static int take_messages(struct rtnl *rtnl, const uint8_t *data, size_t size, rtnl_take take,
                         void *opaque)
{
    struct nlmsghdr header;
    int ret;

    while (size >= sizeof(header)) {
        size_t whole;

        memcpy(&header, data, sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size)
            return -EPROTO;
        if (header.nlmsg_seq == rtnl->sequence && header.nlmsg_type == NLMSG_ERROR) {
            ret = take_error(rtnl, data + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN,
                             header.nlmsg_flags);
            return ret ? ret : 1;
        }
        if (header.nlmsg_seq == rtnl->sequence && header.nlmsg_type == NLMSG_DONE)
            return take_done(data + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
        if (header.nlmsg_seq == rtnl->sequence && header.nlmsg_type >= RTM_BASE && take) {
            ret = take(opaque, data + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
            if (ret)
                return ret;
        }
        whole = NLMSG_ALIGN(header.nlmsg_len);
        if (whole > size)
            break;
        data += whole;
        size -= whole;
    }
    return 0;
}

int rtnl_talk(struct rtnl *rtnl, struct rtnl_request *request, rtnl_take take, void *opaque)
{
    ssize_t n;
    int ret = 0;

    rtnl->refusal[0] = '\0';
    request->header.nlmsg_seq = ++rtnl->sequence;
    do
        n = send(rtnl->fd, request, request->header.nlmsg_len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)request->header.nlmsg_len)
        return n < 0 ? -errno : -EIO;
    for (unsigned i = 0; ret == 0 && i < ANSWERS_MAX; i++) {
        uint8_t *data = NULL;

        n = receive(rtnl, &data);
        if (n < 0 || !data)
            return n < 0 ? (int)n : -EIO;
        ret = take_messages(rtnl, data, (size_t)n, take, opaque);
        free(data);
    }
    return ret == 1 ? 0 : ret ? ret : -EPROTO;
}
