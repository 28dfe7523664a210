// SPDX-License-Identifier: Apache-2.0
/* The command line of `husk run` as data. */
#ifndef HUSK_CLI_RUN_OPTIONS_H
#define HUSK_CLI_RUN_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include "cli/cli.h"
#include "cli/device_options.h"
#include "husk/husk.h"

#define RUN_MAX_DEVICES 16u

/* What getopt_long() is given; ends with one without a name. */
#define RUN_SHORT_OPTIONS "k:i:a:m:c:d:n:v"
extern const struct option run_long_options[];

struct run_options {
    struct husk_vm_options vm; /* strings point into argv or kernel_path */
    struct husk_drive_options drives[RUN_MAX_DEVICES];
    struct disk_source sources[RUN_MAX_DEVICES]; /* of the drives */
    unsigned drive_count;
    struct husk_net_options nets[RUN_MAX_DEVICES];
    unsigned net_count;
    struct husk_vfio_options vfios[RUN_MAX_DEVICES];
    unsigned vfio_count;
    struct husk_vsock_options vsock; /* path NULL: none */
    struct option_texts texts;       /* paths and names cut out of option values */
    char kernel_path[4096];          /* when found, not given */
    char vmm_path[4096];
    const char *api_socket; /* NULL: none */
    char image_path[4096];
    const char *image_path_found; /* the husk-image beside this program, or NULL */
    bool kernel_from_disk;        /* none given: the first disk is to have one */
    bool timeline;
    const char *timeline_svg; /* NULL: text only */
    bool help;
};

/* Returns 0, or an exit status after having said what is wrong. Release in either case. */
int run_options_parse(struct run_options *options, int argc, char **argv);
void run_options_release(struct run_options *options);

#endif
