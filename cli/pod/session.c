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

/* A terminal serves both ways. */
int session_add_stream(struct session *session, const char *name, int fd)
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

static void send_size(struct session *session)
{
    uint16_t columns, rows;

    terminal_size(&columns, &rows);
    if (session->terminal && columns && rows)
        session->ops->resize(session->peer, columns, rows);
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
        session->ops->stop(session->peer, 0, 0);
    } else if (session->proxy && !session->terminal) {
        session->ops->signal(session->peer, number);
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
static void take_end(struct session *session, const struct session_news *news)
{
    session->ended = true;
    session->deadline_ns = monotonic_ns() + (session->further ? LINGER_NS : OUTPUT_NS);
    if (session->status)
        return; /* it did not start, which was said */
    session->status = news->status;
    if (news->error.code)
        cli_error(&news->error);
    else if (news->remark)
        cli_message("%s: %s", session->name, news->remark);
}

static int take_news(struct session *session, const struct session_news *news,
                     struct husk_error *err)
{
    switch (news->kind) {
    case SESSION_ENDED:
        take_end(session, news);
        return 0;
    case SESSION_STARTED:
        return session->started ? 0 : enter(session, err);
    case SESSION_REFUSED:
        if (!session->interrupted) {
            cli_error(&news->error);
            session->status = news->status;
        }
        return 0;
    default:
        return 0;
    }
}

/* What the other side has said. */
static int read_news(struct session *session, struct husk_error *err)
{
    struct session_news news;
    int ret;

    while ((ret = session->ops->next(session->peer, &news, err)) == 1) {
        ret = take_news(session, &news, err);
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
    if (session->further)
        session->ops->signal(session->peer, SIGPIPE);
    else
        session->ops->stop(session->peer, SIGPIPE, EPIPE_MS);
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

    ret = read_news(session, err); /* first: some may have come with an earlier answer */
    if (ret)
        return ret;
    if (session->ended && (relay_output_ended(&session->relay) || !poll_timeout(session)))
        return LEAVE + session->status;
    relay_poll(&session->relay, polls);
    if (session->start && !session->started)
        polls[2 * RELAY_IN].fd = -1; /* keys are this process's until the program runs */
    polls[RELAY_POLLS] = (struct pollfd){
        .fd = session->ended ? -1 : session->ops->fd(session->peer), .events = POLLIN};
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
    int ret = open_signals(session);

    if (!session->terminal)
        session->relay.filter.count = 0; /* no keys, but data */
    if (ret)
        return error_set(err, -ret, "", "cannot receive signals", NULL);
    ret = session->ops->begin(session->peer, session->start, err);
    return !ret && !session->start ? enter(session, err) : ret;
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
