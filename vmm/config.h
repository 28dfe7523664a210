// SPDX-License-Identifier: Apache-2.0
/*
 * The validated configuration of a machine: everything bounded, defaults filled in, strings copied.
 * What is here needs no further check but those that only the host can answer.
 *
 * Each function fills err with the field at fault ("memory", "drive 2: queues") and changes nothing
 * when it fails.
 */
#ifndef HUSK_VMM_CONFIG_H
#define HUSK_VMM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "husk/husk.h"

#define CONFIG_DEVICES_MAX 32u /* of one kind; all together: arch_virtio_mmio_max */
#define CONFIG_QUEUES_MAX  16u

struct drive_config {
    char *path; /* NULL when only fd is given */
    int fd;     /* -1, or owned */
    bool read_only;
    enum husk_block_engine engine;
    unsigned queues;
    struct husk_rate operations, bandwidth;
};

struct net_config {
    char *tap_name; /* NULL when tap_fd is given */
    int tap_fd;     /* -1, or owned */
    uint8_t mac[6]; /* all zero: to be derived */
    uint16_t mtu;
    unsigned queue_pairs;
    enum husk_vhost vhost; /* never AUTO or ON together with a rate */
    struct husk_rate rx_bandwidth, tx_bandwidth, rx_operations, tx_operations;
};

struct machine_config {
    char *kernel_path; /* NULL when only kernel_fd is given */
    int kernel_fd;     /* -1, or the caller's */
    char *initrd_path;
    int initrd_fd;
    char *command_line; /* the default words and the caller's */

    uint64_t memory_bytes;
    bool memory_shared;
    unsigned vcpus;

    enum husk_console console;
    int console_in_fd, console_out_fd; /* the caller's */
    uint16_t console_columns, console_rows;
    bool rng;

    struct drive_config drives[CONFIG_DEVICES_MAX];
    unsigned drive_count;
    struct net_config nets[CONFIG_DEVICES_MAX];
    unsigned net_count;
};

/* Initialise from options of this or an earlier release (their size says which). */
int machine_config_init(struct machine_config *config, const struct husk_vm_options *options,
                        struct husk_error *err);

/* Descriptors in the options become the configuration's on success. */
int machine_config_add_drive(struct machine_config *config,
                             const struct husk_drive_options *options, struct husk_error *err);
int machine_config_add_net(struct machine_config *config, const struct husk_net_options *options,
                           struct husk_error *err);

/* Frees strings and closes owned descriptors. */
void machine_config_release(struct machine_config *config);

/*
 * Copy an option struct of any release into this release's: `out` holds the defaults, of which a
 * smaller struct replaces its part. A larger one may only hold zeroes in what is unknown here.
 * Returns 0, -EINVAL (no size) or -E2BIG.
 */
int config_copy_options(void *out, size_t out_size, const void *options, const char *where,
                        struct husk_error *err);

#endif
