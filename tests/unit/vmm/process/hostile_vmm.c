// SPDX-License-Identifier: Apache-2.0
/*
 * What a husk-vmm may do that a guest has taken over. Started by the library in its place; the VM's
 * id, its only argument, says how to misbehave: answers to the first requests are proper, so that
 * the VM gets built, and the one to START is not (but for "proper").
 * "die-N" ends in place of an answer to requests of kind N, and answers the others properly.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTROL 3
#define EVENTS  4
#define BUILD   6
#define START   7
#define REPLY   128
#define EVENT   129
#define LOG     130

static void say(int fd, const void *bytes, size_t len)
{
    if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
        _exit(3);
}

/* Until nobody listens any more. */
static void flood(const void *bytes, size_t len)
{
    while (send(EVENTS, bytes, len, MSG_NOSIGNAL) >= 0 || errno == EAGAIN)
        ;
    _exit(0);
}

static void answer_build(void)
{
    static const unsigned char reply[] = {REPLY, 0, 0, 0, 0, 5, 0, 0, 0, 'f', 'a', 'k', 'e', 0, 0};

    say(CONTROL, reply, sizeof(reply));
}

/* In a message that is proper otherwise: `count` times the same. */
static void send_descriptors(int fd, unsigned count)
{
    struct iovec iov = {.iov_base = "\x80\0\0\0\0", .iov_len = 5};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(100 * sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(count * sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};

    for (unsigned i = 0; i < count; i++)
        memcpy(CMSG_DATA(&control.header) + i * sizeof(fd), &fd, sizeof(fd));
    sendmsg(CONTROL, &message, MSG_NOSIGNAL);
}

/* In answer to START. */
static void misbehave(const char *how)
{
    static char huge[60000];

    if (!strcmp(how, "proper")) {
        say(CONTROL, "\x80\0\0\0\0", 5);
        return;
    }
    if (!strcmp(how, "silent"))
        pause();
    if (!strcmp(how, "garbage"))
        say(CONTROL, "garbage", 7);
    if (!strcmp(how, "huge"))
        say(CONTROL, huge, sizeof(huge));
    if (!strcmp(how, "success-and-more"))
        say(CONTROL, "\x80\0\0\0\0more", 9);
    if (!strcmp(how, "positive"))
        say(CONTROL, "\x80\1\0\0\0", 5);
    if (!strcmp(how, "half-error"))
        say(CONTROL, "\x80\xff\xff\xff\xff\1\0\0\0\xff\0\0\0text", 17);
    if (!strcmp(how, "descriptor"))
        send_descriptors(0, 1);
    if (!strcmp(how, "descriptors"))
        send_descriptors(0, 100);
    if (!strcmp(how, "event"))
        say(EVENTS, "\x81\xff\xff\xff", 4);
    if (!strcmp(how, "log-flood")) {
        static const unsigned char line[] = {LOG, 0, 4, 0, 0, 0, 27, '[', 'm', 0};

        say(CONTROL, "\x80\0\0\0\0", 5);
        flood(line, sizeof(line));
    }
    if (!strncmp(how, "event-flood-", 12)) {
        /* Without an error: a code and three empty strings, with their lengths; nor a device. */
        const unsigned char event[29] = {
            EVENT, (unsigned char)(how[12] - '0'), [8] = 1, [13] = 1, [18] = 1, [24] = 1};

        say(CONTROL, "\x80\0\0\0\0", 5);
        flood(event, sizeof(event));
    }
    if (!strcmp(how, "event"))
        say(CONTROL, "\x80\0\0\0\0", 5);
    if (!strcmp(how, "held")) { /* its end of the events lives on, unread in the other socket */
        say(CONTROL, "\x80\0\0\0\0", 5);
        send_descriptors(EVENTS, 1);
        _exit(9);
    }
    if (!strcmp(how, "exit"))
        _exit(9);
    pause();
}

int main(int argc, char **argv)
{
    unsigned char request[65536];
    int last = argc > 1 && !strncmp(argv[1], "die-", 4) ? atoi(argv[1] + 4) : -1;

    for (;;) {
        ssize_t n = recv(CONTROL, request, sizeof(request), 0);

        if (n <= 0)
            return 0;
        if (request[0] == last)
            _exit(9);
        if (request[0] == START && last < 0)
            misbehave(argc > 1 ? argv[1] : "");
        else if (request[0] == BUILD)
            answer_build();
        else
            say(CONTROL, "\x80\0\0\0\0", 5);
    }
}
