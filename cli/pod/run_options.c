// SPDX-License-Identifier: Apache-2.0
/* Parsing the command lines of `husk run IMAGE` and `husk create`: see run_options.h. Values that
 * go into the container's configuration are checked where that is made (pod/spec). */
#include "cli/pod/run_options.h"

#include <stddef.h>
#include <string.h>

#include "base/checked.h"
#include "pod/supervisor/record.h"

static int set_pull(void *member, const struct pod_place *place, const char *value)
{
    static const char *const names[] = {"missing", "always", "never"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(value, names[i])) {
            *(enum pull_policy *)member = (enum pull_policy)i;
            return 0;
        }
    }
    return pod_usage(place->syntax, "%s: %s: wants missing, always or never", place->option, value);
}

static int set_name(void *member, const struct pod_place *place, const char *value)
{
    if (!container_name_valid(value))
        return pod_usage(place->syntax,
                         "%s: %s: wants 1 to 64 letters, digits, '.', '_' and '-', the first a "
                         "letter or digit",
                         place->option, value);
    return pod_set_text(member, place, value);
}

static int machine_only(void *member, const struct pod_place *place, const char *value)
{
    return pod_usage(place->syntax,
                     "%s: belongs to the form of `husk run` that boots a machine, which takes no "
                     "image",
                     place->option);
}

#define AT(member) offsetof(struct pod_run_options, member)

/* Those of both commands. */
#define SHARED_OPTIONS                                                                          \
    {'i', "interactive", false, pod_set_flag, AT(interactive)},                                 \
        {'t', "tty", false, pod_set_flag, AT(tty)}, {0, "rm", false, pod_set_flag, AT(remove)}, \
        {'e', "env", true, pod_add_text, AT(env)},                                              \
        {0, "env-file", true, pod_add_text, AT(env_files)},                                     \
        {'v', "volume", true, pod_add_text, AT(volumes)},                                       \
        {0, "tmpfs", true, pod_add_text, AT(tmpfs)},                                            \
        {'w', "workdir", true, pod_set_text, AT(directory)},                                    \
        {'u', "user", true, pod_set_text, AT(user)},                                            \
        {'h', "hostname", true, pod_set_text, AT(hostname)},                                    \
        {0, "entrypoint", true, pod_set_any_text, AT(entrypoint)},                              \
        {0, "init", false, pod_set_flag, AT(init)},                                             \
        {0, "read-only", false, pod_set_flag, AT(read_only)},                                   \
        {0, "cap-add", true, pod_add_text, AT(cap_add)},                                        \
        {0, "cap-drop", true, pod_add_text, AT(cap_drop)},                                      \
        {0, "security-opt", true, pod_add_text, AT(security)},                                  \
        {0, "ulimit", true, pod_add_text, AT(ulimits)},                                         \
        {0, "sysctl", true, pod_add_text, AT(sysctls)},                                         \
        {0, "shm-size", true, pod_set_text, AT(shm_size)},                                      \
        {0, "pids-limit", true, pod_set_text, AT(pids_limit)},                                  \
        {'m', "memory", true, pod_set_text, AT(memory)},                                        \
        {0, "cpus", true, pod_set_text, AT(cpus)},                                              \
        {0, "scratch-size", true, pod_set_size, AT(scratch_bytes)},                             \
        {0, "guest-kernel", true, pod_set_text, AT(kernel)},                                    \
        {0, "network", true, pod_set_text, AT(network)},                                        \
        {0, "dns", true, pod_add_text, AT(nameservers)}, {0, "name", true, set_name, AT(name)}, \
        {'l', "label", true, pod_add_text, AT(labels)}, {0, "pull", true, set_pull, AT(pull)},  \
        {'q', "quiet", false, pod_set_flag, AT(quiet)},                                         \
        {0, "timeout", true, pod_set_seconds, AT(timeout)},                                     \
        {0, "stop-signal", true, pod_set_text, AT(stop_signal)},                                \
    {                                                                                           \
        0, "stop-timeout", true, pod_set_seconds, AT(stop_timeout)                              \
    }

static const struct pod_option run_table[] = {
    SHARED_OPTIONS,
    {'d', "detach", false, pod_set_flag, AT(detach)},
    {0, "detach-keys", true, pod_set_keys, AT(detach_keys)},
    {0, "sig-proxy", false, pod_set_flag, AT(sig_proxy)},
    /* Said of them is more than that they are unknown. */
    {'k', "kernel", true, machine_only, 0},
    {'a', "append", true, machine_only, 0},
    {'c', "", true, machine_only, 0},
    {'n', "net", true, machine_only, 0},
    {0, "initrd", true, machine_only, 0},
    {0, "disk", true, machine_only, 0},
    {0, "vfio", true, machine_only, 0},
    {0, "vsock", true, machine_only, 0},
    {0, "console", true, machine_only, 0},
    {0, "transport", true, machine_only, 0},
    {0, "api-sock", true, machine_only, 0},
    {0, "no-rng", false, machine_only, 0},
    {0, "no-jail", false, machine_only, 0},
    {0, "timeline", false, machine_only, 0},
    {0, "verbose", false, machine_only, 0},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option create_table[] = {
    SHARED_OPTIONS,
    {0, NULL, false, NULL, 0},
};

#define SHARED_HELP                                                                           \
    "  -i, --interactive      the command gets standard input\n"                              \
    "  -t, --tty              and a terminal\n"                                               \
    "      --rm               remove the container when it has ended\n"                       \
    "      --name NAME        default: the image's last word and six digits\n"                \
    "  -l, --label NAME=TEXT  for `husk ps --filter`\n"                                       \
    "  -e, --env NAME[=VALUE] a variable; without a value, this one's\n"                      \
    "      --env-file FILE    one in each line\n"                                             \
    "  -v, --volume SOURCE:DIRECTORY[:ro]\n"                                                  \
    "                         a disk image (ext4, erofs) as a file system; a file or\n"       \
    "                         directory is copied in\n"                                       \
    "      --tmpfs DIRECTORY[:OPTIONS]\n"                                                     \
    "  -w, --workdir DIRECTORY\n"                                                             \
    "  -u, --user USER[:GROUP]\n"                                                             \
    "  -h, --hostname NAME\n"                                                                 \
    "      --entrypoint PROGRAM\n"                                                            \
    "      --init             a first process that reaps orphans and sends signals on\n"      \
    "      --read-only        the root file system\n"                                         \
    "      --cap-add NAME, --cap-drop NAME\n"                                                 \
    "                         capabilities, or ALL\n"                                         \
    "      --security-opt no-new-privileges|seccomp=FILE|seccomp=unconfined\n"                \
    "      --ulimit NAME=SOFT[:HARD]\n"                                                       \
    "      --sysctl NAME=VALUE\n"                                                             \
    "      --shm-size SIZE    of /dev/shm\n"                                                  \
    "      --pids-limit N     processes and threads\n"                                        \
    "  -m, --memory SIZE      limit of the container's memory; the machine has room for it\n" \
    "      --cpus N           limit in processors, such as 1.5\n"                             \
    "      --scratch-size SIZE\n"                                                             \
    "                         of the disk that takes what the container writes\n"             \
    "      --network "                                                                        \
    "none|tap=NAME[,address=ADDRESS/BITS]...[,gateway=ADDRESS][,mac=MAC][,mtu=N]\n"           \
    "                         default: none\n"                                                \
    "      --dns ADDRESS      a name server\n"                                                \
    "      --pull missing|always|never\n"                                                     \
    "                         whether to get the image from its registry\n"                   \
    "  -q, --quiet            no progress of that\n"                                          \
    "      --timeout TIME     end the container after 90, 90s, 5m, 1h30m\n"                   \
    "      --stop-signal SIGNAL, --stop-timeout TIME\n"                                       \
    "                         how `husk stop` ends it, and how long it waits\n"               \
    "      --guest-kernel FILE\n"                                                             \
    "                         the machine's kernel; default: as husk(1) says\n"

const struct pod_syntax pod_run_syntax = {
    .command = "run",
    .help =
        "husk run [OPTION...] IMAGE [COMMAND [ARGUMENT...]]\n"
        "\n"
        "Run a container of an image, in a microVM of its own. Options after IMAGE are the "
        "command's.\n"
        "\n"
        "  -d, --detach           in the background; prints the container's id\n" SHARED_HELP
        "      --detach-keys KEYS default: ctrl-p,ctrl-q\n"
        "      --sig-proxy=false  without a terminal, do not send signals on\n"
        "\n"
        "Exit status: the command's; 125 husk failed; 126 the command cannot be executed; 127 it\n"
        "is not there.\n",
    .wants = "an image",
    .least = 1,
    .most = UINT16_MAX,
    .words_before_end = 1,
    .own_statuses = true,
    .options = run_table,
};

const struct pod_syntax pod_create_syntax = {
    .command = "create",
    .help =
        "husk create [OPTION...] IMAGE [COMMAND [ARGUMENT...]]\n"
        "\n"
        "Make a container of an image, as `husk run` does, and print its id. Nothing of it runs\n"
        "before `husk start`. Options after IMAGE are the command's.\n"
        "\n" SHARED_HELP "\n"
        "Exit status: 0 done; 119 usage error; 125 failure.\n",
    .wants = "an image",
    .least = 1,
    .most = UINT16_MAX,
    .words_before_end = 1,
    .options = create_table,
};

int pod_run_options_parse(const struct pod_syntax *syntax, struct pod_run_options *out, int argc,
                          char **argv)
{
    char **words;
    unsigned count;
    int ret;

    *out = (struct pod_run_options){
        .syntax = syntax, .sig_proxy = true, .timeout = -1, .stop_timeout = -1};
    ret = pod_options_parse(syntax, out, argc, argv, &words, &count);
    if (ret)
        return ret;
    out->image = words[0];
    out->command = words + 1;
    out->command_count = count - 1;
    return 0;
}

void pod_run_options_release(struct pod_run_options *options)
{
    struct pod_list *const lists[] = {
        &options->env,     &options->env_files,   &options->volumes,  &options->tmpfs,
        &options->cap_add, &options->cap_drop,    &options->security, &options->ulimits,
        &options->sysctls, &options->nameservers, &options->labels};

    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
        pod_list_release(lists[i]);
}
