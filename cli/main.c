// SPDX-License-Identifier: Apache-2.0
/* Entry point of the husk command: find the subcommand, run it, return its status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/timeline.h"
#include "cli/cli.h"

/*
 * Started with a standard descriptor closed, the next file that is opened would take its number: a
 * disk image as standard output, and the guest's console would be written over it.
 */
static bool fill_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    }
    return true;
}

/* A reader that has gone has seen what it wanted; a full disk has not. */
static int flush_output(int status)
{
    int code = fflush(stdout) ? errno : ferror(stdout) ? EIO : 0;

    if (!code || code == EPIPE)
        return status;
    cli_message("standard output: cannot write all of it: %s", strerror(code));
    return STATUS_MONITOR_ERROR;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int refuse(const char *name)
{
    const char *similar = command_similar(name);

    if (similar)
        cli_message("%s: no such command; did you mean `husk %s`?", name, similar);
    else
        cli_message("%s: no such command (see: husk help)", name);
    return STATUS_USAGE;
}

static int run_command(int argc, char **argv, uint64_t started_ns)
{
    const struct command *command;

    if (argc > 0 && !strcmp(base_name(argv[0]), "husk-firecracker"))
        return cmd_serve.run(argc, argv, started_ns);
    if (argc < 2) {
        cli_message("wants a command, such as `husk run` (see: husk help)");
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return cmd_help.run(1, (char *[]){"help", NULL}, started_ns);
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
        return cmd_version.run(1, (char *[]){"version", NULL}, started_ns);

    command = command_find(argv[1]);
    return command ? command->run(argc - 1, argv + 1, started_ns) : refuse(argv[1]);
}

int main(int argc, char **argv)
{
    uint64_t started_ns = timeline_process_start_ns();

    if (!fill_standard_fds())
        return STATUS_MONITOR_ERROR;
    /* A reader of our output that goes away is an error code, not a reason to die. */
    signal(SIGPIPE, SIG_IGN);
    return flush_output(run_command(argc, argv, started_ns));
}
