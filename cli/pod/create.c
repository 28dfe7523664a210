// SPDX-License-Identifier: Apache-2.0
/* husk create: a container's record, for `husk start`. Nothing runs, no machine is there yet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "cli/pod/make.h"

int pod_cmd_create(int argc, char **argv)
{
    struct making *making = calloc(1, sizeof(*making));
    int status;

    if (!making) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_MONITOR_ERROR;
    }
    status = making_make(making, &pod_create_syntax, argc, argv, NULL, false);
    if (!status)
        puts(making->record.id);
    making_release(making);
    free(making);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
