// SPDX-License-Identifier: Apache-2.0
/* Being connected to a process of a container: see session.h. */
#include "cli/pod/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "cli/pod/pod.h"
#include "cli/terminal.h"

#define MS_NS     UINT64_C(1000000)
/* How long after the end of the process its output is waited for: of the container's first it
 * always ends; of another it may be held by a process that was left in the background. */
#define OUTPUT_NS (10000 * MS_NS)
#define LINGER_NS (1000 * MS_NS)
#define EPIPE_MS  1000

/* What may be meant for the container. SIGTSTP and the like are this process's own. */
static const int proxied[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM};

void session_init(struct session *session)
{
    memset(session, 0, sizeof(*session));
    session->signal_fd = -1;
    relay_init(&session->relay);
    detach_keys_parse(DETACH_KEYS_DEFAULT, &session->relay.filter);
}

void session_close(struct session *session)
{
    relay_close(&session->relay);
    close_fd(&session->signal_fd);
}

/* One descriptor under its name. A terminal serves both ways. */
static int take_stream(struct session *session, const char *name, int fd)
{
    struct relay *relay = &session->relay;

    if (!strcmp(name, "stdin"))
        return relay_add(relay, RELAY_IN, STDIN_FILENO, fd, false);
    if (!strcmp(name, "stdout"))
        return relay_add(relay, RELAY_OUT, STDOUT_FILENO, fd, false);
    if (!strcmp(name, "stderr"))
        return relay_add(relay, RELAY_ERR, STDERR_FILENO, fd, false);
    if (!strcmp(name, "terminal")) {
        int copy = session->input ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        int ret = session->input && copy < 0 ? -errno : 0;

        if (!ret && session->input)
            ret = relay_add(relay, RELAY_IN, STDIN_FILENO, copy, true);
        if (!ret)
            return relay_add(relay, RELAY_OUT, STDOUT_FILENO, fd, true);
        close(fd);
        return ret;
    }
    close(fd);
    return -EPROTO;
}

int session_take_streams(struct session *session, struct control_message *answer,
                         struct husk_error *err)
{
    const json_t *names = json_object_get(answer->body, "streams");

    if (json_array_size(names) != answer->fd_count)
        return error_set(err, EPROTO, "the supervisor", "cannot be understood",
                         "it sent other streams than it said");
    for (unsigned i = 0; i < answer->fd_count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        int fd = answer->fds[i];
        int ret;

        answer->fds[i] = -1;
        ret = take_stream(session, name ? name : "", fd);
        if (ret)
            return error_set(err, -ret, name, "cannot be connected", NULL);
    }
    return 0;
}

static int open_signals(struct session *session)
{
    sigset_t set;

    sigemptyset(&set);
    if (session->proxy || session->terminal || session->start) {
        for (unsigned i = 0; i < ARRAY_SIZE(proxied); i++)
            sigaddset(&set, proxied[i]);
    }
    if (session->terminal) {
        sigaddset(&set, SIGWINCH);
        sigaddset(&set, SIGTSTP);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    session->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return session->signal_fd < 0 ? -errno : 0;
}

/* A request whose answer does not matter: the process may have ended meanwhile. */
static void ask(struct session *session, const char *method, json_t *params)
{
    uint64_t id;

    if (session->process && params)
        json_object_set_new(params, "process", json_string(session->process));
    control_client_send(session->client, method, params, &id, NULL);
}

static void send_size(struct session *session)
{
    uint16_t columns, rows;

    terminal_size(&columns, &rows);
    if (session->terminal && columns && rows)
        ask(session, "resize", json_pack("{s:i, s:i}", "columns", columns, "rows", rows));
}

/* Its program runs: from here on keys and signals are its own. */
static int enter(struct session *session, struct husk_error *err)
{
    int ret = 0;

    session->started = true;
    send_size(session);
    if (session->terminal && session->input)
        ret = terminal_enter_raw();
    return ret ? error_set(err, -ret, "stdin", "cannot set the terminal to raw mode", NULL) : 0;
}

static int on_signal(struct session *session, int number)
{
    if (number == SIGWINCH) {
        send_size(session);
    } else if (number == SIGTSTP) {
        terminal_suspend();
        send_size(session);
    } else if (!session->started) {
        /* Asked twice, it is not waited for. */
        if (session->interrupted)
            return 128 + number;
        session->interrupted = true;
        session->status = 128 + number;
        ask(session, "stop", json_pack("{s:i}", "grace_ms", 0));
    } else if (session->proxy && !session->terminal) {
        ask(session, "kill", json_pack("{s:i}", "signal", number));
    } else {
        return 128 + number;
    }
    return 0;
}

static int read_signals(struct session *session)
{
    struct signalfd_siginfo info;
    int leave = 0;

    while (!leave && read(session->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        leave = on_signal(session, (int)info.ssi_signo);
    return leave;
}

/* The end of the process, or of the try to start it. */
static void take_end(struct session *session, struct control_message *message)
{
    struct husk_error err = message->error;
    int status;

    session->ended = true;
    session->deadline_ns = monotonic_ns() + (session->process ? LINGER_NS : OUTPUT_NS);
    if (!err.code && !pod_exit_status(message->body, &status, &err)) {
        const char *why = json_string_value(json_object_get(message->body, "error"));

        if (session->status)
            return; /* it did not start, which was said */
        session->status = status;
        if (why && why[0])
            cli_message("%s: %s", session->name, why);
        else if (json_is_true(json_object_get(message->body, "oom")))
            cli_message("%s: ended for want of memory (see -m)", session->name);
        return;
    }
    if (!session->status)
        cli_error(&err);
    session->status = session->status ? session->status : STATUS_OURS;
}

static int take_message(struct session *session, struct control_message *message,
                        struct husk_error *err)
{
    if (message->is_event)
        return 0;
    if (message->id == session->wait_id) {
        take_end(session, message);
        return 0;
    }
    if (!session->start || session->started || message->id != session->start_id)
        return 0;
    if (!message->error.code)
        return enter(session, err);
    if (!session->interrupted) {
        cli_error(&message->error);
        session->status = message->status ? message->status : STATUS_OURS;
    }
    return 0;
}

/* What the supervisor has said. */
static int read_messages(struct session *session, struct husk_error *err)
{
    struct control_message message;
    int ret;

    while ((ret = control_client_receive(session->client, false, &message, err)) == 1) {
        ret = take_message(session, &message, err);
        control_message_clear(&message);
        if (ret)
            return ret;
    }
    /* Its end says nothing new when the container's is known. */
    return ret < 0 && session->ended ? 0 : ret;
}

/* Standard output or error cannot be written any more. */
static void check_output(struct session *session)
{
    int code = session->relay.write_error;

    if (!code || session->write_failed)
        return;
    session->write_failed = true;
    if (code != EPIPE && code != ECONNRESET) {
        cli_message("standard output: cannot be written: %s", error_text(code));
        session->write_status = STATUS_OURS;
    }
    if (!session->owns)
        return;
    if (session->process)
        ask(session, "kill", json_pack("{s:i}", "signal", SIGPIPE));
    else
        ask(session, "stop", json_pack("{s:i, s:i}", "signal", SIGPIPE, "grace_ms", EPIPE_MS));
}

static int poll_timeout(const struct session *session)
{
    uint64_t now = monotonic_ns();

    if (!session->deadline_ns)
        return -1;
    return session->deadline_ns <= now ? 0 : (int)((session->deadline_ns - now) / MS_NS + 1);
}

/* One turn. Returns 0 to go on, -errno, or the status with which to leave plus LEAVE. */
#define LEAVE 1000

static int turn(struct session *session, struct husk_error *err)
{
    struct pollfd polls[RELAY_POLLS + 2];
    int leave, ret;

    ret = read_messages(session, err); /* first: some may have come with an earlier answer */
    if (ret)
        return ret;
    if (session->ended && (relay_output_ended(&session->relay) || !poll_timeout(session)))
        return LEAVE + session->status;
    relay_poll(&session->relay, polls);
    if (session->start && !session->started)
        polls[2 * RELAY_IN].fd = -1; /* keys are this process's until the program runs */
    polls[RELAY_POLLS] = (struct pollfd){
        .fd = session->ended ? -1 : control_client_fd(session->client), .events = POLLIN};
    polls[RELAY_POLLS + 1] = (struct pollfd){.fd = session->signal_fd, .events = POLLIN};
    if (poll(polls, ARRAY_SIZE(polls), poll_timeout(session)) < 0)
        return errno == EINTR ? 0 : error_set(err, errno, "", "cannot wait for events", NULL);
    if (polls[RELAY_POLLS + 1].revents) {
        leave = read_signals(session);
        if (leave)
            return LEAVE + leave;
    }
    relay_work(&session->relay, polls);
    check_output(session);
    if (session->write_failed && !session->owns)
        return LEAVE + (session->write_status ? session->write_status : 128 + SIGPIPE);
    if (session->relay.detached) {
        terminal_restore();
        cli_message("%s: detached, it goes on", session->name);
        return LEAVE;
    }
    return 0;
}

static int begin(struct session *session, struct husk_error *err)
{
    json_t *params = session->process ? json_pack("{s:s}", "process", session->process) : NULL;
    int ret = open_signals(session);

    if (!session->terminal)
        session->relay.filter.count = 0; /* no keys, but data */
    if (ret)
        error_set(err, -ret, "", "cannot receive signals", NULL);
    if (!ret && session->start)
        ret = control_client_send(session->client, "start", NULL, &session->start_id, err);
    if (ret)
        json_decref(params);
    else
        ret = control_client_send(session->client, "wait", params, &session->wait_id, err);
    if (!ret && !session->start)
        ret = enter(session, err);
    return ret;
}

int session_run(struct session *session)
{
    struct husk_error err = {0};
    int ret = begin(session, &err);

    while (!ret)
        ret = turn(session, &err);
    terminal_restore();
    if (ret < 0) {
        cli_error(&err);
        return session->status ? session->status : STATUS_OURS;
    }
    ret -= LEAVE;
    return ret ? ret : session->write_status;
}
