// SPDX-License-Identifier: Apache-2.0
/* husk update: other limits for containers that run, as "linux.resources" of an OCI configuration
 * has them. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/parse.h"
#include "cli/pod/pod.h"

#define CPU_PERIOD_US 100000

struct limits {
    uint64_t memory_bytes; /* 0: as it is; likewise below */
    uint32_t cpu_thousandths;
    int64_t pids; /* -1: no limit */
};

static int set_pids(void *member, const struct pod_place *place, const char *value)
{
    uint64_t number;

    if (value[0] == '-' && value[1] == '1' && !value[2]) {
        *(int64_t *)member = -1;
        return 0;
    }
    if (parse_u64(value, 1, INT32_MAX, &number))
        return pod_usage(place->syntax, "%s: %s: wants a number, or -1 for no limit", place->option,
                         value);
    *(int64_t *)member = (int64_t)number;
    return 0;
}

#define AT(member) offsetof(struct limits, member)

static const struct pod_option options[] = {
    {'m', "memory", true, pod_set_size, AT(memory_bytes)},
    {0, "cpus", true, pod_set_cpus, AT(cpu_thousandths)},
    {0, "pids-limit", true, set_pids, AT(pids)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "update",
    .help = "husk update [-m SIZE] [--cpus N] [--pids-limit N] CONTAINER...\n"
            "\n"
            "Change the limits of containers that run, within what their machines have.\n"
            "\n"
            "  -m, --memory SIZE\n"
            "      --cpus N          such as 1.5\n"
            "      --pids-limit N    processes and threads; -1: no limit\n" STATUSES_TEXT,
    .wants = "the containers to change",
    .least = 1,
    .most = UINT16_MAX,
    .options = options,
};

static json_t *resources(const struct limits *limits)
{
    json_t *all = json_object();

    if (limits->memory_bytes)
        json_object_set_new(all, "memory",
                            json_pack("{s:I}", "limit", (json_int_t)limits->memory_bytes));
    if (limits->cpu_thousandths)
        json_object_set_new(all, "cpu",
                            json_pack("{s:I, s:i}", "quota",
                                      (json_int_t)limits->cpu_thousandths * (CPU_PERIOD_US / 1000),
                                      "period", CPU_PERIOD_US));
    if (limits->pids)
        json_object_set_new(all, "pids", json_pack("{s:I}", "limit", (json_int_t)limits->pids));
    return all;
}

static int update(struct pod_target *target, void *arg, struct husk_error *err)
{
    int ret;

    if (!target->client)
        return pod_does_not_run(target->container, err);
    ret = control_client_call(target->client, "update",
                              json_pack("{s:o}", "resources", resources(arg)), NULL, err);
    if (!ret)
        puts(target->word);
    return ret;
}

int pod_update(int argc, char **argv)
{
    struct limits limits = {0};
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, &limits, argc, argv, &words, &count);

    if (!status && !limits.memory_bytes && !limits.cpu_thousandths && !limits.pids)
        return pod_usage(&syntax, "wants at least one limit to change");
    if (!status)
        status = pod_for_each(words, count, update, &limits);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
