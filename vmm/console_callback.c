// SPDX-License-Identifier: Apache-2.0
/*
 * A console by callback: see console_callback.h.
 *
 * Data: a pair of connected stream sockets. The VM writes its output to `vm_fd` and reads its input
 * from there; the thread reads `our_fd` and calls back; input is sent into `our_fd` without
 * waiting. The kernel's socket buffers bound both directions: a callback that takes its time makes
 * the guest wait, a guest that does not read makes console_callback_input() return 0.
 *
 * Invariant: the thread ends when everything was read that was written before the VM's end was shut
 * down, and not earlier.
 */
#include "vmm/console_callback.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/thread.h"

#define OUTPUT_BYTES_MAX 65536u /* of one call, as husk.h says */

struct console_callback {
    husk_console_fn write;
    void *arg;
    int our_fd, vm_fd;
    pthread_t thread;
    uint8_t output[OUTPUT_BYTES_MAX]; /* the thread's */
};

static void *deliver(void *arg)
{
    struct console_callback *console = arg;

    for (;;) {
        ssize_t n = recv(console->our_fd, console->output, sizeof(console->output), 0);

        if (n > 0)
            console->write(console->arg, console->output, (size_t)n);
        else if (n == 0 || errno != EINTR)
            return NULL;
    }
}

int console_callback_create(husk_console_fn write, void *arg, struct console_callback **out)
{
    struct console_callback *console = calloc(1, sizeof(*console));
    int ends[2], ret;

    if (!console)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        ret = -errno;
        free(console);
        return ret;
    }
    console->write = write;
    console->arg = arg;
    console->our_fd = ends[0];
    console->vm_fd = ends[1];
    ret = thread_start(&console->thread, "husk-console", 0, deliver, console);
    if (ret) {
        close_fd(&console->our_fd);
        close_fd(&console->vm_fd);
        free(console);
        return ret;
    }
    *out = console;
    return 0;
}

int console_callback_fd(const struct console_callback *console)
{
    return console->vm_fd;
}

ssize_t console_callback_input(struct console_callback *console, const void *bytes, size_t len)
{
    ssize_t n;

    if (len == 0)
        return 0;
    do {
        n = send(console->our_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return errno == EAGAIN ? 0 : -errno;
}

void console_callback_destroy(struct console_callback *console)
{
    if (!console)
        return;
    /* Not only closed: a child that the program forked may have it, too. */
    shutdown(console->vm_fd, SHUT_WR);
    pthread_join(console->thread, NULL);
    close_fd(&console->vm_fd);
    close_fd(&console->our_fd);
    free(console);
}
