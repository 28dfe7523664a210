// SPDX-License-Identifier: Apache-2.0
/*
 * Parsing the command line of `husk run`. Syntax and units are checked here, with the flag named;
 * what values the machine accepts (and whether files exist) is the library's to say.
 */
#include "cli/run_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/parse.h"

enum {
    OPT_VSOCK = 256,
    OPT_VFIO,
    OPT_CONSOLE,
    OPT_NO_RNG,
    OPT_NO_JAIL,
    OPT_TRANSPORT,
    OPT_TIMELINE,
    OPT_API_SOCK,
    OPT_HELP
};

#define MIB      (1ull << 20)
#define MAX_CPUS 4096u /* a sane number; KVM's own limit is found out when the VM is built */

const struct option run_long_options[] = {
    {"kernel", required_argument, NULL, 'k'},
    {"initrd", required_argument, NULL, 'i'},
    {"append", required_argument, NULL, 'a'},
    {"memory", required_argument, NULL, 'm'},
    {"cpus", required_argument, NULL, 'c'},
    {"disk", required_argument, NULL, 'd'},
    {"net", required_argument, NULL, 'n'},
    {"vsock", required_argument, NULL, OPT_VSOCK},
    {"vfio", required_argument, NULL, OPT_VFIO},
    {"console", required_argument, NULL, OPT_CONSOLE},
    {"transport", required_argument, NULL, OPT_TRANSPORT},
    {"no-rng", no_argument, NULL, OPT_NO_RNG},
    {"no-jail", no_argument, NULL, OPT_NO_JAIL},
    {"timeline", optional_argument, NULL, OPT_TIMELINE},
    {"api-sock", required_argument, NULL, OPT_API_SOCK},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const struct option_place disk_flag = {&cmd_run, "-d"}, net_flag = {&cmd_run, "-n"},
                                 memory_flag = {&cmd_run, "-m"}, cpus_flag = {&cmd_run, "-c"},
                                 vsock_flag = {&cmd_run, "--vsock"},
                                 vfio_flag = {&cmd_run, "--vfio"};

static int parse_memory(struct run_options *options, const char *text)
{
    struct option_list list;
    uint64_t number;
    int ret;

    option_list_begin(&list, text);
    if (option_list_next(&list) != 1 || list.has_value)
        return cli_usage_error(
            &cmd_run, "-m %s: wants SIZE[,shared][,hugepages][,free-page-reporting]", text);
    /* 0 means "default" to the library, so it is refused here, where a user typed it. */
    ret = parse_size(list.value, 1, UINT64_MAX, &options->vm.memory_bytes);
    if (ret)
        return cli_usage_error(&cmd_run, "-m %s: %s", text, option_size_fault(list.value, ret));
    /* Other programs count in MiB. */
    if (!parse_u64(list.value, 1, MIB - 1, &number))
        return cli_usage_error(&cmd_run, "-m %s: that is in bytes; %sM is that many MiB", text,
                               list.value);
    while ((ret = option_list_next(&list)) == 1) {
        if (!list.has_value && !strcmp(list.value, "shared"))
            options->vm.memory_shared = 1;
        else if (!list.has_value && !strcmp(list.value, "hugepages"))
            options->vm.pages = HUSK_PAGES_2M;
        else if (!list.has_value && !strcmp(list.value, "free-page-reporting"))
            options->vm.free_page_reporting = 1;
        else
            return cli_usage_error(&cmd_run,
                                   "-m %s: unknown word '%s' (known: shared, hugepages, "
                                   "free-page-reporting)",
                                   text, list.has_value ? list.key : list.value);
    }
    return ret ? option_bad_element(&memory_flag, text, ret) : 0;
}

static int parse_cpus(struct run_options *options, const char *text)
{
    struct option_list list;
    uint64_t number;
    int ret;

    option_list_begin(&list, text);
    if (option_list_next(&list) != 1 || list.has_value ||
        parse_u64(list.value, 1, MAX_CPUS, &number))
        return cli_usage_error(&cmd_run, "-c %s: wants a number of CPUs, 1 to %u", text, MAX_CPUS);
    options->vm.vcpus = (unsigned)number;
    while ((ret = option_list_next(&list)) == 1) {
        if (!list.has_value || strcmp(list.key, "threads"))
            return cli_usage_error(&cmd_run, "-c %s: unknown word '%s' (known: threads=)", text,
                                   list.has_value ? list.key : list.value);
        if (parse_u64(list.value, 1, 2, &number))
            return cli_usage_error(&cmd_run, "-c %s: threads=%s: wants 1 or 2", text, list.value);
        options->vm.threads_per_core = (unsigned)number;
    }
    return ret ? option_bad_element(&cpus_flag, text, ret) : 0;
}

static int parse_disk(struct run_options *options, const char *text)
{
    if (options->drive_count == RUN_MAX_DEVICES)
        return cli_usage_error(&cmd_run, "-d: at most %u disks", RUN_MAX_DEVICES);
    options->drive_count++;
    return disk_option_parse(&disk_flag, text, &options->drives[options->drive_count - 1],
                             &options->sources[options->drive_count - 1], &options->texts);
}

static int parse_net(struct run_options *options, const char *text)
{
    if (options->net_count == RUN_MAX_DEVICES)
        return cli_usage_error(&cmd_run, "-n: at most %u network interfaces", RUN_MAX_DEVICES);
    return net_option_parse(&net_flag, text, &options->nets[options->net_count++], &options->texts);
}

static int parse_vfio(struct run_options *options, const char *text)
{
    if (options->vfio_count == RUN_MAX_DEVICES)
        return cli_usage_error(&cmd_run, "--vfio: at most %u devices", RUN_MAX_DEVICES);
    return vfio_option_parse(&vfio_flag, text, &options->vfios[options->vfio_count++],
                             &options->texts);
}

/* One key=value of --vsock. */
static int parse_vsock_word(struct run_options *options, const struct option_list *list)
{
    struct husk_vsock_options *vsock = &options->vsock;
    uint64_t number;

    if (list->has_value && !strcmp(list->key, "cid") && !vsock->guest_cid) {
        if (parse_u64(list->value, 3, UINT32_MAX - 1, &number))
            return cli_usage_error(&cmd_run, "--vsock: cid=%s: wants a number from 3 to 4294967294",
                                   list->value);
        vsock->guest_cid = (uint32_t)number;
        return 0;
    }
    if (list->has_value && !strcmp(list->key, "path") && !vsock->path) {
        vsock->path = option_text_keep(&options->texts, list->value);
        return vsock->path ? 0 : option_out_of_memory();
    }
    return cli_usage_error(&cmd_run, "--vsock: unknown or repeated word '%s' (known: cid=, path=)",
                           list->has_value ? list->key : list->value);
}

static int parse_vsock(struct run_options *options, const char *text)
{
    struct option_list list;
    int ret;

    if (options->vsock.path)
        return cli_usage_error(&cmd_run, "--vsock: given twice");
    option_list_begin(&list, text);
    while ((ret = option_list_next(&list)) == 1) {
        ret = parse_vsock_word(options, &list);
        if (ret)
            return ret;
    }
    if (ret)
        return option_bad_element(&vsock_flag, text, ret);
    if (!options->vsock.guest_cid || !options->vsock.path)
        return cli_usage_error(&cmd_run, "--vsock %s: wants cid=N,path=FILE", text);
    return 0;
}

static int parse_console(struct run_options *options, const char *text)
{
    static const struct {
        const char *name;
        enum husk_console console;
    } kinds[] = {{"serial", HUSK_CONSOLE_SERIAL},
                 {"virtio", HUSK_CONSOLE_VIRTIO},
                 {"none", HUSK_CONSOLE_NONE}};

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!strcmp(text, kinds[i].name)) {
            options->vm.console = kinds[i].console;
            return 0;
        }
    }
    return cli_usage_error(&cmd_run, "--console %s: wants serial, virtio or none", text);
}

static int parse_transport(struct run_options *options, const char *text)
{
    if (!strcmp(text, "mmio"))
        options->vm.transport = HUSK_TRANSPORT_MMIO;
    else if (!strcmp(text, "pci"))
        options->vm.transport = HUSK_TRANSPORT_PCI;
    else if (!strcmp(text, "auto"))
        options->vm.transport = HUSK_TRANSPORT_AUTO;
    else
        return cli_usage_error(&cmd_run, "--transport %s: wants auto, mmio or pci", text);
    return 0;
}

static int parse_option(struct run_options *options, int opt, const char *value)
{
    switch (opt) {
    case 'k':
        options->vm.kernel_path = value;
        return 0;
    case 'i':
        options->vm.initrd_path = value;
        return 0;
    case 'a':
        options->vm.command_line_append = value;
        return 0;
    case 'm':
        return parse_memory(options, value);
    case 'c':
        return parse_cpus(options, value);
    case 'd':
        return parse_disk(options, value);
    case 'n':
        return parse_net(options, value);
    case 'v':
        options->vm.log_level =
            options->vm.log_level < HUSK_LOG_INFO ? HUSK_LOG_INFO : HUSK_LOG_DEBUG;
        return 0;
    case OPT_VSOCK:
        return parse_vsock(options, value);
    case OPT_VFIO:
        return parse_vfio(options, value);
    case OPT_CONSOLE:
        return parse_console(options, value);
    case OPT_TRANSPORT:
        return parse_transport(options, value);
    case OPT_NO_JAIL:
        options->vm.mode = HUSK_MODE_IN_PROCESS;
        return 0;
    case OPT_NO_RNG:
        options->vm.no_rng = 1;
        return 0;
    case OPT_API_SOCK:
        options->api_socket = value;
        return 0;
    case OPT_TIMELINE:
        options->timeline = true;
        options->timeline_svg = value;
        return 0;
    default:
        options->help = true;
        return 0;
    }
}

/* getopt_long() leaves in optopt an unknown letter, 0 after an unknown or ambiguous long option,
 * and after a long option with a value that it does not take what that option gives. */
static int bad_option(const char *argument)
{
    if (optopt && optopt < 256 && !strchr(RUN_SHORT_OPTIONS, optopt))
        return cli_usage_error(&cmd_run, "-%c: unknown option", optopt);
    return cli_usage_error(&cmd_run, "%s: %s", argument,
                           optopt ? "takes no value" : "unknown or ambiguous option");
}

/* Without -k. An initrd, or a kernel in the environment, is for another kernel than a disk's. */
static int choose_kernel(struct run_options *options)
{
    const char *given = getenv("HUSK_KERNEL");
    struct husk_error err;

    if (options->drive_count && !options->vm.initrd_path && (!given || !*given)) {
        options->kernel_from_disk = true;
        return 0;
    }
    if (husk_find_kernel(options->kernel_path, sizeof(options->kernel_path), &err)) {
        cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    options->vm.kernel_path = options->kernel_path;
    return 0;
}

int run_options_parse(struct run_options *options, int argc, char **argv)
{
    int opt, ret;

    *options = (struct run_options){.vm = HUSK_VM_OPTIONS_INIT, .vsock = HUSK_VSOCK_OPTIONS_INIT};
    opterr = 0;
    optind = 1;
    while ((opt = getopt_long(argc, argv, "+:" RUN_SHORT_OPTIONS, run_long_options, NULL)) != -1) {
        if (opt == '?')
            return bad_option(argv[optind - 1]);
        if (opt == ':')
            return cli_usage_error(&cmd_run, "%s: wants a value", argv[optind - 1]);
        ret = parse_option(options, opt, optarg);
        if (ret)
            return ret;
    }
    if (options->help)
        return 0;
    if (optind < argc)
        return cli_usage_error(&cmd_run, "%s: unexpected argument", argv[optind]);
    if (options->timeline_svg && !options->timeline_svg[0])
        return cli_usage_error(&cmd_run, "--timeline=: wants a file name");
    options->vm.vmm_path = vmm_program_find(options->vmm_path, sizeof(options->vmm_path));
    options->image_path_found =
        image_program_find(options->image_path, sizeof(options->image_path));
    return options->vm.kernel_path ? 0 : choose_kernel(options);
}

void run_options_release(struct run_options *options)
{
    option_texts_release(&options->texts);
}
