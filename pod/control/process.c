// SPDX-License-Identifier: Apache-2.0
/* A supervisor's process: see process.h. */
#include "pod/control/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "pod/agent/frame.h"
#include "pod/control/server.h"
#include "pod/control/status.h"

void process_log_line(void *arg, enum log_level level, const char *line)
{
    char text[1200];
    struct timespec now;
    struct tm tm;
    size_t len;

    (void)arg;
    (void)level;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ ", &tm);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "%.1100s", line);
    text[len++] = '\n';
    (void)!write(STDERR_FILENO, text, len);
}

/* Behind the name in brackets. */
uint64_t process_start_time(void)
{
    char text[1024], *at;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close_fd(&fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    at = strrchr(text, ')');
    for (unsigned field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

uint64_t process_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool process_take_signal(int fd)
{
    struct signalfd_siginfo info;

    return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info);
}

int process_watch_signals(struct event_loop *loop, event_fn fn, void *arg, int *fd,
                          struct event_source **source)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t ending;

    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    (void)sigaction(SIGHUP, &ignore, NULL);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    if (sigprocmask(SIG_BLOCK, &ending, NULL) < 0)
        return -errno;
    *fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    if (*fd < 0)
        return -errno;
    return event_loop_add(loop, *fd, EPOLLIN, fn, arg, source);
}

void process_tell_first(int fd, const struct husk_error *error)
{
    struct frame_writer writer = {.limit = CONTROL_FRAME_MAX};
    json_t *message = json_pack("{s:o}", "error", server_error_json(error, STATUS_HUSK));

    if (fd >= 0 && message && frame_queue(&writer, message, CONTROL_FRAME_MAX) == 0)
        (void)frame_flush(&writer, fd);
    frame_writer_clear(&writer);
    json_decref(message);
}
