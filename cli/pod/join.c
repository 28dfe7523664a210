// SPDX-License-Identifier: Apache-2.0
/* Joining a container that runs: see join.h. */
#include "cli/pod/join.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

struct joining *joining_new(void)
{
    struct joining *joining = calloc(1, sizeof(*joining));

    if (joining)
        session_init(&joining->session);
    else
        cli_message("%s", error_text(ENOMEM));
    return joining;
}

void joining_free(struct joining *joining)
{
    session_close(&joining->session);
    session_container_clear(&joining->peer);
    control_client_close(joining->client);
    container_spec_clear(&joining->record);
    entry_close(joining->container);
    entry_store_close(joining->store);
    pod_list_release(&joining->env);
    pod_list_release(&joining->env_files);
    free(joining);
}

int joining_begin(struct joining *joining, const char *text, struct husk_error *err)
{
    int ret = pod_find(text, &joining->store, &joining->container, err);

    if (!ret)
        ret = container_load_spec(joining->container, &joining->record, err);
    if (!ret)
        ret = pod_connect(joining->container, &joining->client, err);
    session_container_begin(&joining->session, &joining->peer, joining->client, NULL);
    joining->session.name = joining->container ? joining->container->name : text;
    if (joining->detach_keys)
        detach_keys_parse(joining->detach_keys, &joining->session.relay.filter);
    return ret;
}
