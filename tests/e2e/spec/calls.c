// SPDX-License-Identifier: Apache-2.0
/*
 * Which system calls a container may make: prints "NAME RESULT" for each, where the result is "ok"
 * or the name of the error. Each is made in a child, with arguments that do nothing: -1 everywhere,
 * but for those in `special`. Static, for a root file system of its own.
 *
 *   calls            those that filters are about, by name
 *   calls all        every number up to 511, for a comparison with other engines
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct call {
    const char *name;
    long number, arguments[3]; /* all 0: -1 each */
} calls[] = {
    {"acct", SYS_acct, {0}},
    {"add_key", SYS_add_key, {0}},
    {"bpf", SYS_bpf, {0}},
    {"chroot", SYS_chroot, {0}},
    {"clock_settime", SYS_clock_settime, {0}},
    {"clone", SYS_clone, {SIGCHLD, 0, 0}},
    {"clone-newuser", SYS_clone, {CLONE_NEWUSER | SIGCHLD, 0, 0}},
    {"clone-newns", SYS_clone, {CLONE_NEWNS | SIGCHLD, 0, 0}},
    {"clone3", SYS_clone3, {0}},
    {"delete_module", SYS_delete_module, {0}},
    {"fanotify_init", SYS_fanotify_init, {0}},
    {"fchmodat2", 452, {0}},
    {"finit_module", SYS_finit_module, {0}},
    {"fsopen", SYS_fsopen, {0}},
    {"getrandom", SYS_getrandom, {0}},
    {"init_module", SYS_init_module, {0}},
    {"io_uring_setup", SYS_io_uring_setup, {0}},
    {"kcmp", SYS_kcmp, {0}},
    {"kexec_load", SYS_kexec_load, {0}},
    {"keyctl", SYS_keyctl, {0}},
    {"mbind", SYS_mbind, {0}},
    {"mount", SYS_mount, {0}},
    {"move_pages", SYS_move_pages, {0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {0}},
    {"open_tree", SYS_open_tree, {0}},
    {"perf_event_open", SYS_perf_event_open, {0}},
    {"personality-linux", SYS_personality, {PER_LINUX, 1, 1}},
    {"personality-query", SYS_personality, {0xffffffff, 1, 1}},
    {"personality-norandom", SYS_personality, {ADDR_NO_RANDOMIZE, 0, 0}},
    {"pivot_root", SYS_pivot_root, {0}},
    {"process_vm_readv", SYS_process_vm_readv, {0}},
    {"ptrace", SYS_ptrace, {0}},
    {"quotactl", SYS_quotactl, {0}},
    {"reboot", SYS_reboot, {0}},
    {"request_key", SYS_request_key, {0}},
    {"sethostname", SYS_sethostname, {0}},
    {"setns", SYS_setns, {0}},
    {"settimeofday", SYS_settimeofday, {0}},
    {"socket-inet", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socket-vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"statx", SYS_statx, {0}},
    {"swapoff", SYS_swapoff, {0}},
    {"swapon", SYS_swapon, {0}},
    {"syslog", SYS_syslog, {0}},
    {"umount2", SYS_umount2, {0}},
    {"unknown", 999, {0}},
    {"unshare-newuser", SYS_unshare, {CLONE_NEWUSER, 0, 0}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"vhangup", SYS_vhangup, {0}},
};

static const char *name_of(int error)
{
    const char *name = strerrorname_np(error);

    return name ? name : "unknown";
}

/* In the child: the result goes through the pipe, because the call may be one that ends it. */
static void attempt(int out, long number, const long *arguments, int all_minus_one)
{
    long none[3] = {-1, -1, -1};
    const long *args = all_minus_one ? none : arguments;
    pid_t before = getpid();
    long ret;
    int error;

    alarm(5);
    ret = syscall(number, args[0], args[1], args[2], all_minus_one ? -1L : 0L,
                  all_minus_one ? -1L : 0L, all_minus_one ? -1L : 0L);
    error = ret < 0 ? errno : 0;
    if (getpid() == before)
        (void)!write(out, &error, sizeof(error));
    _exit(0);
}

static void report(const char *name, long number, const long *arguments)
{
    int ends[2], error = -1;
    pid_t child;

    if (pipe(ends) < 0)
        exit(1);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        int minus = !arguments || (!arguments[0] && !arguments[1] && !arguments[2]);

        setpgid(0, 0);
        close(ends[0]);
        attempt(ends[1], number, arguments, minus);
    }
    close(ends[1]);
    if (read(ends[0], &error, sizeof(error)) != sizeof(error))
        error = -1;
    close(ends[0]);
    kill(child, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    if (name)
        printf("%s ", name);
    else
        printf("%ld ", number);
    printf("%s\n", error < 0 ? "no-return" : error == 0 ? "ok" : name_of(error));
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "all")) {
        for (long number = 0; number < 512; number++)
            report(NULL, number, NULL);
        return 0;
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        report(calls[i].name, calls[i].number, calls[i].arguments);
    return 0;
}
