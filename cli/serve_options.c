// SPDX-License-Identifier: Apache-2.0
/*
 * Parsing the command line of `husk serve`. Every flag of Firecracker's is known: what husk does
 * not have is refused in words, not as unknown.
 */
#include "cli/serve_options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/parse.h"

#define ID_MAX         64u
#define PAYLOAD_MAX    (1u << 30)
#define DEFAULT_SOCKET "/run/firecracker.socket"

enum {
    FLAG_API_SOCK = 1,
    FLAG_ID,
    FLAG_CONFIG_FILE,
    FLAG_NO_API,
    FLAG_LOG_PATH,
    FLAG_LEVEL,
    FLAG_MODULE,
    FLAG_SHOW_LEVEL,
    FLAG_SHOW_LOG_ORIGIN,
    FLAG_METRICS_PATH,
    FLAG_BOOT_TIMER,
    FLAG_NO_SECCOMP,
    FLAG_PAYLOAD,
    FLAG_START_TIME,
    FLAG_START_TIME_CPU,
    FLAG_PARENT_CPU_TIME,
    FLAG_VERSION,
    FLAG_HELP,
    FLAG_METADATA,
    FLAG_SECCOMP_FILTER,
    FLAG_MMDS_LIMIT,
    FLAG_ENABLE_PCI,
    FLAG_SNAPSHOT_VERSION,
    FLAG_DESCRIBE_SNAPSHOT,
};

static const struct option flags[] = {
    {"api-sock", required_argument, NULL, FLAG_API_SOCK},
    {"id", required_argument, NULL, FLAG_ID},
    {"config-file", required_argument, NULL, FLAG_CONFIG_FILE},
    {"no-api", no_argument, NULL, FLAG_NO_API},
    {"log-path", required_argument, NULL, FLAG_LOG_PATH},
    {"level", required_argument, NULL, FLAG_LEVEL},
    {"module", required_argument, NULL, FLAG_MODULE},
    {"show-level", no_argument, NULL, FLAG_SHOW_LEVEL},
    {"show-log-origin", no_argument, NULL, FLAG_SHOW_LOG_ORIGIN},
    {"metrics-path", required_argument, NULL, FLAG_METRICS_PATH},
    {"boot-timer", no_argument, NULL, FLAG_BOOT_TIMER},
    {"no-seccomp", no_argument, NULL, FLAG_NO_SECCOMP},
    {"http-api-max-payload-size", required_argument, NULL, FLAG_PAYLOAD},
    {"start-time-us", required_argument, NULL, FLAG_START_TIME},
    {"start-time-cpu-us", required_argument, NULL, FLAG_START_TIME_CPU},
    {"parent-cpu-time-us", required_argument, NULL, FLAG_PARENT_CPU_TIME},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {"metadata", required_argument, NULL, FLAG_METADATA},
    {"seccomp-filter", required_argument, NULL, FLAG_SECCOMP_FILTER},
    {"mmds-size-limit", required_argument, NULL, FLAG_MMDS_LIMIT},
    {"enable-pci", no_argument, NULL, FLAG_ENABLE_PCI},
    {"snapshot-version", no_argument, NULL, FLAG_SNAPSHOT_VERSION},
    {"describe-snapshot", required_argument, NULL, FLAG_DESCRIBE_SNAPSHOT},
    {0},
};

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cli_usage_error(&cmd_serve, "%s", text);
    return SERVE_ARGUMENTS;
}

/* Flags that are known and not there. */
static int refuse_absent(int flag)
{
    switch (flag) {
    case FLAG_METADATA:
        return refuse("--metadata: the metadata service is not implemented");
    case FLAG_SECCOMP_FILTER:
        return refuse("--seccomp-filter: the system call filters are built in; --no-seccomp leaves "
                      "them out");
    case FLAG_MMDS_LIMIT:
        return refuse("--mmds-size-limit: the metadata service is not implemented");
    default:
        return refuse("--snapshot-version, --describe-snapshot: snapshots are not implemented");
    }
}

static int parse_id(struct serve_options *options, const char *id)
{
    size_t len = strlen(id);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)id[i];

        if (c > 0x7f || (!isalnum(c) && c != '-'))
            return refuse("--id: %.80s: only letters, digits and - are allowed", id);
    }
    if (len == 0 || len > ID_MAX)
        return refuse("--id: it has %zu characters, not 1 to %u", len, ID_MAX);
    options->api.id = id;
    return 0;
}

static int parse_number(const char *flag, const char *text, uint64_t max, uint64_t *out)
{
    if (parse_u64(text, 0, max, out))
        return refuse("--%s: %.80s: wants a number up to %llu", flag, text,
                      (unsigned long long)max);
    return 0;
}

static int parse_payload(struct serve_options *options, const char *text)
{
    uint64_t bytes;
    int status = parse_number("http-api-max-payload-size", text, PAYLOAD_MAX, &bytes);

    if (!status)
        options->payload_max_bytes = (size_t)bytes;
    return status;
}

static int parse_level(struct serve_options *options, const char *text)
{
    static const char *const levels[] = {"Off",  "Error", "Warning", "Warn",
                                         "Info", "Debug", "Trace"};

    for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
        if (!strcasecmp(levels[i], text)) {
            options->log.level = text;
            return 0;
        }
    }
    cli_message("Invalid value for logger level: %.80s. Possible values: [Error, Warning, Info, "
                "Debug]",
                text);
    return SERVE_BAD_CONFIGURATION;
}

/* Flags of the log make it one that was configured, with Info as its level. */
static bool is_log_flag(int flag)
{
    return flag == FLAG_LOG_PATH || flag == FLAG_LEVEL || flag == FLAG_MODULE ||
           flag == FLAG_SHOW_LEVEL || flag == FLAG_SHOW_LOG_ORIGIN;
}

static int apply(struct serve_options *options, int flag, const char *value)
{
    switch (flag) {
    case FLAG_API_SOCK:
        options->socket_path = value;
        return 0;
    case FLAG_ID:
        return parse_id(options, value);
    case FLAG_CONFIG_FILE:
        options->config_path = value;
        return 0;
    case FLAG_NO_API:
        options->no_api = true;
        return 0;
    case FLAG_LOG_PATH:
        options->log.path = value;
        return 0;
    case FLAG_LEVEL:
        return parse_level(options, value);
    case FLAG_MODULE:
        options->log.module = value;
        return 0;
    case FLAG_SHOW_LEVEL:
        options->log.show_level = true;
        return 0;
    case FLAG_SHOW_LOG_ORIGIN:
        options->log.show_origin = true;
        return 0;
    case FLAG_METRICS_PATH:
        options->metrics_path = value;
        return 0;
    case FLAG_BOOT_TIMER:
        options->api.boot_timer = true;
        return 0;
    case FLAG_NO_SECCOMP:
        options->api.no_seccomp = true;
        return 0;
    case FLAG_ENABLE_PCI:
        options->api.enable_pci = true;
        return 0;
    case FLAG_PAYLOAD:
        return parse_payload(options, value);
    case FLAG_START_TIME:
        return parse_number("start-time-us", value, UINT64_MAX, &options->api.start_time_us);
    case FLAG_START_TIME_CPU:
        return parse_number("start-time-cpu-us", value, UINT64_MAX,
                            &options->api.start_time_cpu_us);
    case FLAG_PARENT_CPU_TIME:
        return parse_number("parent-cpu-time-us", value, UINT64_MAX,
                            &options->api.parent_cpu_time_us);
    case FLAG_VERSION:
        options->version = true;
        return 0;
    case FLAG_HELP:
        options->help = true;
        return 0;
    default:
        return refuse_absent(flag);
    }
}

int serve_options_parse(struct serve_options *options, int argc, char **argv)
{
    int flag, status = 0;

    *options = (struct serve_options){
        .api = {.console_in_fd = -1, .console_out_fd = -1},
        .socket_path = DEFAULT_SOCKET,
        .payload_max_bytes = API_PAYLOAD_MAX_DEFAULT,
    };
    opterr = 0;
    optind = 0;
    while (!status && (flag = getopt_long(argc, argv, ":", flags, NULL)) != -1) {
        if (flag == '?')
            return refuse("%.80s: no such flag", argv[optind - 1]);
        if (flag == ':')
            return refuse("%.80s: wants a value", argv[optind - 1]);
        options->log_given = options->log_given || is_log_flag(flag);
        status = apply(options, flag, optarg);
    }
    if (status || options->help || options->version)
        return status;
    if (optind < argc)
        return refuse("%.80s: no arguments but flags are taken", argv[optind]);
    if (options->no_api && !options->config_path)
        return refuse("--no-api: wants --config-file");
    return 0;
}
