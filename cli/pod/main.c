// SPDX-License-Identifier: Apache-2.0
/* Entry point of husk-pod, what the husk command becomes for containers. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "cli/pod/pod.h"
#include "cli/pods/pods.h"
#include "pod/vm/machine_vm.h"
#include "pod/pods/supervise.h"
#include "pod/supervisor/supervise.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} table[] = {
    {"run", pod_run},         {"create", pod_cmd_create},
    {"start", pod_cmd_start}, {"restart", pod_cmd_restart},
    {"ps", pod_ps},           {"logs", pod_logs},
    {"exec", pod_exec},       {"attach", pod_attach},
    {"stop", pod_stop},       {"kill", pod_kill},
    {"wait", pod_wait},       {"rm", pod_rm},
    {"inspect", pod_inspect}, {"stats", pod_stats},
    {"top", pod_top},         {"cp", pod_cp},
    {"pause", pod_pause},     {"resume", pod_resume},
    {"update", pod_update},   {"pod", pods_main},
};

static int run(int argc, char **argv)
{
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        if (!strcmp(table[i].name, argv[1]))
            return table[i].run(argc - 1, argv + 1);
    }
    cli_message("%s: no command for containers (see: husk help)", argv[1]);
    return STATUS_USAGE;
}

int main(int argc, char **argv)
{
    int status;

    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && !strcmp(argv[1], "supervise"))
        return supervisor_main(argc, argv, &machine_vm_ops);
    if (argc > 1 && !strcmp(argv[1], "supervise-pod"))
        return pod_supervisor_main(argc, argv, &machine_vm_ops);
    /* A file of the store must not become standard output. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return STATUS_MONITOR_ERROR;
    }
    if (argc < 2) {
        cli_message("is what `husk` becomes for containers (see: husk help)");
        return STATUS_USAGE;
    }
    status = run(argc, argv);
    if (fflush(stdout) && errno != EPIPE) {
        cli_message("standard output: cannot write all of it: %s", strerror(errno));
        return STATUS_MONITOR_ERROR;
    }
    return status;
}
