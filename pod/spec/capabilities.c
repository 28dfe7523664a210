// SPDX-License-Identifier: Apache-2.0
/* Capabilities: see capabilities.h. No state. */
#include "pod/spec/capabilities.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "pod/spec/part.h"

/* By number, without "CAP_". */
static const char *const names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

const uint64_t capabilities_all = (1ull << ARRAY_SIZE(names)) - 1;

/* What every engine gives: enough to be root among the container's own files and users. */
static const char *const defaults[] = {
    "CHOWN",  "DAC_OVERRIDE", "FSETID",  "FOWNER",           "MKNOD",      "NET_RAW", "SETGID",
    "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",    "AUDIT_WRITE",
};

int capability_number(const char *name)
{
    if (!strncasecmp(name, "CAP_", 4))
        name += 4;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcasecmp(name, names[i]))
            return (int)i;
    }
    return -EINVAL;
}

static int read_list(const struct spec_words *list, const char *option, uint64_t *set, bool *all,
                     struct husk_error *err)
{
    *set = 0;
    *all = false;
    for (unsigned i = 0; i < list->count; i++) {
        const char *word = list->words[i];
        int number = capability_number(word);

        if (!strcasecmp(word, "ALL") || !strcasecmp(word, "CAP_ALL"))
            *all = true;
        else if (number < 0)
            return spec_refuse(err, EINVAL, option, word, "there is no such capability");
        else
            *set |= 1ull << number;
    }
    return 0;
}

int capabilities_choose(const struct spec_words *add, const struct spec_words *drop, uint64_t *out,
                        struct husk_error *err)
{
    uint64_t added = 0, dropped = 0;
    bool add_all = false, drop_all = false;
    int ret = read_list(add, "--cap-add", &added, &add_all, err);

    if (!ret)
        ret = read_list(drop, "--cap-drop", &dropped, &drop_all, err);
    if (ret)
        return ret;
    *out = 0;
    for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
        *out |= 1ull << capability_number(defaults[i]);
    if (add_all)
        *out = capabilities_all & ~dropped;
    else if (drop_all)
        *out = added;
    else
        *out = (*out & ~dropped) | added;
    return 0;
}

json_t *capabilities_json(uint64_t set)
{
    json_t *list = json_array(), *object;
    char name[32];
    int ret = list ? 0 : -ENOMEM;

    for (size_t i = 0; i < ARRAY_SIZE(names) && !ret; i++) {
        if (!(set >> i & 1))
            continue;
        snprintf(name, sizeof(name), "CAP_%s", names[i]);
        ret = json_array_append_new(list, json_string(name));
    }
    object =
        ret ? NULL
            : json_pack("{s:O, s:O, s:O}", "bounding", list, "effective", list, "permitted", list);
    json_decref(list);
    return object;
}
