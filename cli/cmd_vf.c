// SPDX-License-Identifier: Apache-2.0
/*
 * husk vf: the virtual functions of SR-IOV cards, from making them to giving them to VFIO and back.
 * vf_options.h is its command line, the library vf/ does the work, vf_report.h shows it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/vf_options.h"
#include "cli/vf_report.h"
#include "vf/change.h"
#include "vf/set.h"

static int print_json(json_t *document)
{
    int ret = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;

    printf("\n");
    return ret ? -EIO : 0;
}

/* NULL when there is no netlink here: then the settings are left out. */
static struct rtnl *open_rtnl(struct rtnl *rtnl)
{
    return rtnl_open(rtnl) ? NULL : rtnl;
}

static int list(const char (*pfs)[PCI_ADDRESS_SIZE], unsigned count, bool json)
{
    json_t *all = json_array();
    struct rtnl socket, *rtnl = open_rtnl(&socket);
    int ret = 0;

    for (unsigned i = 0; i < count; i++) {
        json_t *pf = vf_report_pf(&vf_this_host, rtnl, pfs[i]);

        if (pf && !json)
            vf_report_print(stdout, pf);
        if (pf)
            json_array_append_new(all, pf);
    }
    if (rtnl)
        rtnl_close(rtnl);
    if (json) {
        json_t *document = json_pack("{s:O}", "physical_functions", all);

        ret = print_json(document);
        json_decref(document);
    }
    json_decref(all);
    return ret;
}

static int run_list(const struct vf_options *options, struct husk_error *err)
{
    char(*pfs)[PCI_ADDRESS_SIZE] = calloc(PCI_PF_MAX, sizeof(*pfs));
    int count, ret;

    if (!pfs)
        return error_set(err, ENOMEM, "vf", "cannot list", NULL);
    if (options->pf) {
        ret = pci_find_pf(&vf_this_host, options->pf, pfs[0], err);
        count = ret ? ret : 1;
    } else {
        count = pci_list_pfs(&vf_this_host, pfs, PCI_PF_MAX);
        ret =
            count < 0 ? error_set(err, -count, "/sys/bus/pci/devices", "cannot be read", NULL) : 0;
    }
    if (ret == 0 && count == 0 && !options->json)
        cli_message("vf: no SR-IOV capable device here");
    if (ret == 0 && list((const char(*)[PCI_ADDRESS_SIZE])pfs, (unsigned)count, options->json))
        ret = error_set(err, EIO, "standard output", "cannot write the report", NULL);
    free(pfs);
    return ret;
}

/* Those actions that are about a PF, and show it afterwards when asked for JSON. */
static int change_pf(const struct vf_options *options, struct husk_error *err)
{
    char pf[1][PCI_ADDRESS_SIZE];
    int ret = pci_find_pf(&vf_this_host, options->pf, pf[0], err);

    if (ret)
        return ret;
    ret = options->action == VF_CREATE ? vf_create(&vf_this_host, pf[0], options->number, err)
          : options->action == VF_REMOVE
              ? vf_remove(&vf_this_host, pf[0], err)
              : vf_set(&vf_this_host, pf[0], options->pf, options->number, &options->settings, err);
    if (ret < 0)
        return ret;
    if (ret == VF_ALREADY && !options->json)
        cli_message("vf: %s: %s already", options->pf,
                    options->action == VF_CREATE ? "has that many VFs" : "has no VFs");
    if (options->json && list((const char(*)[PCI_ADDRESS_SIZE])pf, 1, true))
        return error_set(err, EIO, "standard output", "cannot write the report", NULL);
    return 0;
}

static int change_driver(const struct vf_options *options, struct husk_error *err)
{
    struct pci_function function = {0}, other;
    json_t *document;
    int ret = options->action == VF_BIND ? vf_bind(&vf_this_host, options->address, err)
                                         : vf_unbind(&vf_this_host, options->address, err);

    if (ret < 0)
        return ret;
    if (pci_function_read(&vf_this_host, options->address, &function))
        return error_set(err, ENODEV, options->address, "is not there any more",
                         "somebody removed it meanwhile");
    if (ret == VF_ALREADY && !options->json)
        cli_message("vf: %s: %s already", options->address,
                    options->action == VF_BIND ? "is bound to vfio-pci"
                                               : "is not bound to vfio-pci");
    if (options->action == VF_BIND && vf_group_blocker(&vf_this_host, &function, &other))
        cli_message("vf: %s: IOMMU group %d also holds %s with driver %s: a VM can have it when "
                    "that is bound or without driver, too",
                    options->address, function.iommu_group, other.address, other.driver);
    if (!options->json)
        return 0;
    document = json_pack("{s:s, s:s?}", "address", function.address, "driver",
                         function.driver[0] ? function.driver : NULL);
    ret = print_json(document);
    json_decref(document);
    return ret ? error_set(err, EIO, "standard output", "cannot write the report", NULL) : 0;
}

static int run_vf(int argc, char **argv, uint64_t started_ns)
{
    struct husk_error err = {0};
    struct vf_options options;
    int ret = vf_options_parse(&options, argc, argv);

    if (ret)
        return ret;
    if (options.help) {
        command_print_help(&cmd_vf);
        return STATUS_OK;
    }
    if (options.action == VF_LIST)
        ret = run_list(&options, &err);
    else if (geteuid() != 0)
        ret = error_set(&err, EPERM, argv[1], "only root can", "run it as root: sudo husk vf ...");
    else if (options.action == VF_BIND || options.action == VF_UNBIND)
        ret = change_driver(&options, &err);
    else
        ret = change_pf(&options, &err);
    if (ret == 0)
        return STATUS_OK;
    cli_error(&err);
    return STATUS_MONITOR_ERROR;
}

const struct command cmd_vf = {
    .name = "vf",
    .summary = "make, set up and give away virtual functions of SR-IOV cards",
    .synopsis = "vf list|create|remove|set|bind|unbind [ARGUMENT...] [--json]",
    .help =
        "  list [PF]       physical functions with their VFs and what is set for them\n"
        "  create PF N     make N VFs; a PF is a PCI address or its network interface\n"
        "  remove PF       remove them; refused while one of them is used\n"
        "  set PF INDEX SETTING...\n"
        "                  what the card does for one VF:\n"
        "                  mac=ADDRESS  vlan=N (0: none)  rate=MBIT (0: no limit)\n"
        "                  trust=on|off  spoofchk=on|off  link=auto|on|off\n"
        "                  all of them or, when one is refused, none\n"
        "  bind ADDRESS    give a function to vfio-pci; its driver is noted down in /run/husk/vf\n"
        "  unbind ADDRESS  give it back to that driver\n"
        "\n"
        "      --json      the result as one JSON object on standard output\n"
        "\n"
        "Everything but list needs root. Exit status: 0 done, or it was so already; 119 usage\n"
        "error; 125 the host refused.\n",
    .run = run_vf,
};
