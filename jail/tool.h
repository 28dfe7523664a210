// SPDX-License-Identifier: Apache-2.0
/*
 * A program of the distribution's that is to read a file which nobody vouches for, and to write one
 * other: started with as little as it needs.
 *
 * - namespaces as jail_clone_flags() gives them: no network, no other process in sight;
 * - files by Landlock: /usr, /lib* and the loader's cache for reading and executing, `input` for
 *   reading, `output` and /dev/null for both; nothing else can be opened;
 * - the rights of the caller, without capabilities, but that root may still open the two files;
 * - limits on processor time, address space, size of files and descriptors; no core.
 *
 * Landlock needs Linux 5.13, and 6.2 to keep files from being truncated that the caller could
 * write. Where the host lacks it, tool.is_confined says so.
 */
#ifndef HUSK_JAIL_TOOL_H
#define HUSK_JAIL_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "husk/error.h"

struct tool_plan {
    const char *program; /* absolute, below /usr */
    char *const *arguments;
    int input_fd, output_fd; /* open files, which the program opens anew by their paths */
    uint64_t file_bytes;     /* largest file that it may write */
};

struct tool {
    pid_t pid;
    int output_fd; /* what it says on standard output; -1 when none is open */
    int error_fd;  /* on standard error */
    bool is_confined;
};

/* Blocks until the program has been executed or could not be. 0 or -errno with err filled. The
 * caller reads both descriptors, waits for pid, and closes them. For a process with one thread. */
int tool_start(const struct tool_plan *plan, struct tool *tool, struct husk_error *err);

#endif
