// SPDX-License-Identifier: Apache-2.0
#include "pod/stdio/attach.h"

#include "pod/control/params.h"

void attach_request(struct hub *hub, struct server *server, struct ticket ticket,
                    const json_t *params)
{
    bool with_stdin = false, wait = false;
    enum hub_stream streams[CONTROL_FDS_MAX];
    int fds[CONTROL_FDS_MAX];
    struct husk_error error;
    json_t *names;
    unsigned count;

    if (params_flag(params, "stdin", &with_stdin, &error) ||
        params_flag(params, "wait", &wait, &error) ||
        hub_attach(hub, with_stdin, wait, fds, streams, &count, &error)) {
        server_refuse(server, ticket, &error, 0);
        return;
    }
    names = json_array();
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(names, json_string(hub_stream_name(streams[i])));
    server_answer_fds(server, ticket, json_pack("{s:o}", "streams", names), fds, count);
}
