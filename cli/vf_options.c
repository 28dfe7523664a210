// SPDX-License-Identifier: Apache-2.0
/* Parsing the command line of `husk vf`: see vf_options.h. */
#include "cli/vf_options.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/parse.h"
#include "cli/cli.h"

#define VLAN_MAX      4094u    /* IEEE 802.1Q-2018, 9.6: FFFh is reserved */
#define RATE_MBIT_MAX 1000000u /* no card is faster, and drivers compute with it */
#define WORDS_MAX     16u

static const struct action {
    const char *name;
    enum vf_action action;
    unsigned least, most; /* words after it */
    const char *wants;
} actions[] = {
    {"list", VF_LIST, 0, 1, "at most one PF"},
    {"create", VF_CREATE, 2, 2, "a PF and a number of VFs"},
    {"remove", VF_REMOVE, 1, 1, "a PF"},
    {"set", VF_SET, 3, 2 + 6, "a PF, the number of a VF, and settings such as vlan=5"},
    {"bind", VF_BIND, 1, 1, "a PCI address"},
    {"unbind", VF_UNBIND, 1, 1, "a PCI address"},
};

static int parse_vf_mac(const char *text, uint8_t mac[6])
{
    /* The way back to an address of the VF driver's choice; not an address itself. */
    if (!strcmp(text, "00:00:00:00:00:00")) {
        memset(mac, 0, 6);
        return 0;
    }
    return parse_mac(text, mac);
}

static int parse_link(const char *text, uint32_t *out)
{
    bool on;
    int ret;

    if (!strcmp(text, "auto")) {
        *out = IFLA_VF_LINK_STATE_AUTO;
        return 0;
    }
    ret = parse_bool(text, &on);
    if (ret == 0)
        *out = on ? IFLA_VF_LINK_STATE_ENABLE : IFLA_VF_LINK_STATE_DISABLE;
    return ret;
}

/* 0, or -errno with *wants saying what would have been right. */
static int parse_value(enum vf_setting which, const char *value, struct vf_settings *out,
                       const char **wants)
{
    uint64_t number = 0;
    int ret;

    switch (which) {
    case VF_MAC:
        *wants = "a unicast address such as 02:00:00:00:00:01, or zeros for none";
        return parse_vf_mac(value, out->mac);
    case VF_VLAN:
        *wants = "0 (none) to 4094";
        ret = parse_u64(value, 0, VLAN_MAX, &number);
        out->vlan = (uint16_t)number;
        return ret;
    case VF_RATE:
        *wants = "Mbit/s, 0 (no limit) to 1000000";
        ret = parse_u64(value, 0, RATE_MBIT_MAX, &number);
        out->rate_mbit = (uint32_t)number;
        return ret;
    case VF_TRUST:
        *wants = "on or off";
        return parse_bool(value, &out->trust);
    case VF_SPOOFCHK:
        *wants = "on or off";
        return parse_bool(value, &out->spoofchk);
    default:
        *wants = "auto, on or off";
        return parse_link(value, &out->link);
    }
}

static int parse_setting(struct vf_options *out, const char *word)
{
    const char *value = strchr(word, '='), *wants;
    size_t len = value ? (size_t)(value - word) : 0;

    for (unsigned bit = 1; value && bit & VF_ALL_SETTINGS; bit <<= 1) {
        const char *name = vf_setting_name(bit);

        if (strlen(name) != len || memcmp(name, word, len) != 0)
            continue;
        if (out->settings.known & bit)
            return cli_usage_error(&cmd_vf, "vf set: %s: given twice", name);
        if (parse_value(bit, value + 1, &out->settings, &wants))
            return cli_usage_error(&cmd_vf, "vf set: %s: wants %s", word, wants);
        out->settings.known |= bit;
        return 0;
    }
    return cli_usage_error(&cmd_vf,
                           "vf set: %s: unknown setting; there are mac=, vlan=, rate=, trust=, "
                           "spoofchk= and link=",
                           word);
}

static int parse_words(struct vf_options *out, const struct action *action, char **words,
                       unsigned count)
{
    uint64_t number;
    int ret = 0;

    if (count < action->least || count > action->most)
        return cli_usage_error(&cmd_vf, "vf %s: wants %s", action->name, action->wants);
    if (action->action == VF_BIND || action->action == VF_UNBIND) {
        if (pci_address_parse(words[0], out->address))
            return cli_usage_error(&cmd_vf, "vf %s: %s: wants a PCI address such as 0000:01:10.0",
                                   action->name, words[0]);
        return 0;
    }
    out->pf = count ? words[0] : NULL;
    if (action->action == VF_CREATE || action->action == VF_SET) {
        unsigned least = action->action == VF_CREATE ? 1 : 0;

        if (parse_u64(words[1], least, UINT16_MAX, &number))
            return cli_usage_error(&cmd_vf, "vf %s: %s: wants a number, %u to 65535", action->name,
                                   words[1], least);
        out->number = (unsigned)number;
    }
    for (unsigned i = 2; ret == 0 && action->action == VF_SET && i < count; i++)
        ret = parse_setting(out, words[i]);
    return ret;
}

int vf_options_parse(struct vf_options *out, int argc, char **argv)
{
    const struct action *action = NULL;
    char *words[WORDS_MAX];
    unsigned count = 0;

    memset(out, 0, sizeof(*out));
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            out->help = true;
            return 0;
        }
        if (!strcmp(argv[i], "--json"))
            out->json = true;
        else if (argv[i][0] == '-')
            return cli_usage_error(&cmd_vf, "vf: %s: unknown option", argv[i]);
        else if (count == WORDS_MAX)
            return cli_usage_error(&cmd_vf, "vf: too many arguments");
        else
            words[count++] = argv[i];
    }
    if (!count)
        return cli_usage_error(&cmd_vf, "vf: wants list, create, remove, set, bind or unbind");
    for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
        if (!strcmp(actions[i].name, words[0]))
            action = &actions[i];
    }
    if (!action)
        return cli_usage_error(
            &cmd_vf, "vf: %s: unknown; there are list, create, remove, set, bind and unbind",
            words[0]);
    out->action = action->action;
    return parse_words(out, action, words + 1, count - 1);
}
