// SPDX-License-Identifier: Apache-2.0
/* The control socket of `husk run --api-sock`: the API of `husk serve` for the VM that runs. */
#ifndef HUSK_CLI_RUN_API_H
#define HUSK_CLI_RUN_API_H

#include <poll.h>

#include "http/api_socket.h"
#include "cli/run_options.h"

struct api;
struct api_server;

struct run_api {
    struct api *api;
    struct api_server *server; /* NULL: not open */
    struct api_socket socket;
};

#define RUN_API_INIT          \
    {                         \
        .socket = {.fd = -1}, \
    }

/* Make the socket, before anything of the VM is: clients wait in its queue. */
int run_api_listen(struct run_api *api, const char *path, struct husk_error *err);

/* Answer, for a VM that is built from these options and outlives this. */
int run_api_serve(struct run_api *api, struct husk_vm *vm, const struct run_options *options,
                  struct husk_error *err);

/* For the caller's poll loop: what to wait for (fd -1: nothing), for how long (-1: for ever), and
 * doing it. A request takes as long as what it asks for. */
void run_api_poll(const struct run_api *api, struct pollfd *out);
int run_api_timeout_ms(const struct run_api *api);
void run_api_run(struct run_api *api);

/* Something happened to the VM. */
void run_api_note_event(struct run_api *api, const struct husk_event *event);

/* No more requests; then the file goes. */
void run_api_close(struct run_api *api);

#endif
