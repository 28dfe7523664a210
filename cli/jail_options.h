// SPDX-License-Identifier: Apache-2.0
/* The command line of `husk jail` as data. */
#ifndef HUSK_CLI_JAIL_OPTIONS_H
#define HUSK_CLI_JAIL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"

#define JAIL_CGROUP_VALUES_MAX 64u

struct jail_options {
    const char *id;
    const char *exec_file;
    const char *base_dir;
    const char *netns; /* NULL: not given; so below */
    const char *parent_cgroup;
    uint32_t uid, gid;
    bool daemonize;
    bool new_pid_ns;
    bool help;
    unsigned cgroup_count;
    char *cgroup_files[JAIL_CGROUP_VALUES_MAX]; /* owned: the parts before '=' */
    const char *cgroup_values[JAIL_CGROUP_VALUES_MAX];
    uint64_t nofile;
    uint64_t fsize_bytes; /* UINT64_MAX: not limited */
    int rest;             /* argv[rest] is the first of the program's own arguments */
};

/* Returns 0, or an exit status after having said what is wrong. Release in either case. */
int jail_options_parse(struct jail_options *options, int argc, char **argv);
void jail_options_release(struct jail_options *options);

#endif
