// SPDX-License-Identifier: Apache-2.0
/* husk exec: a further process in a container that runs. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/join.h"
#include "cli/terminal.h"
#include "pod/spec/spec.h"

#define AT(member) offsetof(struct joining, member)

static const struct pod_option options[] = {
    {'i', "interactive", false, pod_set_flag, AT(interactive)},
    {'t', "tty", false, pod_set_flag, AT(tty)},
    {'d', "detach", false, pod_set_flag, AT(detach)},
    {'e', "env", true, pod_add_text, AT(env)},
    {0, "env-file", true, pod_add_text, AT(env_files)},
    {'w', "workdir", true, pod_set_text, AT(directory)},
    {'u', "user", true, pod_set_text, AT(user)},
    {0, "privileged", false, pod_set_flag, AT(privileged)},
    {0, "detach-keys", true, pod_set_keys, AT(detach_keys)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "exec",
    .help = "husk exec [OPTION...] CONTAINER COMMAND [ARGUMENT...]\n"
            "\n"
            "Run a command in a container that runs, with its environment and rights.\n"
            "\n"
            "  -i, --interactive       the command gets standard input\n"
            "  -t, --tty               and a terminal\n"
            "  -d, --detach            in the background, without output\n"
            "  -e, --env NAME[=VALUE], --env-file FILE\n"
            "  -w, --workdir DIRECTORY\n"
            "  -u, --user USER[:GROUP]\n"
            "      --privileged        with all capabilities\n"
            "      --detach-keys KEYS  default: ctrl-p,ctrl-q\n"
            "\n"
            "Exit status: the command's; 125 husk failed; 126 the command cannot be executed; 127\n"
            "it is not there.\n",
    .wants = "a container and a command",
    .least = 2,
    .most = UINT16_MAX,
    .words_before_end = 1,
    .own_statuses = true,
    .options = options,
};

/* The parameters of "exec"; NULL with err filled. */
static json_t *exec_request(const struct joining *joining, char **words, unsigned count,
                            struct husk_error *err)
{
    struct spec_exec_options asked = {
        .command = {.words = (const char *const *)words + 1, .count = count - 1},
        .tty = joining->tty,
        .privileged = joining->privileged,
        .env = {.words = joining->env.items, .count = joining->env.count},
        .env_files = {.words = joining->env_files.items, .count = joining->env_files.count},
        .environment = environ,
        .directory = joining->directory,
        .user = joining->user,
    };
    char user[SPEC_USER_MAX + 1];
    json_t *process = NULL;
    struct spec spec;
    uint16_t columns = 0, rows = 0;

    if (spec_load(joining->record.spec, joining->container->name, &spec, err))
        return NULL;
    if (joining->tty)
        terminal_size(&columns, &rows);
    asked.columns = columns;
    asked.rows = rows;
    if (spec_exec(spec.config, spec.user, &asked, &process, user, err))
        process = NULL;
    spec_clear(&spec);
    if (!process)
        return NULL;
    return json_pack("{s:o, s:s, s:b, s:b}", "config", process, "user", user, "stdin",
                     joining->interactive, "detach", joining->detach);
}

static int exec(struct joining *joining, char **words, unsigned count)
{
    struct session *session = &joining->session;
    struct control_message answer = {.fds = {-1, -1, -1}};
    struct husk_error err = {0};
    json_t *request = NULL;
    char process[HUSK_AGENT_NAME_MAX + 1];
    int ret, status = STATUS_OURS;

    if (joining->tty && joining->interactive && !joining->detach && !isatty(STDIN_FILENO))
        return pod_usage(&syntax, "-t with -i: standard input is no terminal");
    ret = joining_begin(joining, words[0], &err);
    if (!ret) {
        request = exec_request(joining, words, count, &err);
        ret = request ? control_client_call(joining->client, "exec", request, &answer, &err)
                      : -EINVAL;
        status = answer.status ? answer.status : STATUS_OURS;
    }
    if (!ret && joining->detach) {
        control_message_clear(&answer);
        return STATUS_OK;
    }
    if (!ret) {
        const char *name = json_string_value(json_object_get(answer.body, "process"));

        snprintf(process, sizeof(process), "%s", name ? name : "");
        session_container_begin(session, &joining->peer, joining->client, process);
        session->terminal = joining->tty;
        session->input = joining->interactive;
        session->proxy = session->owns = true;
        ret = session_container_streams(session, &answer, &err);
    }
    control_message_clear(&answer);
    if (!ret)
        return session_run(session);
    cli_error(&err);
    return status;
}

int pod_exec(int argc, char **argv)
{
    struct joining *joining = joining_new();
    char **words;
    unsigned count;
    int status;

    if (!joining)
        return STATUS_OURS;
    status = pod_options_parse(&syntax, joining, argc, argv, &words, &count);
    if (!status)
        status = exec(joining, words, count);
    joining_free(joining);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
