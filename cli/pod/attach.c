// SPDX-License-Identifier: Apache-2.0
/* husk attach: taking part in the input and output of a container's first process. */
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/join.h"

#define AT(member) offsetof(struct joining, member)

static const struct pod_option options[] = {
    {0, "no-stdin", false, pod_set_flag, AT(no_stdin)},
    {0, "sig-proxy", false, pod_set_flag, AT(sig_proxy)},
    {0, "detach-keys", true, pod_set_keys, AT(detach_keys)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "attach",
    .help = "husk attach [--no-stdin] [--sig-proxy=false] [--detach-keys KEYS] CONTAINER\n"
            "\n"
            "Take part in a container's input and output until it ends, or until the keys Ctrl-p\n"
            "Ctrl-q. What it wrote before is in its log (husk logs).\n"
            "\n"
            "      --no-stdin          output only\n"
            "      --sig-proxy=false   without a terminal, do not send signals on\n"
            "      --detach-keys KEYS  default: ctrl-p,ctrl-q\n"
            "\n"
            "Exit status: the container's; 0 after the keys; 125 husk failed.\n",
    .wants = "one container",
    .least = 1,
    .most = 1,
    .own_statuses = true,
    .options = options,
};

static int attach(struct joining *joining, const char *text)
{
    struct session *session = &joining->session;
    struct control_message answer;
    struct husk_error err = {0};
    int ret = joining_begin(joining, text, &err);

    if (!ret) {
        session->terminal = pod_has_terminal(&joining->record);
        session->input = !joining->no_stdin && joining->record.stdin_mode != CONTAINER_STDIN_NONE;
        session->proxy = joining->sig_proxy;
        if (session->terminal && session->input && !isatty(STDIN_FILENO))
            ret = error_set(&err, ENOTTY, session->name,
                            "has a terminal, but standard input is none", "see --no-stdin");
    }
    if (!ret)
        ret = control_client_call(joining->client, "attach",
                                  json_pack("{s:b, s:b}", "stdin", session->input, "wait", 0),
                                  &answer, &err);
    if (!ret) {
        ret = session_container_streams(session, &answer, &err);
        control_message_clear(&answer);
    }
    if (!ret)
        return session_run(session);
    cli_error(&err);
    return STATUS_OURS;
}

int pod_attach(int argc, char **argv)
{
    struct joining *joining = joining_new();
    char **words;
    unsigned count;
    int status;

    if (!joining)
        return STATUS_OURS;
    joining->sig_proxy = true;
    status = pod_options_parse(&syntax, joining, argc, argv, &words, &count);
    if (!status)
        status = attach(joining, words[0]);
    joining_free(joining);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
