// SPDX-License-Identifier: Apache-2.0
/*
 * husk-image: finds the kernel on a disk image. Started by the library only, with a socket and the
 * disk as descriptors 3 and 4; see protocol.h. What is on the disk is hostile, and file systems are
 * read here by libraries that were not made for that: so the process has nothing, goes to jail
 * first of all, and is ended when it takes too much time or memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "image/find.h"
#include "image/protocol.h"
#include "jail/jail.h"
#include "jail/seccomp.h"

#define NOBODY        65534u
#define CPU_SECONDS   60u
#define ADDRESS_BYTES (1ull << 30)
#define NOFILE        16u
#define FIRST_FREE_FD (IMAGE_DISK_FD + 3)

static int limit_resources(void)
{
    const struct rlimit file = {IMAGE_KERNEL_MAX + IMAGE_INITRD_MAX,
                                IMAGE_KERNEL_MAX + IMAGE_INITRD_MAX};
    const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS};

    if (setrlimit(RLIMIT_CPU, &cpu) < 0 || setrlimit(RLIMIT_FSIZE, &file) < 0)
        return -errno;
    /* Sanitizers, which have no filters either, reserve more than all of it. */
    if (seccomp_built_in()) {
        const struct rlimit memory = {ADDRESS_BYTES, ADDRESS_BYTES};

        if (setrlimit(RLIMIT_AS, &memory) < 0)
            return -errno;
    }
    return 0;
}

static int go_to_jail(unsigned namespaces, struct husk_error *err)
{
    const struct jail_plan plan = {
        .namespaces = namespaces,
        .uid = NOBODY,
        .gid = NOBODY,
        .vsock_dir_fd = -1,
        .first_free_fd = FIRST_FREE_FD,
        .nofile = NOFILE,
    };
    struct jail_report report;
    int ret = jail_enter(&plan, &report, err);

    if (ret)
        return ret;
    ret = seccomp_install(SECCOMP_IMAGE);
    return ret ? error_set(err, -ret, "seccomp", "cannot put up the wall", NULL) : 0;
}

static int measure_disk(struct image_source *disk, unsigned *sector_bytes)
{
    struct stat info;
    int sector = 512;

    if (fstat(IMAGE_DISK_FD, &info) < 0)
        return -errno;
    *disk = (struct image_source){.fd = IMAGE_DISK_FD, .size = (uint64_t)info.st_size};
    if (S_ISBLK(info.st_mode) && (ioctl(IMAGE_DISK_FD, BLKGETSIZE64, &disk->size) < 0 ||
                                  ioctl(IMAGE_DISK_FD, BLKSSZGET, &sector) < 0))
        return -errno;
    *sector_bytes = (unsigned)sector;
    return 0;
}

/* The files come to be the descriptors behind the disk's, for nothing else is open. */
static int receive_request(struct image_request *request, int fds[2])
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {request, sizeof(*request)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header;

    if (recvmsg(IMAGE_SOCKET_FD, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*request))
        return -EPROTO;
    header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return -EPROTO;
    memcpy(fds, CMSG_DATA(header), 2 * sizeof(int));
    return fds[0] < FIRST_FREE_FD && fds[1] < FIRST_FREE_FD ? 0 : -EPROTO;
}

static int send_answer(const struct image_answer *answer)
{
    return send(IMAGE_SOCKET_FD, answer, sizeof(*answer), MSG_NOSIGNAL) == (ssize_t)sizeof(*answer)
               ? 0
               : 1;
}

static bool is_socket(int fd)
{
    int type;
    socklen_t len = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int main(void)
{
    static struct image_answer answer;
    struct image_request request = {0};
    struct image_source disk = {.fd = -1};
    struct husk_error err = {0};
    unsigned sector_bytes = 512;
    sigset_t none;
    int fds[2], ret;

    if (!is_socket(IMAGE_SOCKET_FD)) {
        fputs("husk-image: it is started by libhusk, not by hand (see: husk run)\n", stderr);
        return 2;
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* the limit on CPU time ends us by a signal */
    ret = receive_request(&request, fds);
    if (!ret)
        ret = measure_disk(&disk, &sector_bytes);
    if (!ret)
        ret = limit_resources();
    if (!ret)
        ret = go_to_jail(request.namespaces, &err);
    if (ret) {
        answer.error = -ret;
        snprintf(answer.what, sizeof(answer.what),
                 "cannot confine the reader of disk images%s%.40s", err.where[0] ? ": " : "",
                 err.where);
        return send_answer(&answer);
    }
    image_find_kernel(&disk, sector_bytes, fds[0], fds[1], &answer);
    return send_answer(&answer);
}
