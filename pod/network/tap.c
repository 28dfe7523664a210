// SPDX-License-Identifier: Apache-2.0
/* The tap of a pod's machine: see tap.h. Linux, Documentation/networking/tuntap.rst. */
#include "pod/network/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/io.h"

#define TUN_DEVICE "/dev/net/tun"

int tap_make(const char *name, struct husk_error *err)
{
    static const char wrong[] = "cannot make the tap of the pod's machine";
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};
    int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC), ret = 0;

    if (fd < 0)
        return error_set(err, errno, TUN_DEVICE, wrong, NULL);
    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        ret = error_set(err, errno == EBUSY ? EEXIST : errno, name, wrong, NULL);
    else if (ioctl(fd, TUNSETPERSIST, 1) < 0)
        ret = error_set(err, errno, name, wrong, NULL);
    close_fd(&fd);
    return ret;
}
