// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "cli/node/options.h"

#define NS_PER_S    1000000000ull
#define NS_PER_MS   1000000ull
#define RESYNC_S    20u
#define FIRST_MS    10000u /* the kubelet's back-off: 10 s, doubling up to 5 min, */
#define MAX_MS      300000u
#define RESET_S     600u /* and anew after 10 min of running */
#define RESYNC_MAX  86400u
#define BACKOFF_MAX 86400000u

const char node_help[] =
    "Usage: husk node --manifests DIRECTORY [OPTION...]\n"
    "Keeps the pods of a directory of manifests.\n"
    "\n"
    "      --manifests DIRECTORY  files *.yaml, *.yml and *.json of Kubernetes objects\n"
    "      --listen SOCKET        serve the HTTP API on this unix socket\n"
    "      --network NETWORK      none, bridge, cni:NAME or vf:PF; default: as husk pod run\n"
    "      --guest-kernel FILE    the guests' kernel; default: it is searched for\n"
    "      --node-name NAME       what this host is called; default: its host name\n"
    "      --resync SECONDS       look at everything at least so often; default: 20\n"
    "      --back-off MS[,MS]     wait before the second try, and at most; default: 10000,300000\n"
    "      --help                 this text\n"
    "\n"
    "Events are JSON lines on standard error. SIGTERM ends the agent, and leaves the pods "
    "running;\n"
    "SIGHUP makes it look at everything now. Exit status: 0 ended by a signal; 119 usage error;\n"
    "125 failure.\n";

static int refuse(struct husk_error *err, const char *option, const char *why)
{
    return error_set(err, EINVAL, option, "is no option of husk node", "%s", why);
}

static int set_seconds(const char *value, struct node_options *out, struct husk_error *err)
{
    uint64_t seconds;

    if (parse_u64(value, 1, RESYNC_MAX, &seconds))
        return error_set(err, EINVAL, "--resync", "is wrong", "it is 1 to %u seconds", RESYNC_MAX);
    out->resync_ns = seconds * NS_PER_S;
    return 0;
}

static int set_backoff(const char *value, struct node_options *out, struct husk_error *err)
{
    struct option_list list;
    uint64_t ms[2] = {FIRST_MS, MAX_MS};
    unsigned count = 0;
    int ret;

    option_list_begin(&list, value);
    while ((ret = option_list_next_value(&list)) == 1 && count < 2) {
        if (parse_u64(list.value, 1, BACKOFF_MAX, &ms[count++]))
            break;
    }
    if (count == 1 && ms[1] < ms[0])
        ms[1] = ms[0];
    if (ret || !count || ms[1] < ms[0])
        return error_set(err, EINVAL, "--back-off", "is wrong",
                         "it is one or two times of 1 to %u milliseconds, the longer one last",
                         BACKOFF_MAX);
    out->backoff.first_ns = ms[0] * NS_PER_MS;
    out->backoff.max_ns = ms[1] * NS_PER_MS;
    return 0;
}

static int set_text(const char **at, const char *option, const char *value, struct husk_error *err)
{
    if (!*value)
        return error_set(err, EINVAL, option, "is wrong", "it is empty");
    *at = value;
    return 0;
}

static int set(const char *option, const char *value, struct node_options *out,
               struct husk_error *err)
{
    const struct {
        const char *name;
        const char **at;
    } texts[] = {
        {"--manifests", &out->manifests}, {"--listen", &out->listen},  {"--network", &out->network},
        {"--guest-kernel", &out->kernel}, {"--node-name", &out->name},
    };

    for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (!strcmp(texts[i].name, option))
            return set_text(texts[i].at, option, value, err);
    }
    if (!strcmp(option, "--resync"))
        return set_seconds(value, out, err);
    if (!strcmp(option, "--back-off"))
        return set_backoff(value, out, err);
    return refuse(err, option, "see: husk node --help");
}

int node_options_parse(int argc, char **argv, struct node_options *out, struct husk_error *err)
{
    *out = (struct node_options){
        .resync_ns = RESYNC_S * NS_PER_S,
        .backoff = {FIRST_MS * NS_PER_MS, MAX_MS * NS_PER_MS, RESET_S * NS_PER_S},
    };
    for (int i = 1; i < argc; i++) {
        char option[32];
        const char *equals = strchr(argv[i], '=');
        size_t len = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        int ret;

        if (!strcmp(argv[i], "--help")) {
            out->help = true;
            return 0;
        }
        if (len < 3 || len >= sizeof(option) || strncmp(argv[i], "--", 2) != 0)
            return refuse(err, argv[i], "see: husk node --help");
        memcpy(option, argv[i], len);
        option[len] = '\0';
        if (!equals && ++i == argc)
            return refuse(err, option, "it takes a value, or is none; see: husk node --help");
        ret = set(option, equals ? equals + 1 : argv[i], out, err);
        if (ret)
            return ret;
    }
    if (!out->manifests)
        return refuse(err, "--manifests", "it is missing");
    return 0;
}
