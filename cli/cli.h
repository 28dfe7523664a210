// SPDX-License-Identifier: Apache-2.0
/*
 * The husk command: one cmd_*.c per subcommand, a constant table in cli.c, and what they share.
 */
#ifndef HUSK_CLI_CLI_H
#define HUSK_CLI_CLI_H

#include <stdint.h>

#include "husk/error.h"

/*
 * Exit statuses of every subcommand. A guest that ends itself through the debug-exit port chooses
 * 0..GUEST_MAX, so husk's own statuses lie above and never collide with a guest's.
 */
enum cli_status {
    STATUS_OK = 0,          /* the guest powered off; the command did what it was asked */
    STATUS_GUEST_MAX = 118, /* largest status a guest can give; larger values become this */
    STATUS_USAGE = 119,     /* the command line is wrong; nothing was started */
    STATUS_RESET = 120,     /* the guest asked for a reset */
    STATUS_PANIC = 121,     /* the guest's kernel panicked */
    STATUS_TRIPLE_FAULT = 122,
    STATUS_HOST_REQUEST = 123,  /* stopped from the host: a signal, or Ctrl-A x */
    STATUS_MONITOR_ERROR = 125, /* the host, a file, or husk itself failed */
};

struct command {
    const char *name;
    const char *summary;  /* one line for `husk help` */
    const char *synopsis; /* after "husk " */
    const char *help;     /* the rest of `husk help NAME`; NULL: NAME --help says it all */
    /* argv[0] is the subcommand's name. started_ns: when the process began, CLOCK_MONOTONIC.
     * Returns an exit status. */
    int (*run)(int argc, char **argv, uint64_t started_ns);
};

extern const struct command cmd_run, cmd_serve, cmd_vm, cmd_image, cmd_node, cmd_jail, cmd_vf,
    cmd_doctor, cmd_version, cmd_help;

/* Those for containers, which are husk-pod's: see cmd_pod.c. Ended by one without a name. */
extern const struct command cmd_pod[];

/* All subcommands in the order of `husk help`, ended by NULL. */
extern const struct command *const commands[];

const struct command *command_find(const char *name);
/* The name of a command that was probably meant; NULL: none. */
const char *command_similar(const char *name);

/* Prints a subcommand's help to standard output. */
void command_print_help(const struct command *command);

/* "husk: …" on standard error: one printable line whatever the arguments hold, shortened in its
 * middle; correct on a terminal in raw mode too. */
void cli_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_error(const struct husk_error *err);

/* A message that names the subcommand and points to its help. Returns STATUS_USAGE. */
int cli_usage_error(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* husk_vm_options.vmm_path for this program: the husk-vmm beside it in `path`, or NULL. */
const char *vmm_program_find(char *path, unsigned size);

/* husk_image_options.reader_path, likewise. */
const char *image_program_find(char *path, unsigned size);

/* What `husk image`, and what the commands for containers become: $HUSK_OCI and $HUSK_POD, else the
 * program beside this one, else the installed one. In `path`, or a text that stays. Never NULL. */
const char *oci_program_find(char *path, unsigned size);
const char *pod_program_find(char *path, unsigned size);
const char *node_program_find(char *path, unsigned size);

/* Becomes husk-pod with the words of a command for containers, argv[0] its name. Returns an exit
 * status when it cannot. */
int pod_program_run(int argc, char **argv);

#endif
