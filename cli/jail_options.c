// SPDX-License-Identifier: Apache-2.0
/*
 * Command line of `husk jail`: the flags of Firecracker's jailer, each checked as it is read. No
 * state.
 */
#include "cli/jail_options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define ID_BYTES_MAX     64u
#define NOFILE_DEFAULT   2048u
#define NOFILE_MIN       64u /* building the jail needs some itself */
#define BASE_DIR_DEFAULT "/srv/jailer"

enum {
    OPT_ID = 256,
    OPT_EXEC_FILE,
    OPT_UID,
    OPT_GID,
    OPT_BASE_DIR,
    OPT_NETNS,
    OPT_DAEMONIZE,
    OPT_NEW_PID_NS,
    OPT_CGROUP,
    OPT_CGROUP_VERSION,
    OPT_PARENT_CGROUP,
    OPT_RESOURCE_LIMIT,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"id", required_argument, NULL, OPT_ID},
    {"exec-file", required_argument, NULL, OPT_EXEC_FILE},
    {"uid", required_argument, NULL, OPT_UID},
    {"gid", required_argument, NULL, OPT_GID},
    {"chroot-base-dir", required_argument, NULL, OPT_BASE_DIR},
    {"netns", required_argument, NULL, OPT_NETNS},
    {"daemonize", no_argument, NULL, OPT_DAEMONIZE},
    {"new-pid-ns", no_argument, NULL, OPT_NEW_PID_NS},
    {"cgroup", required_argument, NULL, OPT_CGROUP},
    {"cgroup-version", required_argument, NULL, OPT_CGROUP_VERSION},
    {"parent-cgroup", required_argument, NULL, OPT_PARENT_CGROUP},
    {"resource-limit", required_argument, NULL, OPT_RESOURCE_LIMIT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int parse_text(const char *flag, const char *value, const char **out)
{
    if (!value[0])
        return cli_usage_error(&cmd_jail, "%s: is empty", flag);
    *out = value;
    return 0;
}

static int parse_id(struct jail_options *options, const char *value)
{
    size_t len = strlen(value);

    if (!len || len > ID_BYTES_MAX ||
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != len)
        return cli_usage_error(&cmd_jail, "--id %s: wants 1 to %u of A-Z a-z 0-9 -", value,
                               ID_BYTES_MAX);
    options->id = value;
    return 0;
}

static int parse_user(const char *flag, const char *value, uint32_t *out)
{
    uint64_t number;

    if (parse_u64(value, 0, UINT32_MAX - 1, &number))
        return cli_usage_error(&cmd_jail, "%s %s: wants a number, 1 to 4294967294", flag, value);
    if (!number)
        return cli_usage_error(&cmd_jail, "%s 0: is root's: give the jail a user of its own", flag);
    *out = (uint32_t)number;
    return 0;
}

static int parse_cgroup(struct jail_options *options, const char *value)
{
    const char *sign = strchr(value, '=');
    const char *dot = strchr(value, '.');
    char *file;

    if (!sign || !sign[1] || !dot || dot == value || dot + 1 >= sign ||
        strcspn(value, "/ ") < (size_t)(sign - value))
        return cli_usage_error(&cmd_jail, "--cgroup %s: wants FILE=VALUE, such as memory.max=1G",
                               value);
    if (options->cgroup_count == JAIL_CGROUP_VALUES_MAX)
        return cli_usage_error(&cmd_jail, "--cgroup: at most %u", JAIL_CGROUP_VALUES_MAX);
    file = strndup(value, (size_t)(sign - value));
    if (!file) {
        cli_message("out of memory");
        return STATUS_MONITOR_ERROR;
    }
    options->cgroup_files[options->cgroup_count] = file;
    options->cgroup_values[options->cgroup_count++] = sign + 1;
    return 0;
}

static int parse_cgroup_version(const char *value)
{
    if (!strcmp(value, "2"))
        return 0;
    if (!strcmp(value, "1"))
        return cli_usage_error(&cmd_jail,
                               "--cgroup-version 1: only version 2 is supported: mount it "
                               "(systemd.unified_cgroup_hierarchy=1)");
    return cli_usage_error(&cmd_jail, "--cgroup-version %s: wants 2", value);
}

static int parse_resource_limit(struct jail_options *options, const char *value)
{
    if (!strncmp(value, "fsize=", 6)) {
        if (parse_u64(value + 6, 0, INT64_MAX, &options->fsize_bytes))
            return cli_usage_error(&cmd_jail, "--resource-limit %s: wants a number of bytes",
                                   value);
        return 0;
    }
    if (!strncmp(value, "no-file=", 8)) {
        if (parse_u64(value + 8, NOFILE_MIN, 1u << 30, &options->nofile))
            return cli_usage_error(&cmd_jail, "--resource-limit %s: wants %u to %u", value,
                                   NOFILE_MIN, 1u << 30);
        return 0;
    }
    return cli_usage_error(&cmd_jail, "--resource-limit %s: wants fsize=BYTES or no-file=NUMBER",
                           value);
}

/* Also once it has been given: then the later one would silently win. */
static int check_once(uint32_t *seen, int opt)
{
    uint32_t bit = 1u << (opt - OPT_ID);

    if (*seen & bit && opt != OPT_CGROUP && opt != OPT_RESOURCE_LIMIT)
        return cli_usage_error(&cmd_jail, "--%s: given twice", long_options[opt - OPT_ID].name);
    *seen |= bit;
    return 0;
}

static int parse_option(struct jail_options *options, int opt, const char *value)
{
    switch (opt) {
    case OPT_ID:
        return parse_id(options, value);
    case OPT_EXEC_FILE:
        return parse_text("--exec-file", value, &options->exec_file);
    case OPT_UID:
        return parse_user("--uid", value, &options->uid);
    case OPT_GID:
        return parse_user("--gid", value, &options->gid);
    case OPT_BASE_DIR:
        return parse_text("--chroot-base-dir", value, &options->base_dir);
    case OPT_NETNS:
        return parse_text("--netns", value, &options->netns);
    case OPT_DAEMONIZE:
        options->daemonize = true;
        return 0;
    case OPT_NEW_PID_NS:
        options->new_pid_ns = true;
        return 0;
    case OPT_CGROUP:
        return parse_cgroup(options, value);
    case OPT_CGROUP_VERSION:
        return parse_cgroup_version(value);
    case OPT_PARENT_CGROUP:
        return parse_text("--parent-cgroup", value, &options->parent_cgroup);
    case OPT_RESOURCE_LIMIT:
        return parse_resource_limit(options, value);
    default:
        options->help = true;
        return 0;
    }
}

static int check_complete(const struct jail_options *options, uint32_t seen)
{
    static const int required[] = {OPT_ID, OPT_EXEC_FILE, OPT_UID, OPT_GID};

    for (unsigned i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (!(seen & 1u << (required[i] - OPT_ID)))
            return cli_usage_error(&cmd_jail, "--%s: is required",
                                   long_options[required[i] - OPT_ID].name);
    }
    if (options->base_dir[0] != '/')
        return cli_usage_error(&cmd_jail, "--chroot-base-dir %s: wants an absolute path",
                               options->base_dir);
    return 0;
}

int jail_options_parse(struct jail_options *options, int argc, char **argv)
{
    uint32_t seen = 0;
    int opt, ret;

    *options = (struct jail_options){
        .base_dir = BASE_DIR_DEFAULT, .nofile = NOFILE_DEFAULT, .fsize_bytes = UINT64_MAX};
    opterr = 0;
    optind = 1;
    while ((opt = getopt_long(argc, argv, "+:", long_options, NULL)) != -1) {
        if (opt == '?')
            return cli_usage_error(&cmd_jail, "%s: %s", argv[optind - 1],
                                   optopt >= OPT_ID ? "takes no value"
                                                    : "unknown or ambiguous option");
        if (opt == ':')
            return cli_usage_error(&cmd_jail, "%s: wants a value", argv[optind - 1]);
        ret = check_once(&seen, opt);
        if (!ret)
            ret = parse_option(options, opt, optarg);
        if (ret)
            return ret;
    }
    if (options->help)
        return 0;
    if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
        return cli_usage_error(&cmd_jail, "%s: unexpected argument: the program's come after --",
                               argv[optind]);
    options->rest = optind;
    return check_complete(options, seen);
}

void jail_options_release(struct jail_options *options)
{
    for (unsigned i = 0; i < options->cgroup_count; i++)
        free(options->cgroup_files[i]);
    options->cgroup_count = 0;
}
