// SPDX-License-Identifier: Apache-2.0
/* Parsing the command line of `husk vm`: see vm_options.h. */
#include "cli/vm_options.h"

#include <string.h>

#include "base/checked.h"

#define WORDS_MAX 4u /* drive add SOCKET FILE */

struct verb {
    const char *first, *second; /* second NULL: a verb of one word */
    enum vm_action action;
    const char *argument; /* behind the socket; NULL: none */
};

static const struct verb verbs[] = {
    {"info", NULL, VM_INFO, NULL},
    {"pause", NULL, VM_PAUSE, NULL},
    {"resume", NULL, VM_RESUME, NULL},
    {"ctrl-alt-del", NULL, VM_CTRL_ALT_DEL, NULL},
    {"drive", "add", VM_DRIVE_ADD, "FILE[,WORD]..."},
    {"drive", "remove", VM_DRIVE_REMOVE, "ID"},
    {"net", "add", VM_NET_ADD, "tap=NAME[,WORD]..."},
    {"net", "remove", VM_NET_REMOVE, "ID"},
    {"vfio", "add", VM_VFIO_ADD, "ADDRESS[,WORD]..."},
    {"vfio", "remove", VM_VFIO_REMOVE, "ID"},
};

/* What of a disk or interface cannot be asked for over the socket. */
static int check_drive(const struct vm_options *options)
{
    if (options->drive.queues)
        return cli_usage_error(&cmd_vm, "drive add: queues=: the API knows disks with one queue");
    return 0;
}

static int check_net(const struct vm_options *options)
{
    if (options->net.queue_pairs || options->net.vhost != HUSK_VHOST_AUTO)
        return cli_usage_error(&cmd_vm, "net add: queues=, vhost=: the API knows interfaces with "
                                        "one queue pair and the monitor's data path");
    return 0;
}

static int check_vfio(const struct vm_options *options)
{
    if (options->vfio.device_fd >= 0 || options->vfio.group_fd >= 0 || options->vfio.iommu_fd >= 0)
        return cli_usage_error(&cmd_vm, "vfio add: fd=, group-fd=, iommu-fd=: the API takes no "
                                        "descriptors: the VM's monitor opens the device");
    return 0;
}

static int parse_argument(struct vm_options *options, const char *text)
{
    static const struct option_place drive = {&cmd_vm, "drive add"}, net = {&cmd_vm, "net add"},
                                     vfio = {&cmd_vm, "vfio add"};
    int status;

    switch (options->action) {
    case VM_DRIVE_ADD:
        status = drive_option_parse(&drive, text, &options->drive, &options->texts);
        return status ? status : check_drive(options);
    case VM_NET_ADD:
        status = net_option_parse(&net, text, &options->net, &options->texts);
        return status ? status : check_net(options);
    case VM_VFIO_ADD:
        status = vfio_option_parse(&vfio, text, &options->vfio, &options->texts);
        return status ? status : check_vfio(options);
    default:
        if (!text[0])
            return cli_usage_error(&cmd_vm, "the id is empty");
        options->id = text;
        return 0;
    }
}

static const struct verb *find_verb(const char *const *words, unsigned count)
{
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (!strcmp(verbs[i].first, words[0]) &&
            (!verbs[i].second || (count > 1 && !strcmp(verbs[i].second, words[1]))))
            return &verbs[i];
    }
    return NULL;
}

/* Whether a second word makes a verb of it. */
static bool has_second(const char *word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (verbs[i].second && !strcmp(verbs[i].first, word))
            return true;
    }
    return false;
}

static int parse_words(struct vm_options *out, const char *const *words, unsigned count)
{
    const struct verb *verb = count ? find_verb(words, count) : NULL;
    unsigned before, wanted;

    if (!count)
        return cli_usage_error(&cmd_vm, "wants a verb");
    if (!verb && has_second(words[0]))
        return cli_usage_error(&cmd_vm, "%s: wants add or remove", words[0]);
    if (!verb)
        return cli_usage_error(&cmd_vm, "%s: no such verb", words[0]);
    before = verb->second ? 2 : 1;
    wanted = before + 1 + (verb->argument ? 1 : 0);
    if (count != wanted)
        return cli_usage_error(&cmd_vm, "%s%s%s: wants SOCKET%s%s", verb->first,
                               verb->second ? " " : "", verb->second ? verb->second : "",
                               verb->argument ? " " : "", verb->argument ? verb->argument : "");
    out->action = verb->action;
    out->socket = words[before];
    if (out->json && out->action != VM_INFO)
        return cli_usage_error(&cmd_vm, "--json: only info has it");
    return verb->argument ? parse_argument(out, words[before + 1]) : 0;
}

int vm_options_parse(struct vm_options *out, int argc, char **argv)
{
    const char *words[WORDS_MAX];
    unsigned count = 0;
    bool only_words = false;

    *out = (struct vm_options){0};
    for (int i = 1; i < argc; i++) {
        if (only_words || argv[i][0] != '-' || !argv[i][1]) {
            if (count == WORDS_MAX)
                return cli_usage_error(&cmd_vm, "%s: unexpected argument", argv[i]);
            words[count++] = argv[i];
        } else if (!strcmp(argv[i], "--")) {
            only_words = true;
        } else if (!strcmp(argv[i], "--json")) {
            out->json = true;
        } else if (!strcmp(argv[i], "--help")) {
            out->help = true;
        } else {
            return cli_usage_error(&cmd_vm, "%s: unknown option", argv[i]);
        }
    }
    return out->help ? 0 : parse_words(out, words, count);
}

void vm_options_release(struct vm_options *options)
{
    option_texts_release(&options->texts);
}
