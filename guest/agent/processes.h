// SPDX-License-Identifier: Apache-2.0
/* What runs in a container (husk/agent.h, "processes"). */
#ifndef HUSK_GUEST_AGENT_PROCESSES_H
#define HUSK_GUEST_AGENT_PROCESSES_H

#include "guest/agent/cgroup.h"

#define PROCESSES_LISTED_MAX  1024
#define PROCESSES_COMMAND_MAX 512 /* bytes */
#define PROCESSES_PATIENCE_MS 1000

/*
 * The members of the answer. To read a command line is to read the process's memory, which may wait
 * for as long as the process wants: a job (job.h) does it, and is given PROCESSES_PATIENCE_MS.
 */
int processes_list(const struct cgroup *cgroup, json_t *result, struct husk_error *err);

/*
 * The numbers of one process: from the texts of /proc/PID/stat and /proc/PID/status, which contain
 * a name that the process has chosen (proc(5)). False when one lacks something.
 */
struct process_numbers {
    char state;
    int pid_inside, ppid;
    uint32_t uid;                    /* the effective one */
    uint64_t cpu_ticks, start_ticks; /* of sysconf(_SC_CLK_TCK) */
    uint64_t memory_pages;
};

bool processes_parse(const char *stat, const char *status, struct process_numbers *out);

#endif
