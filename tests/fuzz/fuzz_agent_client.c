// SPDX-License-Identifier: Apache-2.0
/*
 * What an agent may say to the host: messages separated by NUL bytes. One that begins with '!' goes
 * out as it is, without a length; the others are frames. The host opens a control connection (by
 * way of a vsock socket when the first message is "CONNECT") and two requests, and one more after
 * each answer. Whatever comes, each request is answered exactly once, what is made of events is
 * within the contract, and the connection is lost at most once, with a reason.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/io.h"
#include "husk/agent.h"
#include "pod/agent/client.h"
#include "pod/agent/frame.h"

#define MESSAGES_MAX 64u
#define TURNS        100
#define REQUESTS_MAX 16u

struct host {
    struct event_loop *loop;
    struct agent_client *client;
    int agent; /* the agent's end */
    unsigned asked, answered, lost, ready;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static int connect_host(void *arg, struct husk_error *err)
{
    struct host *host = arg;
    int ends[2];

    /* Once; what is closed before the hello would be tried again without end. */
    if (host->agent >= 0)
        return error_set(err, EACCES, "fuzz", "is over", "%s", "");
    require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
    host->agent = ends[0];
    return ends[1];
}

static void ask(struct host *host, const char *method);

static void on_answer(void *arg, const json_t *result, const struct husk_error *error)
{
    struct host *host = arg;
    struct agent_exit exit;
    int pid;

    host->answered++;
    require(!result != !error);
    if (error) {
        require(error->code > 0);
        return;
    }
    require(!host->lost);
    require(json_is_object(result));
    if (!agent_read_exit(result, "wait", &exit, NULL))
        require(!exit.signal || exit.status == 128 + exit.signal);
    if (!agent_read_pid(result, "create", &pid, NULL))
        require(pid > 0);
    ask(host, "state");
}

static void ask(struct host *host, const char *method)
{
    if (host->asked < REQUESTS_MAX &&
        !agent_client_call(host->client, method, NULL, 60000, on_answer, host, NULL))
        host->asked++;
}

static void on_ready(void *arg, const struct agent_hello *hello)
{
    struct host *host = arg;

    host->ready++;
    require(hello->minor <= HUSK_AGENT_MINOR);
    for (const char *at = hello->version; *at; at++)
        require(*at >= 0x20 && *at < 0x7f);
}

static void on_event(void *arg, const struct agent_event *event)
{
    const struct host *host = arg;

    require(host->ready == 1 && !host->lost);
    require(agent_name_valid(event->container));
    require(event->kind == AGENT_EVENT_OOM ||
            (event->kind == AGENT_EVENT_EXIT && agent_name_valid(event->process)));
}

static void on_lost(void *arg, const struct husk_error *why)
{
    struct host *host = arg;

    require(why->code > 0 && why->what[0]);
    host->lost++; /* before the requests are told */
}

static void turn(struct host *host)
{
    for (int i = 0; i < TURNS && event_loop_run_once(host->loop, 0) > 0; i++)
        ;
}

static void say(const struct host *host, const uint8_t *message, size_t len)
{
    uint8_t header[FRAME_HEADER_SIZE];

    if (len > 0 && message[0] == '!') {
        (void)!send(host->agent, message + 1, len - 1, MSG_NOSIGNAL);
        return;
    }
    put_le32(header, (uint32_t)len);
    (void)!send(host->agent, header, sizeof(header), MSG_NOSIGNAL);
    (void)!send(host->agent, message, len, MSG_NOSIGNAL);
}

static void converse(struct host *host, const uint8_t *data, size_t size)
{
    char ignored[4096];

    for (unsigned i = 0; i < MESSAGES_MAX && size > 0 && host->agent >= 0; i++) {
        size_t len = strnlen((const char *)data, size);

        say(host, data, len);
        turn(host);
        while (recv(host->agent, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
            ;
        len += len < size;
        data += len;
        size -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char vsock[] = "CONNECT";
    struct host host = {.agent = -1};
    struct agent_connector connector = {.connect = connect_host, .arg = &host};
    const struct agent_client_callbacks callbacks = {
        .ready = on_ready, .event = on_event, .lost = on_lost, .arg = &host};

    connector.vsock = size >= sizeof(vsock) && !memcmp(data, vsock, sizeof(vsock));
    if (connector.vsock) {
        data += sizeof(vsock);
        size -= sizeof(vsock);
    }
    require(!event_loop_create(&host.loop));
    require(!agent_client_open(host.loop, &connector, 60000, &callbacks, &host.client, NULL));
    ask(&host, "wait");
    ask(&host, "create");
    while (host.agent < 0)
        require(event_loop_run_once(host.loop, 1000) >= 0);
    converse(&host, data, size);
    agent_client_close(host.client);
    require(host.answered == host.asked && host.lost <= 1 && host.ready <= 1);
    close_fd(&host.agent);
    event_loop_destroy(host.loop);
    return 0;
}
