// SPDX-License-Identifier: Apache-2.0
/* A control socket beside `husk run`: see run_api.h. */
#include "cli/run_api.h"

#include "vmm/api/api.h"

int run_api_listen(struct run_api *api, const char *path, struct husk_error *err)
{
    return api_socket_open(&api->socket, path, err);
}

int run_api_serve(struct run_api *api, struct husk_vm *vm, const struct run_options *options,
                  struct husk_error *err)
{
    struct api_options api_options = {.console_in_fd = -1, .console_out_fd = -1};
    /* Refusals are the client's to show; standard error may be a terminal with a guest on it. */
    const struct api_log_options silent = {.level = "Off"};
    const struct api_machine machine = {
        .vm = vm,
        .options = &options->vm,
        .drives = options->drives,
        .drive_count = options->drive_count,
        .nets = options->nets,
        .net_count = options->net_count,
        .vfios = options->vfios,
        .vfio_count = options->vfio_count,
        .vsock = options->vsock.path ? &options->vsock : NULL,
    };
    int ret = api_create(&api_options, &api->api, err);

    if (!ret)
        ret = api_set_log(api->api, &silent, err);
    if (!ret)
        ret = api_attach(api->api, &machine, err);
    if (!ret)
        ret =
            api_server_create(api->api, api->socket.fd, API_PAYLOAD_MAX_DEFAULT, &api->server, err);
    return ret;
}

void run_api_poll(const struct run_api *api, struct pollfd *out)
{
    *out = (struct pollfd){.fd = api->server ? api_server_fd(api->server) : -1, .events = POLLIN};
}

int run_api_timeout_ms(const struct run_api *api)
{
    return api->server ? api_server_timeout_ms(api->server) : -1;
}

void run_api_run(struct run_api *api)
{
    if (api->server)
        api_server_run(api->server);
}

void run_api_note_event(struct run_api *api, const struct husk_event *event)
{
    if (api->api)
        api_note_event(api->api, event);
}

void run_api_close(struct run_api *api)
{
    api_server_destroy(api->server);
    api->server = NULL;
    api_destroy(api->api);
    api->api = NULL;
    api_socket_close(&api->socket);
}
