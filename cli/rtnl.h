// SPDX-License-Identifier: Apache-2.0
/*
 * Questions to the kernel about network interfaces: rtnetlink (RFC 3549), as far as links go.
 *
 * A conversation is one socket, used by one thread: a question goes out, and answers with its
 * number are read until its acknowledgement. Tests put a socket of their own with recorded answers
 * there.
 */
#ifndef HUSK_CLI_RTNL_H
#define HUSK_CLI_RTNL_H

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
    struct ifinfomsg link;
    uint8_t attributes[128]; /* room for all that husk asks */
};

/* A question about one interface: RTM_GETLINK or RTM_SETLINK. */
void rtnl_begin(struct rtnl_request *request, uint16_t type, int ifindex);

/* One more attribute at its end: where its `len` bytes go. The caller keeps within the room. */
void *rtnl_add(struct rtnl_request *request, uint16_t type, size_t len);

/* The next attribute of [*at, end): its type without flags, or -1 at the end, and at something that
 * does not fit. */
int rtnl_next(const uint8_t **at, const uint8_t *end, const uint8_t **data, size_t *len);

/* Is given each RTM_NEWLINK that answers, from its struct ifinfomsg on; not 0 ends it with that. */
typedef int (*rtnl_take)(void *opaque, const uint8_t *data, size_t size);

/*
 * Asks, and waits for the acknowledgement, ten seconds at most for each answer. take may be NULL.
 * 0, or the kernel's -errno, or -ETIMEDOUT, or -EPROTO when an answer makes no sense.
 */
int rtnl_talk(struct rtnl *rtnl, struct rtnl_request *request, rtnl_take take, void *opaque);

#endif
