// SPDX-License-Identifier: Apache-2.0
/* The block before each entry of a tar archive (POSIX.1-2017, pax, "ustar Interchange Format"). */
#ifndef HUSK_GUEST_AGENT_TAR_HEADER_H
#define HUSK_GUEST_AGENT_TAR_HEADER_H

#include "guest/agent/tar.h"

struct tar_header {
    char name[100];
    char mode[8], uid[8], gid[8];
    char size[12], mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6], version[2];
    char uname[32], gname[32];
    char major[8], minor[8];
    char prefix[155];
    char unused[12];
};

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

#endif
