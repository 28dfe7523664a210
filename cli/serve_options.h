// SPDX-License-Identifier: Apache-2.0
/* The command line of `husk serve` as data: Firecracker's flags. */
#ifndef HUSK_CLI_SERVE_OPTIONS_H
#define HUSK_CLI_SERVE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"
#include "vmm/api/api.h"

/* Exit statuses, Firecracker's where it has one. */
enum serve_status {
    SERVE_OK = 0,                  /* the guest ended by itself, or a signal asked for the end */
    SERVE_ERROR = 1,               /* the host, a file, or husk itself failed */
    SERVE_BAD_CONFIGURATION = 152, /* of the log */
    SERVE_ARGUMENTS = 153,         /* the command line is wrong; nothing was started */
};

struct serve_options {
    struct api_options api;
    const char *socket_path;
    const char *config_path;  /* NULL: none */
    const char *metrics_path; /* NULL: none */
    struct api_log_options log;
    bool log_given;
    bool no_api;
    size_t payload_max_bytes;
    bool help, version;
};

/* Strings point into argv. Returns 0, or an exit status after having said what is wrong. */
int serve_options_parse(struct serve_options *options, int argc, char **argv);

#endif
