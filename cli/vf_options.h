// SPDX-License-Identifier: Apache-2.0
/* The command line of `husk vf` as data; nothing of the host is looked at. */
#ifndef HUSK_CLI_VF_OPTIONS_H
#define HUSK_CLI_VF_OPTIONS_H

#include <stdbool.h>

#include "vf/link.h"
#include "vf/pci.h"

enum vf_action { VF_LIST, VF_CREATE, VF_REMOVE, VF_SET, VF_BIND, VF_UNBIND };

struct vf_options {
    enum vf_action action;
    bool json, help;
    const char *pf; /* of argv; NULL for all: list only */
    char address[PCI_ADDRESS_SIZE];
    unsigned number; /* of VFs, or of the VF to set */
    struct vf_settings settings;
};

/* argv[0] is "vf". 0, or STATUS_USAGE after a message. */
int vf_options_parse(struct vf_options *out, int argc, char **argv);

#endif
