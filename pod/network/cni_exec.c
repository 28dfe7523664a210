// SPDX-License-Identifier: Apache-2.0
/*
 * One run of one CNI plugin: see cni_exec.h.
 *
 * The configuration is a memory file, so that nobody has to write while the other reads. Between
 * fork and execve only calls are made that are safe in a process with threads. The plugin dies with
 * the thread that started it; what it has started itself does not (record.h: who may wait for it).
 */
#include "pod/network/cni_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

#define WORDS_MAX   512u /* of standard error that are kept: its end */
#define VARIABLES   8u
#define FDS_ABOVE   3
#define EXEC_FAILED 127

static const char wrong[] = "cannot run the CNI plugin";

/* ---- where it is ---- */

static const char *plugin_path(void)
{
    const char *path = secure_getenv("CNI_PATH");

    return path && path[0] ? path : CNI_PATH;
}

static int find_plugin(const char *type, char out[PATH_MAX])
{
    for (const char *at = plugin_path(); *at;) {
        size_t len = strcspn(at, ":");

        if (at[0] == '/' &&
            snprintf(out, PATH_MAX, "%.*s/%s", (int)len, at, type) < (int)PATH_MAX &&
            access(out, X_OK) == 0)
            return 0;
        at += len + (at[len] == ':');
    }
    return -ENOENT;
}

/* ---- the process ---- */

struct run {
    char program[PATH_MAX];
    char *environment[VARIABLES + 1];
    unsigned variables;
    int input, output[2], words[2], hold;
    pid_t pid;
    int process; /* its pidfd */
    char *bytes;
    size_t len;
    char said[WORDS_MAX + 1]; /* on standard error */
    size_t said_len;
};

static int add_variable(struct run *run, const char *name, const char *value)
{
    if (!value)
        return 0;
    if (asprintf(&run->environment[run->variables], "%s=%s", name, value) < 0) {
        run->environment[run->variables] = NULL;
        return -ENOMEM;
    }
    run->variables++;
    return 0;
}

static int set_environment(struct run *run, const struct cni_call *call)
{
    const char *path = getenv("PATH");
    int ret = add_variable(run, "CNI_COMMAND", call->command);

    if (!ret)
        ret = add_variable(run, "CNI_CONTAINERID", call->container);
    if (!ret)
        ret = add_variable(run, "CNI_NETNS", call->netns);
    if (!ret)
        ret = add_variable(run, "CNI_IFNAME", call->interface);
    if (!ret)
        ret = add_variable(run, "CNI_ARGS", call->args);
    if (!ret)
        ret = add_variable(run, "CNI_PATH", plugin_path());
    return ret ? ret : add_variable(run, "PATH", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
}

static int set_input(struct run *run, const json_t *configuration)
{
    char *text = json_dumps(configuration, JSON_COMPACT);
    int ret = text ? 0 : -ENOMEM;

    if (!ret && (run->input = memfd_create("cni", MFD_CLOEXEC)) < 0)
        ret = -errno;
    if (!ret)
        ret = write_full(run->input, text, strlen(text));
    if (!ret && lseek(run->input, 0, SEEK_SET) < 0)
        ret = -errno;
    free(text);
    return ret;
}

/* Out of the way of 0 to 2 first, whichever of these the program has closed. */
static _Noreturn void child(const struct run *run, pid_t parent)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    char *argv[] = {(char *)run->program, NULL};
    int input = fcntl(run->input, F_DUPFD_CLOEXEC, FDS_ABOVE);
    int output = fcntl(run->output[1], F_DUPFD_CLOEXEC, FDS_ABOVE);
    int words = fcntl(run->words[1], F_DUPFD_CLOEXEC, FDS_ABOVE);
    int hold = run->hold ? fcntl(run->hold, F_DUPFD_CLOEXEC, FDS_ABOVE) : -1;
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &by_default, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* The parent may have ended before. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && setpgid(0, 0) == 0 &&
        dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(words, 2) == 2 && chdir("/") == 0 &&
        close_range(FDS_ABOVE, ~0u, CLOSE_RANGE_CLOEXEC) == 0 &&
        (!run->hold || fcntl(hold, F_SETFD, 0) == 0))
        execve(run->program, argv, run->environment);
    _exit(EXEC_FAILED);
}

static int start(struct run *run)
{
    const pid_t parent = getpid();

    if (pipe2(run->output, O_CLOEXEC) < 0 || pipe2(run->words, O_CLOEXEC) < 0)
        return -errno;
    run->pid = fork();
    if (run->pid == 0)
        child(run, parent);
    if (run->pid < 0)
        return -errno;
    (void)setpgid(run->pid, run->pid); /* whoever is first */
    close_fd(&run->output[1]);
    close_fd(&run->words[1]);
    if (fcntl(run->output[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(run->words[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    run->process = (int)syscall(SYS_pidfd_open, run->pid, 0);
    return run->process < 0 ? -errno : 0;
}

/* ---- what it says ---- */

/* 1 at the end, 0 when there is no more for now. */
static int take_output(struct run *run)
{
    for (;;) {
        ssize_t len;

        if (run->len == CNI_OUTPUT_MAX)
            return -EFBIG;
        len = read(run->output[0], run->bytes + run->len, CNI_OUTPUT_MAX - run->len);
        if (len == 0)
            return 1;
        if (len < 0)
            return errno == EAGAIN ? 0 : errno == EINTR ? 0 : -errno;
        run->len += (size_t)len;
    }
}

static int take_words(struct run *run)
{
    char part[WORDS_MAX];

    for (;;) {
        ssize_t len = read(run->words[0], part, sizeof(part));
        size_t drop;

        if (len <= 0)
            return len == 0;
        drop =
            run->said_len + (size_t)len > WORDS_MAX ? run->said_len + (size_t)len - WORDS_MAX : 0;
        if (drop > run->said_len)
            drop = run->said_len;
        memmove(run->said, run->said + drop, run->said_len - drop);
        run->said_len -= drop;
        memcpy(run->said + run->said_len, part, (size_t)len);
        run->said_len += (size_t)len;
        run->said[run->said_len] = '\0';
    }
}

/* Until it has ended; a process that it left behind with its output does not keep us. */
static int listen_to(struct run *run, unsigned timeout_ms)
{
    uint64_t end = monotonic_ns() + timeout_ms * UINT64_C(1000000);
    struct pollfd fds[] = {{.fd = run->process, .events = POLLIN},
                           {.fd = run->output[0], .events = POLLIN},
                           {.fd = run->words[0], .events = POLLIN}};
    int ret = 0;

    while (!ret) {
        uint64_t now = monotonic_ns();

        if (now >= end)
            return -ETIMEDOUT;
        if (poll(fds, 3, (int)((end - now) / 1000000) + 1) < 0 && errno != EINTR)
            return -errno;
        ret = fds[1].fd < 0 ? 0 : take_output(run);
        if (ret < 0)
            return ret;
        if (ret > 0)
            fds[1].fd = -1;
        if (fds[2].fd >= 0 && take_words(run))
            fds[2].fd = -1;
        ret = fds[0].revents & POLLIN;
    }
    /* What it wrote last may have come after the look. */
    ret = take_output(run);
    (void)take_words(run);
    return ret < 0 ? ret : 0;
}

static int run_plugin(struct run *run, const struct cni_call *call, const json_t *configuration,
                      int *status)
{
    int ret = set_environment(run, call);

    run->bytes = malloc(CNI_OUTPUT_MAX);
    if (!ret)
        ret = run->bytes ? set_input(run, configuration) : -ENOMEM;
    if (!ret)
        ret = start(run);
    if (!ret)
        ret = listen_to(run, call->timeout_ms);
    if (run->pid > 0) {
        if (ret)
            (void)kill(-run->pid, SIGKILL);
        while (waitpid(run->pid, status, 0) < 0 && errno == EINTR)
            ;
    }
    return ret;
}

static void finish(struct run *run)
{
    for (unsigned i = 0; i < run->variables; i++)
        free(run->environment[i]);
    free(run->bytes);
    close_fd(&run->input);
    for (unsigned i = 0; i < 2; i++) {
        close_fd(&run->output[i]);
        close_fd(&run->words[i]);
    }
    close_fd(&run->process);
}

/* ---- what it means ---- */

int cni_explain(const char *type, const json_t *said, int status, const char *words,
                struct husk_error *err)
{
    const char *message = json_string_value(json_object_get(said, "msg"));
    const char *details = json_string_value(json_object_get(said, "details"));

    if (message)
        return error_set(err, EIO, type, "the CNI plugin failed", "%s%s%s", message,
                         details && details[0] ? "; " : "", details ? details : "");
    if (WIFSIGNALED(status))
        return error_set(err, EIO, type, "the CNI plugin failed", "signal %d ended it",
                         WTERMSIG(status));
    return error_set(err, EIO, type, "the CNI plugin failed", "status %d%s%s", WEXITSTATUS(status),
                     words[0] ? ": " : "", words);
}

static bool is_blank(const struct run *run)
{
    for (size_t i = 0; i < run->len; i++) {
        if (!strchr(" \t\r\n", run->bytes[i]) || !run->bytes[i])
            return false;
    }
    return true;
}

static int judge(const struct run *run, const char *type, int status, json_t **result,
                 struct husk_error *err)
{
    struct husk_error reason;
    bool blank = is_blank(run);

    *result = blank ? NULL : image_json_parse(run->bytes, run->len, type, &reason);
    if (status != 0) {
        int ret = cni_explain(type, *result, status, run->said, err);

        json_decref(*result);
        *result = NULL;
        return ret;
    }
    if (!blank && !*result)
        return error_set(err, EPROTO, type, "cannot read the result of the CNI plugin", "%s",
                         reason.why);
    return 0;
}

int cni_exec(const char *type, const struct cni_call *call, const json_t *configuration,
             json_t **result, struct husk_error *err)
{
    struct run run = {
        .input = -1, .output = {-1, -1}, .words = {-1, -1}, .hold = call->hold, .process = -1};
    int status = 0, ret = find_plugin(type, run.program);

    *result = NULL;
    if (ret)
        return error_set(err, ENOENT, type, wrong, "there is none in %s", plugin_path());
    ret = run_plugin(&run, call, configuration, &status);
    if (ret == -ETIMEDOUT)
        ret = error_set(err, ETIMEDOUT, type, wrong, "%s took longer than %u ms and was killed",
                        call->command, call->timeout_ms);
    else if (ret == -EFBIG)
        ret = error_set(err, EFBIG, type, wrong, "%s wrote more than %u bytes and was killed",
                        call->command, CNI_OUTPUT_MAX);
    else if (ret)
        ret = error_set(err, -ret, type, wrong, NULL);
    else
        ret = judge(&run, type, status, result, err);
    finish(&run);
    return ret;
}
