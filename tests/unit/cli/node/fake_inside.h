// SPDX-License-Identifier: Apache-2.0
/* The rest of the library of pods in memory: what is inside a pod. Every process copies its input
 * to its output and ends with status 7; every port echoes; every log has three lines, and with
 * `follow` those that fake_log_add() makes. */
#ifndef HUSK_TESTS_CLI_NODE_FAKE_INSIDE_H
#define HUSK_TESTS_CLI_NODE_FAKE_INSIDE_H

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "fake_library.h"

struct husk_pod_process {
    pthread_t thread;
    int in, out;
};

static atomic_int fake_lines = 3, fake_log_fd = -1;

struct husk_pod_log {
    int next;
    bool follow;
    char text[32];
};

/* A damaged pod is in the way. */
int husk_pods_tidy(struct husk_pods *pods, struct husk_error *err)
{
    return error_set(err, EIO, "damaged", "cannot be tidied up", NULL);
}

int husk_pods_watch_fd(struct husk_pods *pods)
{
    return fake_watch_fd;
}

void husk_pods_watch_clear(struct husk_pods *pods)
{
    eventfd_drain(fake_watch_fd);
}

int husk_pod_wait(struct husk_pods *pods, const char *name, enum husk_pod_condition condition,
                  int64_t timeout_ms, struct husk_error *err)
{
    return 0;
}

int husk_pod_stats(struct husk_pods *pods, const char *name, char **json, struct husk_error *err)
{
    *json = strdup("{\"machine\":{\"memory_resident_bytes\":4096,\"cpu_ns\":1000}}");
    return 0;
}

/* Ends with its connection. */
static void *fake_echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char bytes[4096];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0 && !write_full(fd, bytes, (size_t)n))
        ;
    close(fd);
    return NULL;
}

static void *fake_copy(void *arg)
{
    struct husk_pod_process *process = arg;
    char bytes[4096];
    ssize_t n;

    while ((n = recv(process->in, bytes, sizeof(bytes), 0)) > 0 &&
           !write_full(process->out, bytes, (size_t)n))
        ;
    shutdown(process->out, SHUT_WR);
    return NULL;
}

static struct husk_pod_process *fake_process(int *in, int *out)
{
    struct husk_pod_process *process = calloc(1, sizeof(*process));
    int first[2], second[2];

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second);
    *in = first[0];
    process->in = first[1];
    *out = second[0];
    process->out = second[1];
    pthread_create(&process->thread, NULL, fake_copy, process);
    return process;
}

int husk_pod_exec(struct husk_pods *pods, const char *name,
                  const struct husk_pod_exec_options *options, struct husk_pod_process **out,
                  int fds[3], struct husk_error *err)
{
    fds[2] = -1;
    if (strcmp(options->argv[0], "cat") != 0)
        return error_set(err, ENOENT, "args[0]", "cannot be executed", NULL);
    *out = fake_process(&fds[0], &fds[1]);
    return 0;
}

int husk_pod_attach(struct husk_pods *pods, const char *name, const char *container,
                    bool stdin_open, struct husk_pod_process **out, int fds[3],
                    struct husk_error *err)
{
    fds[2] = -1;
    *out = fake_process(&fds[0], &fds[1]);
    return 0;
}

int husk_pod_process_resize(struct husk_pod_process *process, unsigned columns, unsigned rows,
                            struct husk_error *err)
{
    return 0;
}

int husk_pod_process_wait(struct husk_pod_process *process, int64_t timeout_ms, int *status,
                          struct husk_error *err)
{
    *status = 7;
    return 0;
}

void husk_pod_process_free(struct husk_pod_process *process)
{
    if (!process)
        return;
    shutdown(process->in, SHUT_RDWR);
    shutdown(process->out, SHUT_RDWR);
    pthread_join(process->thread, NULL);
    close(process->in);
    close(process->out);
    free(process);
}

int husk_pod_dial(struct husk_pods *pods, const char *name, const char *address, uint16_t port,
                  int *fd, struct husk_error *err)
{
    pthread_t thread;
    int pair[2];

    if (port != 80)
        return error_set(err, ECONNREFUSED, name, "cannot be connected to", NULL);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    *fd = pair[0];
    pthread_create(&thread, NULL, fake_echo, (void *)(intptr_t)pair[1]);
    pthread_detach(thread);
    return 0;
}

int husk_pod_log_open(struct husk_pods *pods, const char *name,
                      const struct husk_pod_log_options *options, struct husk_pod_log **out,
                      struct husk_error *err)
{
    *out = calloc(1, sizeof(**out));
    (*out)->follow = options->follow;
    if (options->tail)
        (*out)->next = 3 - (int)options->tail_lines;
    return 0;
}

int husk_pod_log_next(struct husk_pod_log *log, int64_t timeout_ms, struct husk_pod_log_line *line,
                      struct husk_error *err)
{
    if (fake_log_fd >= 0)
        eventfd_drain(fake_log_fd);
    if (log->next >= fake_lines)
        return log->follow ? 0 : -ENODATA;
    snprintf(log->text, sizeof(log->text), "line %d", log->next++);
    *line = (struct husk_pod_log_line){.text = log->text, .len = strlen(log->text)};
    strcpy(line->time, "2026-11-29T02:00:00.000000000Z");
    return 1;
}

int husk_pod_log_fd(const struct husk_pod_log *log)
{
    return log->follow ? fake_log_fd : -1;
}

void husk_pod_log_close(struct husk_pod_log *log)
{
    free(log);
}

static void fake_log_add(void)
{
    fake_lines++;
    eventfd_signal(fake_log_fd);
}

#endif
