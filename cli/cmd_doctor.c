// SPDX-License-Identifier: Apache-2.0
/* husk doctor: say what this host can do, and what to do about what it cannot. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/host.h"

static void print_text(const struct finding *findings, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        printf("%-8s %s\n", finding_status_name(findings[i].status), findings[i].text);
        if (findings[i].advice[0])
            printf("%-8s -> %s\n", "", findings[i].advice);
    }
}

/* {"linux_guests": bool, "findings": [{"id", "status", "text", "advice"}]}. 0 or -1. */
static int print_json(const struct finding *findings, unsigned count, bool usable)
{
    json_t *list = json_array();
    json_t *document;
    int ret;

    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s}", "id", findings[i].id, "status",
                                        finding_status_name(findings[i].status), "text",
                                        findings[i].text, "advice", findings[i].advice));
    }
    document = json_pack("{s:b, s:o}", "linux_guests", usable, "findings", list);
    ret = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;
    printf("\n");
    json_decref(document);
    return ret;
}

static int run_doctor(int argc, char **argv, uint64_t started_ns)
{
    struct finding findings[HOST_MAX_FINDINGS];
    bool json = false, usable = true;
    unsigned count;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) {
            json = true;
        } else if (!strcmp(argv[i], "--help")) {
            command_print_help(&cmd_doctor);
            return STATUS_OK;
        } else {
            return cli_usage_error(&cmd_doctor, "doctor: %s: unknown argument", argv[i]);
        }
    }
    count = host_inspect(findings);
    for (unsigned i = 0; i < count; i++)
        usable = usable && findings[i].status != FINDING_FATAL;
    if (json) {
        if (print_json(findings, count, usable)) {
            cli_message("doctor: cannot write the report");
            return STATUS_MONITOR_ERROR;
        }
    } else {
        print_text(findings, count);
        printf("\n%s\n", usable
                             ? "This host runs Linux guests."
                             : "This host does not run ordinary Linux guests at a useful speed.");
    }
    return usable ? STATUS_OK : 1;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "say what this host can do for microVMs, and what to do about the rest",
    .synopsis = "doctor [--json]",
    .help =
        "Looks at /dev/kvm and its kind, tap and vhost-net, io_uring, IOMMU and VFIO, huge pages,\n"
        "cgroup v2, nftables and CNI for pods, and the guest kernel. Changes nothing.\n"
        "\n"
        "      --json  one JSON object on standard output\n"
        "\n"
        "Exit status: 0 the host runs Linux guests; 1 it does not; 119 usage error.\n",
    .run = run_doctor,
};
