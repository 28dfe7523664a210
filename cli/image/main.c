// SPDX-License-Identifier: Apache-2.0
/* Entry point of husk-oci, which `husk image` becomes: find the store, do what is asked. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "cli/cli.h"
#include "cli/image/actions.h"
#include "pod/image/store.h"

static const struct {
    enum image_action action;
    int (*run)(const struct image_options *options, const char *store, struct husk_error *err);
} table[] = {{ACTION_PULL, action_pull},       {ACTION_LOAD, action_load},
             {ACTION_LS, action_ls},           {ACTION_RM, action_rm},
             {ACTION_INSPECT, action_inspect}, {ACTION_PRUNE, action_prune}};

static int run(const struct image_options *options, struct husk_error *err)
{
    char path[PATH_MAX];

    if (!options->store) {
        int ret = image_store_default(path, sizeof(path), err);

        if (ret)
            return ret;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].action == options->action)
            return table[i].run(options, options->store ? options->store : path, err);
    }
    return -EINVAL;
}

int main(int argc, char **argv)
{
    struct image_options options;
    struct husk_error err = {0};
    int status;

    /* A store's file must not become standard output or error. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return STATUS_MONITOR_ERROR;
    }
    signal(SIGPIPE, SIG_IGN);
    status = image_options_parse(&options, argc, argv);
    if (status)
        return status;
    if (run(&options, &err)) {
        cli_error(&err);
        status = STATUS_MONITOR_ERROR;
    }
    if (fflush(stdout) && errno != EPIPE) {
        cli_message("standard output: cannot write all of it: %s", strerror(errno));
        status = STATUS_MONITOR_ERROR;
    }
    return status;
}
