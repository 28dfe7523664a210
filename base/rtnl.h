// SPDX-License-Identifier: Apache-2.0
/*
 * Questions to the kernel about network interfaces, their addresses, routes and queues: rtnetlink
 * (RFC 3549).
 *
 * A conversation is one socket, used by one thread: a question goes out, and answers with its
 * number are read until its acknowledgement. Tests put a socket of their own with recorded answers
 * there.
 */
#ifndef HUSK_BASE_RTNL_H
#define HUSK_BASE_RTNL_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

struct rtnl {
    int fd;
    uint32_t sequence; /* of the last question */
    char refusal[128]; /* what the kernel said besides a number when it last refused; may be "" */
};

/* -errno, or 0 with a socket to close with rtnl_close(). */
int rtnl_open(struct rtnl *rtnl);
void rtnl_close(struct rtnl *rtnl);

struct rtnl_request {
    struct nlmsghdr header;
    uint8_t rest[512]; /* room for all that husk asks */
};

/* A question about one interface: RTM_GETLINK, RTM_SETLINK and the like. */
void rtnl_begin(struct rtnl_request *request, uint16_t type, int ifindex);

/* Any other: `body` is the struct that follows the header. NLM_F_REQUEST and NLM_F_ACK are set
 * anyway; NLM_F_DUMP among the flags asks for all that there is. */
void rtnl_begin_as(struct rtnl_request *request, uint16_t type, uint16_t flags, const void *body,
                   size_t len);

/* One more attribute at its end: where its `len` bytes go. The caller keeps within the room. */
void *rtnl_add(struct rtnl_request *request, uint16_t type, size_t len);

void rtnl_put(struct rtnl_request *request, uint16_t type, const void *data, size_t len);
void rtnl_put_u32(struct rtnl_request *request, uint16_t type, uint32_t value);
void rtnl_put_text(struct rtnl_request *request, uint16_t type, const char *text);

/* Attributes within an attribute, which rtnl_nest_end() ends. */
struct rtattr *rtnl_nest(struct rtnl_request *request, uint16_t type);
void rtnl_nest_end(struct rtnl_request *request, struct rtattr *nest);

/* The next attribute of [*at, end): its type without flags, or -1 at the end, and at something that
 * does not fit. */
int rtnl_next(const uint8_t **at, const uint8_t *end, const uint8_t **data, size_t *len);

/* Is given each message that answers, from its struct ifinfomsg (or what else its kind has) on; not
 * 0 ends it with that. */
typedef int (*rtnl_take)(void *opaque, const uint8_t *data, size_t size);

/*
 * Asks, and waits for the acknowledgement, ten seconds at most for each answer. take may be NULL.
 * 0, or the kernel's -errno, or -ETIMEDOUT, or -EPROTO when an answer makes no sense.
 */
int rtnl_talk(struct rtnl *rtnl, struct rtnl_request *request, rtnl_take take, void *opaque);

#endif
