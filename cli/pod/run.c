// SPDX-License-Identifier: Apache-2.0
/*
 * husk run IMAGE: make a container, start its supervisor, and, unless detached, be its input and
 * output until it ends. Foreground and background are the same container with the same supervisor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/begin.h"
#include "cli/pod/make.h"
#include "pod/store/spawn.h"

struct run {
    struct making making;
    struct beginning beginning;
};

static int check(const struct pod_run_options *options)
{
    if (options->tty && options->interactive && !options->detach && !isatty(STDIN_FILENO))
        return pod_usage(&pod_run_syntax, "-t with -i: standard input is no terminal");
    return 0;
}

/* One that was made and not started leaves nothing. */
static int begin(struct run *run)
{
    struct making *making = &run->making;
    struct husk_error err = {0};
    int fd = entry_spawn(making->container, secure_getenv("HUSK_SUPERVISOR"), &err);

    run->beginning.record = &making->record;
    if (!beginning_open(&run->beginning, fd, true, &err))
        return 0;
    cli_error(&err);
    if (entry_has_ended(making->container, -ESRCH))
        entry_remove(making->store, making->container, NULL);
    return STATUS_OURS;
}

static int run_container(struct run *run, int argc, char **argv)
{
    const struct pod_run_options *options = &run->making.options;
    struct beginning *beginning = &run->beginning;
    int status = making_make(&run->making, &pod_run_syntax, argc, argv, check, true);

    /* The supervisor holds the layers from now on. */
    if (!status)
        status = begin(run);
    if (status)
        return status;
    if (options->detach) {
        status = beginning_detached(beginning);
        if (!status)
            puts(run->making.record.id);
        return status;
    }
    if (options->detach_keys)
        detach_keys_parse(options->detach_keys, &beginning->session.relay.filter);
    beginning->input = options->interactive;
    beginning->sig_proxy = options->sig_proxy;
    return beginning_attached(beginning);
}

int pod_run(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof(*run));
    int status;

    if (!run) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_OURS;
    }
    session_init(&run->beginning.session);
    status = run_container(run, argc, argv);
    beginning_release(&run->beginning);
    making_release(&run->making);
    free(run);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
