// SPDX-License-Identifier: Apache-2.0
/* husk pod exec and attach: a further process in a container, or its first one. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/pod.h"
#include "cli/pods/pods.h"
#include "cli/pods/session_pod.h"
#include "cli/terminal.h"

/* Big: on the heap. */
struct joining {
    struct pods_scope scope;
    const char *container, *detach_keys;
    bool interactive, tty, no_stdin;
    char *name;
    struct husk_pods *pods;
    struct session session;
    struct session_pod peer;
};

#define AT(member) offsetof(struct joining, member)

static const struct pod_option exec_options[] = {
    SCOPE_NAMESPACE(struct joining),
    {'c', "container", true, pod_set_text, AT(container)},
    {'i', "stdin", false, pod_set_flag, AT(interactive)},
    {0, "interactive", false, pod_set_flag, AT(interactive)},
    {'t', "tty", false, pod_set_flag, AT(tty)},
    {0, "detach-keys", true, pod_set_keys, AT(detach_keys)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option attach_options[] = {
    SCOPE_NAMESPACE(struct joining),
    {'c', "container", true, pod_set_text, AT(container)},
    {0, "no-stdin", false, pod_set_flag, AT(no_stdin)},
    {'i', "stdin", false, pod_set_flag, AT(interactive)},
    {'t', "tty", false, pod_set_flag, AT(tty)},
    {0, "detach-keys", true, pod_set_keys, AT(detach_keys)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax exec_syntax = {
    .command = "pod exec",
    .help = "husk pod exec [OPTION...] POD [-c CONTAINER] [--] COMMAND [ARGUMENT...]\n"
            "\n"
            "Run a command in a container that runs, with its environment, user and rights.\n"
            "\n"
            "  -c, --container NAME   default: the pod's annotation\n"
            "                         kubectl.kubernetes.io/default-container, or its first\n"
            "  -i, --stdin            the command gets standard input\n"
            "  -t, --tty              and a terminal\n"
            "      --detach-keys KEYS default: ctrl-p,ctrl-q\n"
            "  -n, --namespace NAME   default: default\n"
            "\n"
            "Exit status: the command's; 125 husk failed; 126 the command cannot be executed; 127\n"
            "it is not there.\n",
    .wants = "a pod and a command",
    .least = 2,
    .most = UINT16_MAX,
    .words_before_end = 2,
    .own_statuses = true,
    .options = exec_options,
};

static const struct pod_syntax attach_syntax = {
    .command = "pod attach",
    .help =
        "husk pod attach [OPTION...] POD\n"
        "\n"
        "Take part in the input and output of a container until this run of it ends, or until\n"
        "the keys Ctrl-p Ctrl-q. What it wrote before is in its log. It gets standard input and\n"
        "its terminal when its description has stdin and tty.\n"
        "\n"
        "  -c, --container NAME   default: the pod's annotation\n"
        "                         kubectl.kubernetes.io/default-container, or its first\n"
        "      --no-stdin         output only\n"
        "  -i, --stdin, -t, --tty accepted; that is so where it can be\n"
        "      --detach-keys KEYS default: ctrl-p,ctrl-q\n"
        "  -n, --namespace NAME   default: default\n"
        "\n"
        "Exit status: the container's; 0 after the keys; 125 husk failed.\n",
    .wants = "one pod",
    .least = 1,
    .most = 1,
    .own_statuses = true,
    .options = attach_options,
};

static int join_session(struct joining *joining, struct husk_pod_process *process, int fds[3],
                        struct husk_error *err)
{
    struct session *session = &joining->session;
    int ret;

    session->name = joining->name;
    if (joining->detach_keys)
        detach_keys_parse(joining->detach_keys, &session->relay.filter);
    ret = session_pod_begin(session, &joining->peer, process, fds);
    return ret ? error_set(err, -ret, joining->name, "cannot be connected", NULL) : 0;
}

static int exec(struct joining *joining, char **words, struct husk_error *err)
{
    struct husk_pod_exec_options options = HUSK_POD_EXEC_OPTIONS_INIT;
    struct session *session = &joining->session;
    struct husk_pod_process *process;
    uint16_t columns = 0, rows = 0;
    int fds[3], ret;

    if (joining->tty)
        terminal_size(&columns, &rows);
    options.container = joining->container;
    options.argv = (const char *const *)words + 1;
    options.stdin_open = session->input = joining->interactive;
    options.tty = session->terminal = joining->tty;
    options.columns = columns;
    options.rows = rows;
    session->further = session->proxy = session->owns = true;
    ret = husk_pod_exec(joining->pods, joining->name, &options, &process, fds, err);
    return ret ? ret : join_session(joining, process, fds, err);
}

/* Whether the container has standard input and a terminal, as its description says. */
static int look_at(struct joining *joining, bool *has_stdin, bool *has_tty, struct husk_error *err)
{
    static const char *const lists[] = {"containers", "initContainers"};
    const char *container = joining->container;
    json_t *pod = NULL;
    int ret = pods_get(joining->pods, joining->name, &pod, err);

    if (!ret && !container)
        container = pods_default_container(pod);

    for (unsigned k = 0; container && k < 2; k++) {
        json_t *one;
        size_t i;

        json_array_foreach(json_object_get(json_object_get(pod, "spec"), lists[k]), i, one)
        {
            if (strcmp(json_string_value(json_object_get(one, "name")), container) != 0)
                continue;
            *has_stdin = json_is_true(json_object_get(one, "stdin"));
            *has_tty = json_is_true(json_object_get(one, "tty"));
        }
    }
    json_decref(pod);
    return ret;
}

static int attach(struct joining *joining, struct husk_error *err)
{
    struct session *session = &joining->session;
    struct husk_pod_process *process;
    bool has_stdin = false, has_tty = false;
    int fds[3], ret;

    ret = look_at(joining, &has_stdin, &has_tty, err);
    if (ret)
        return ret;
    session->input = has_stdin && !joining->no_stdin;
    session->terminal = has_tty;
    session->proxy = true;
    if (has_tty && session->input && !isatty(STDIN_FILENO))
        return error_set(err, ENOTTY, joining->name, "has a terminal, but standard input is none",
                         "see --no-stdin");
    ret = husk_pod_attach(joining->pods, joining->name, joining->container, session->input,
                          &process, fds, err);
    return ret ? ret : join_session(joining, process, fds, err);
}

static int run(struct joining *joining, const struct pod_syntax *syntax, char **words)
{
    struct husk_error err = {0};
    int ret;

    if (syntax == &exec_syntax && joining->tty && joining->interactive && !isatty(STDIN_FILENO))
        return pod_usage(syntax, "-t with -i: standard input is no terminal");
    joining->name = scope_name(&joining->scope, words[0]);
    joining->pods = joining->name ? pods_open_all() : NULL;
    if (!joining->pods)
        return STATUS_OURS;
    ret = syntax == &exec_syntax ? exec(joining, words, &err) : attach(joining, &err);
    if (!ret)
        return session_run(&joining->session);
    cli_error(&err);
    if (strcmp(err.where, "args[0]") != 0)
        return STATUS_OURS;
    return ret == -ENOENT ? STATUS_NOT_FOUND : ret == -EACCES ? STATUS_NOT_EXECUTABLE : STATUS_OURS;
}

static int join_process(const struct pod_syntax *syntax, int argc, char **argv)
{
    struct joining *joining = calloc(1, sizeof(*joining));
    char **words;
    unsigned count;
    int status;

    if (!joining) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_OURS;
    }
    session_init(&joining->session);
    status = pod_options_parse(syntax, joining, argc, argv, &words, &count);
    if (!status) {
        words[count] = NULL; /* words have moved down in argv, over options */
        status = run(joining, syntax, words);
    }
    session_close(&joining->session);
    session_pod_clear(&joining->peer);
    husk_pods_close(joining->pods);
    free(joining->name);
    free(joining);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}

int verb_exec(int argc, char **argv)
{
    return join_process(&exec_syntax, argc, argv);
}

int verb_attach(int argc, char **argv)
{
    return join_process(&attach_syntax, argc, argv);
}
