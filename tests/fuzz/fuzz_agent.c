// SPDX-License-Identifier: Apache-2.0
/*
 * What a host may say to the agent: messages separated by NUL bytes. One that begins with '!' goes
 * out as it is, without a length; a hello opens a connection of its own; the others are requests of
 * a connection that has said hello. There is one container, whose process does not exist, with
 * streams. Afterwards a well-behaved host must get its answer.
 *
 * The process has no privileges: nothing of the machine can be mounted, named, started or routed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "guest/agent/connection.h"
#include "guest/agent/container.h"
#include "guest/agent/stream.h"

#define MESSAGES_MAX 64u
#define TURNS        200
#define HELLO        "{\"husk\": {\"major\": 1, \"minor\": 0}, \"role\": \"control\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

    signal(SIGPIPE, SIG_IGN); /* as the agent's main function does */
    memset(none, 0, sizeof(none));
    if (syscall(SYS_capset, &header, none) < 0)
        abort();
    return 0;
}

static void turn(struct agent *agent)
{
    for (int i = 0; i < TURNS && agent->loop && event_loop_run_once(agent->loop, 0) > 0; i++)
        ;
}

static int connect_host(struct agent *agent)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
        abort();
    connection_accept(agent, ends[0]);
    return ends[1];
}

static void say(struct agent *agent, int host, const void *message, size_t len)
{
    uint8_t header[4];

    put_le32(header, (uint32_t)len);
    (void)!send(host, header, sizeof(header), MSG_NOSIGNAL);
    (void)!send(host, message, len, MSG_NOSIGNAL);
    turn(agent);
}

/* As container_create() leaves it, but for the kernel's part. */
static void add_container(struct agent *agent)
{
    struct container *container = calloc(1, sizeof(*container));
    struct process *process = calloc(1, sizeof(*process));

    if (!container || !process)
        abort();
    snprintf(container->name, sizeof(container->name), "c");
    snprintf(process->name, sizeof(process->name), "init");
    container->agent = agent;
    container->status = CONTAINER_RUNNING;
    container->cgroup = (struct cgroup){.parent = -1, .dir = -1};
    container->oom_events = -1;
    container->init_launched = (struct launched){.pidfd = -1, .channel = -1, .terminal = -1};
    process->container = container;
    process->pidfd = -1;
    for (unsigned name = STREAM_STDIN; name <= STREAM_STDERR; name++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) ||
            stream_create(agent->loop, ends[name != STREAM_STDIN ? 0 : 1], (enum stream_name)name,
                          &process->streams[name]))
            abort();
        close(ends[name != STREAM_STDIN ? 1 : 0]);
    }
    container->processes = process;
    agent->containers = container;
    agent->container_count = agent->process_count = 1;
}

static void check_that_it_answers(struct agent *agent)
{
    static const char question[] = "{\"id\": 7, \"method\": \"list\", \"params\": {}}";
    int host = connect_host(agent);
    char answer[8192];
    ssize_t len;

    say(agent, host, HELLO, strlen(HELLO));
    say(agent, host, question, strlen(question));
    len = recv(host, answer, sizeof(answer), 0);
    if (len < 8 || !memmem(answer, (size_t)len, "\"id\":7,\"result\"", 15))
        abort();
    close(host);
    turn(agent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent agent;
    int host, hosts[MESSAGES_MAX];
    unsigned count = 0, opened = 0;

    if (agent_init(&agent, NULL, -1, false))
        abort();
    add_container(&agent);
    hosts[opened++] = host = connect_host(&agent);
    say(&agent, host, HELLO, strlen(HELLO));
    while (size > 0 && count++ < MESSAGES_MAX - 1) {
        const uint8_t *end = memchr(data, 0, size);
        size_t len = end ? (size_t)(end - data) : size;

        if (len > 1 && data[0] == '!') {
            (void)!send(host, data + 1, len - 1, MSG_NOSIGNAL);
            turn(&agent);
        } else if (len > 6 && !memcmp(data, "{\"husk", 6)) {
            hosts[opened++] = host = connect_host(&agent);
            say(&agent, host, data, len);
        } else {
            say(&agent, hosts[0], data, len);
        }
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    check_that_it_answers(&agent);
    while (opened > 0)
        close(hosts[--opened]);
    turn(&agent);
    agent_end(&agent);
    if (agent.container_count || agent.wait_count || agent.process_count)
        abort();
    return 0;
}
