// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel on a disk image, as the public interface gives it: husk-image looks for it, a process
 * of its own in jail (image/protocol.h), which gets the disk, open for reading, and two files in
 * memory that it may fill.
 *
 * Runs on the caller's thread and ends with the process ended, whatever it does: what it says is
 * held against the protocol, what it filled against sizes, and both files are sealed only when
 * nobody is left who could write them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "devices/backend/block.h"
#include "husk/husk.h"
#include "image/protocol.h"
#include "vmm/config.h"
#include "jail/spawn.h"

#define ANSWER_MS 120000 /* its CPU time is limited to half of that; the rest is the disk's */
#define END_MS    5000
#define SEALS     (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

_Static_assert(sizeof(((struct husk_image_kernel *)0)->command_line) ==
                   sizeof(((struct image_answer *)0)->command_line),
               "texts are copied whole");

static const char cannot_look[] = "cannot look for a kernel on the disk";

/* One search, its descriptors and its process. */
struct search {
    const char *name; /* of the disk, in messages */
    int disk;
    int socket, theirs;
    int kernel, initrd;
    struct child child;
};

static int open_disk(struct search *search, const struct husk_image_options *options,
                     struct husk_error *err)
{
    struct block_open_options how = {.path = options->path, .fd = -1, .read_only = true};
    uint64_t size_bytes;

    search->name = options->path ? options->path : "disk";
    if (!options->path == (options->fd < 0))
        return error_set(err, EINVAL, "path, fd", cannot_look, "one of them is to be given");
    if (options->path) {
        /* Locked as a disk that is only read: not while a VM writes it. */
        search->disk = block_image_open(&how, &size_bytes, err);
        return search->disk < 0 ? search->disk : 0;
    }
    /* The reader must not be able to write what it reads. */
    if ((fcntl(options->fd, F_GETFL) & (O_ACCMODE | O_PATH)) != O_RDONLY)
        return error_set(err, EBADF, "fd", cannot_look, "it is not open for reading alone");
    search->disk = fcntl(options->fd, F_DUPFD_CLOEXEC, 0);
    return search->disk < 0 ? error_set(err, errno, "fd", cannot_look, NULL) : 0;
}

static int open_files(struct search *search)
{
    int ends[2];

    search->kernel = memfd_create("kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    search->initrd = memfd_create("initrd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (search->kernel < 0 || search->initrd < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    search->socket = ends[0];
    search->theirs = ends[1];
    return 0;
}

static int send_request(const struct search *search)
{
    const int fds[2] = {search->kernel, search->initrd};
    struct image_request request = {.namespaces = search->child.namespaces};
    union {
        char bytes[CMSG_SPACE(sizeof(fds))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {&request, sizeof(request)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(header), fds, sizeof(fds));
    return sendmsg(search->socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(request) ? 0 : -EPIPE;
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

/* -EPIPE when the process ended without an answer, -EPROTO, -ETIMEDOUT. */
static int receive_answer(const struct search *search, struct image_answer *answer)
{
    uint64_t deadline_ns = monotonic_ns() + (uint64_t)ANSWER_MS * 1000000;
    struct pollfd ready = {.fd = search->socket, .events = POLLIN};
    ssize_t len;
    int n;

    do {
        uint64_t now_ns = monotonic_ns();

        n = poll(&ready, 1, now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / 1000000) : 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : -ETIMEDOUT;
    len = recv(search->socket, answer, sizeof(*answer), MSG_DONTWAIT | MSG_TRUNC);
    if (len <= 0)
        return -EPIPE;
    if (len != (ssize_t)sizeof(*answer) || answer->error < 0 || answer->error > 4095 ||
        !ends(answer->what, sizeof(answer->what)) || !ends(answer->found, sizeof(answer->found)) ||
        !ends(answer->looked_at, sizeof(answer->looked_at)) ||
        !ends(answer->command_line, sizeof(answer->command_line)))
        return -EPROTO;
    make_printable(answer->what);
    make_printable(answer->found);
    make_printable(answer->looked_at);
    make_printable(answer->command_line);
    return 0;
}

/* The process is gone after this. */
static int run_reader(struct search *search, const char *path, struct image_answer *answer,
                      struct husk_error *err)
{
    const struct child_program program = {
        .path = path, .name = "husk-image", .what = "cannot start the reader of disk images"};
    char how[96] = "it did not answer in time";
    int ret = child_spawn(&program, "disk", search->theirs, search->disk, &search->child, err);

    if (ret)
        return ret;
    close_fd(&search->theirs); /* or its end would not be seen */
    ret = send_request(search);
    if (!ret)
        ret = receive_answer(search, answer);
    if (ret == -ETIMEDOUT || ret == -EPROTO)
        child_kill(&search->child);
    if (child_wait(&search->child, END_MS, ret == -EPIPE ? how : NULL, sizeof(how)) < 0) {
        child_kill(&search->child);
        child_wait(&search->child, -1, NULL, 0);
    }
    child_release(&search->child);
    if (ret)
        return error_set(err, EIO, search->name, cannot_look, "the reader failed: %s",
                         ret == -EPROTO ? "its answer makes no sense" : how);
    return 0;
}

/* Hands out a file that nobody writes any more; -1 when it is empty. */
static int take_file(int *fd, uint64_t max, int *out)
{
    struct stat info;

    if (fstat(*fd, &info) < 0)
        return -errno;
    if ((uint64_t)info.st_size > max)
        return -EFBIG;
    if (fcntl(*fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    if (info.st_size > 0) {
        *out = *fd;
        *fd = -1;
    }
    return 0;
}

static int take_answer(struct search *search, const struct image_answer *answer,
                       struct husk_image_kernel *found, struct husk_error *err)
{
    int ret;

    memcpy(found->looked_at, answer->looked_at, sizeof(found->looked_at));
    if (answer->error == ENOENT)
        return error_set(err, ENOENT, search->name, answer->what, "%s", answer->looked_at);
    if (answer->error)
        return error_set(err, answer->error, search->name, answer->what, NULL);
    ret = take_file(&search->kernel, IMAGE_KERNEL_MAX, &found->kernel_fd);
    if (!ret)
        ret = take_file(&search->initrd, IMAGE_INITRD_MAX, &found->initrd_fd);
    if (!ret && found->kernel_fd < 0)
        ret = -EPROTO;
    if (ret)
        return error_set(err, -ret, search->name, cannot_look, "what the reader found is unusable");
    memcpy(found->found, answer->found, sizeof(found->found));
    memcpy(found->command_line, answer->command_line, sizeof(found->command_line));
    return 0;
}

/* What out is for must be known before there is anything to release. */
static int check_place(const struct husk_image_kernel *out, struct husk_error *err)
{
    if (!out || out->size < offsetof(struct husk_image_kernel, command_line))
        return error_set(err, EINVAL, "", cannot_look,
                         "the place for the result does not say its size");
    return 0;
}

static int look(struct search *search, const struct husk_image_options *options,
                struct image_answer *answer, struct husk_image_kernel *found,
                struct husk_error *err)
{
    const char *path = options->reader_path ? options->reader_path : secure_getenv("HUSK_IMAGE");
    int ret = open_disk(search, options, err);

    if (ret)
        return ret;
    ret = open_files(search);
    if (ret)
        return error_set(err, -ret, search->name, cannot_look, NULL);
    ret = run_reader(search, path ? path : HUSK_IMAGE_PATH, answer, err);
    return ret ? ret : take_answer(search, answer, found, err);
}

int husk_image_find_kernel(const struct husk_image_options *given, struct husk_image_kernel *out,
                           struct husk_error *err)
{
    struct husk_image_options options = HUSK_IMAGE_OPTIONS_INIT;
    struct search search = {.disk = -1, .socket = -1, .theirs = -1, .kernel = -1, .initrd = -1};
    struct husk_image_kernel found = HUSK_IMAGE_KERNEL_INIT;
    struct image_answer *answer = NULL;
    int ret = config_copy_options(&options, sizeof(options), given, "image options", err);

    if (!ret)
        ret = check_place(out, err);
    if (ret)
        return ret;
    answer = calloc(1, sizeof(*answer));
    ret = answer ? look(&search, &options, answer, &found, err)
                 : error_set(err, ENOMEM, "", cannot_look, NULL);
    if (ret)
        husk_image_kernel_release(&found);
    config_copy_results(out, &found, sizeof(found), cannot_look, NULL);
    free(answer);
    close_fd(&search.socket);
    close_fd(&search.theirs);
    close_fd(&search.kernel);
    close_fd(&search.initrd);
    close_fd(&search.disk);
    return ret;
}

void husk_image_kernel_release(struct husk_image_kernel *kernel)
{
    close_fd(&kernel->kernel_fd);
    close_fd(&kernel->initrd_fd);
}
