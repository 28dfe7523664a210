// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/restart.h"

#include <string.h>

enum restart_policy restart_policy_of(const char *text)
{
    if (text && !strcmp(text, "OnFailure"))
        return RESTART_ON_FAILURE;
    return text && !strcmp(text, "Never") ? RESTART_NEVER : RESTART_ALWAYS;
}

enum restart_verdict restart_decide(enum restart_policy policy, enum restart_kind kind,
                                    int exit_code, bool probed)
{
    bool failed = exit_code != 0 || probed;

    if (kind == RESTART_SIDECAR)
        return RESTART_AGAIN;
    if (kind == RESTART_INIT) {
        if (!failed)
            return RESTART_DONE;
        return policy == RESTART_NEVER ? RESTART_FATAL : RESTART_AGAIN;
    }
    if (policy == RESTART_ALWAYS || (policy == RESTART_ON_FAILURE && failed))
        return RESTART_AGAIN;
    return RESTART_DONE;
}
