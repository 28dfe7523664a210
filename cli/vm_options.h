// SPDX-License-Identifier: Apache-2.0
/* The command line of `husk vm` as data; no socket is looked at. */
#ifndef HUSK_CLI_VM_OPTIONS_H
#define HUSK_CLI_VM_OPTIONS_H

#include <stdbool.h>

#include "cli/device_options.h"

enum vm_action {
    VM_INFO,
    VM_PAUSE,
    VM_RESUME,
    VM_CTRL_ALT_DEL,
    VM_DRIVE_ADD,
    VM_DRIVE_REMOVE,
    VM_NET_ADD,
    VM_NET_REMOVE,
    VM_VFIO_ADD,
    VM_VFIO_REMOVE,
};

struct vm_options {
    enum vm_action action;
    bool json, help;
    const char *socket; /* of argv */
    const char *id;     /* of argv: what to remove */
    struct husk_drive_options drive;
    struct husk_net_options net;
    struct husk_vfio_options vfio;
    struct option_texts texts;
};

/* argv[0] is "vm". 0, or STATUS_USAGE after a message. Release in either case. */
int vm_options_parse(struct vm_options *out, int argc, char **argv);
void vm_options_release(struct vm_options *options);

#endif
