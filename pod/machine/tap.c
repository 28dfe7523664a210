// SPDX-License-Identifier: Apache-2.0
/*
 * The tap of another network namespace: see tap.h. A tun descriptor belongs to the namespace in
 * which /dev/net/tun was opened (Linux, drivers/net/tun.c), wherever it is used afterwards.
 */
#include "pod/machine/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/io.h"
#include "base/thread.h"

#define TUN_DEVICE "/dev/net/tun"

struct attempt {
    const char *netns, *name;
    struct husk_error *err;
    int fd; /* or -errno */
};

static const char wrong[] = "cannot attach to the tap interface";

static int attach(const struct attempt *attempt)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd, code;

    /* TUNSETIFF would make one. */
    if (!if_nametoindex(attempt->name))
        return error_set(attempt->err, ENODEV, attempt->name, wrong,
                         "there is no such interface in %s", attempt->netns);
    fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set(attempt->err, errno, TUN_DEVICE, wrong, NULL);
    memcpy(request.ifr_name, attempt->name, strnlen(attempt->name, IFNAMSIZ - 1));
    if (!ioctl(fd, TUNSETIFF, &request))
        return fd;
    code = errno;
    close_fd(&fd);
    return error_set(attempt->err, code, attempt->name, wrong, "%s",
                     code == EINVAL ? "it is no tap with one queue" : error_text(code));
}

static void *run(void *arg)
{
    struct attempt *attempt = arg;
    int netns = open(attempt->netns, O_RDONLY | O_CLOEXEC);

    if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
        attempt->fd = error_set(attempt->err, errno, attempt->netns, wrong,
                                "its network namespace cannot be entered");
    else
        attempt->fd = attach(attempt);
    close_fd(&netns);
    return NULL;
}

int pod_machine_tap_open(const char *netns, const char *name, struct husk_error *err)
{
    struct attempt attempt = {.netns = netns, .name = name, .err = err, .fd = -ECANCELED};
    pthread_t thread;
    int ret = thread_start(&thread, "husk-netns", 0, run, &attempt);

    if (ret)
        return error_set(err, -ret, name, wrong, NULL);
    pthread_join(thread, NULL);
    return attempt.fd;
}
