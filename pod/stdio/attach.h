// SPDX-License-Identifier: Apache-2.0
/* The request "attach" of a control socket: {"stdin": bool, "wait": bool}, answered with the
 * streams of a container's first process. */
#ifndef HUSK_POD_STDIO_ATTACH_H
#define HUSK_POD_STDIO_ATTACH_H

#include "pod/control/server.h"
#include "pod/stdio/hub.h"

void attach_request(struct hub *hub, struct server *server, struct ticket ticket,
                    const json_t *params);

#endif
