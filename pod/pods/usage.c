// SPDX-License-Identifier: Apache-2.0
/*
 * The limits of emptyDirs on the scratch disk: looked at every ten seconds, one volume at a time,
 * as kubelets do. A pod that has written more is ended: it fails with the reason "Evicted".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "pod/pods/pod.h"

#define PERIOD_NS  (10000 * MS_NS)
#define GRACE_MS   1000u
#define TIMEOUT_MS 60000u

static void evict(struct pod *pod, const struct plan_limit *limit)
{
    char message[256];

    snprintf(message, sizeof(message),
             "Usage of EmptyDir volume \"%s\" exceeds the limit \"%" PRIu64 "\".", limit->name,
             limit->limit_bytes);
    pod_ending_fail(pod, "Evicted", message, GRACE_MS);
}

/* What is too deep to be gone through is beyond any limit: a container can make it so. Other
 * errors come with the end of the machine, and of the volume's turn. */
static void on_usage(void *arg, const json_t *result, const struct husk_error *error)
{
    struct pod *pod = arg;
    json_int_t used = json_integer_value(json_object_get(result, "used_bytes"));
    const struct plan_limit *limit;

    pod->usage_asked = false;
    if (pod->phase != POD_RUNNING || pod->ending || !pod->plan.limit_count)
        return;
    limit = &pod->plan.limits[pod->next_limit++ % pod->plan.limit_count];
    if (error ? error->code == ENOSPC : used > 0 && (uint64_t)used > limit->limit_bytes)
        evict(pod, limit);
}

void usage_begin(struct pod *pod)
{
    if (pod->plan.limit_count)
        event_timer_arm(pod->usage_timer, PERIOD_NS / pod->plan.limit_count);
}

void usage_look(void *arg)
{
    struct pod *pod = arg;
    const struct plan_limit *limit;
    struct husk_error error;

    if (pod->phase != POD_RUNNING || pod->ending || !pod->plan.limit_count)
        return; /* usage_begin() comes with the next machine */
    limit = &pod->plan.limits[pod->next_limit % pod->plan.limit_count];
    if (!pod->usage_asked)
        pod->usage_asked = agent_client_call(pod->agent, "volume.usage",
                                             json_pack("{s:s}", "volume", limit->volume),
                                             TIMEOUT_MS, on_usage, pod, &error) == 0;
    usage_begin(pod);
}
