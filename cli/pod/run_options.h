// SPDX-License-Identifier: Apache-2.0
/* The command line of `husk run IMAGE` or `husk create` as data. Texts are those of argv. */
#ifndef HUSK_CLI_POD_RUN_OPTIONS_H
#define HUSK_CLI_POD_RUN_OPTIONS_H

#include "cli/pod/options.h"

enum pull_policy { PULL_MISSING, PULL_ALWAYS, PULL_NEVER };

struct pod_run_options {
    const struct pod_syntax *syntax; /* the command's */
    bool interactive, tty, detach, remove, sig_proxy, init, read_only, quiet;
    struct pod_list env, env_files, volumes, tmpfs, cap_add, cap_drop, security, ulimits, sysctls,
        nameservers, labels;
    const char *directory, *user, *entrypoint, *hostname, *shm_size, *memory, *cpus, *pids_limit,
        *stop_signal, *name, *network, *detach_keys, *kernel; /* NULL: not given */
    enum pull_policy pull;
    uint64_t scratch_bytes;        /* 0: not given */
    int64_t timeout, stop_timeout; /* seconds; -1: not given */
    const char *image;
    char **command;
    unsigned command_count;
};

/* Returns 0, POD_HELP_SHOWN, or an exit status with the reason printed. Release in every case. */
int pod_run_options_parse(const struct pod_syntax *syntax, struct pod_run_options *out, int argc,
                          char **argv);
void pod_run_options_release(struct pod_run_options *options);

/* For messages about what is found wrong later. */
extern const struct pod_syntax pod_run_syntax, pod_create_syntax;

#endif
