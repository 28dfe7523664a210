// SPDX-License-Identifier: Apache-2.0
/* Archives of a container of `husk run`, over its supervisor's "archive.put" and "archive.get"
 * (pod/supervisor/protocol.h). */
#ifndef HUSK_CLI_POD_ARCHIVE_CONTAINER_H
#define HUSK_CLI_POD_ARCHIVE_CONTAINER_H

#include "cli/pod/archive.h"
#include "pod/control/client.h"

/* The client is borrowed. */
struct archive_place archive_container(struct control_client *client);

#endif
