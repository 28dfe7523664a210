// SPDX-License-Identifier: Apache-2.0
/* Capabilities: see capabilities.h. No state. */
#include "guest/agent/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"

/* By number; CAP_LAST_CAP of the headers may be older or newer than the kernel's. */
static const char *const names[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

int capabilities_parse(const struct node *up, const char *key, uint64_t *set,
                       struct husk_error *err)
{
    struct node array;
    int ret = node_array(up, key, 2 * ARRAY_SIZE(names), &array, err);

    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct node element = node_element(&array, i);
        const char *name = json_string_value(element.json);
        unsigned number = 0;

        while (name && number < ARRAY_SIZE(names) && strcmp(names[number], name))
            number++;
        if (!name || number == ARRAY_SIZE(names))
            return node_error(&element, EINVAL, err, "is not the name of a capability");
        *set |= 1ull << number;
    }
    return ret;
}

int capabilities_limit(const struct oci_capabilities *capabilities, struct husk_error *err)
{
    /* The kernel says EINVAL behind its last one. */
    for (unsigned i = 0; i < 64; i++) {
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) < 0)
            break;
        if (!(capabilities->bounding >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
            return error_set(err, errno, "process.capabilities.bounding", "cannot be set", NULL);
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return error_set(err, errno, "process.capabilities", "cannot be kept", NULL);
    return 0;
}

int capabilities_apply(const struct oci_capabilities *capabilities, struct husk_error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].effective = (uint32_t)(capabilities->effective >> (32 * i));
        data[i].permitted = (uint32_t)(capabilities->permitted >> (32 * i));
        data[i].inheritable = (uint32_t)(capabilities->inheritable >> (32 * i));
    }
    if (syscall(SYS_capset, &header, data) < 0)
        return error_set(err, errno, "process.capabilities", "cannot be set", NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (capabilities->ambient >> i & 1 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return error_set(err, errno, "process.capabilities.ambient", "cannot be set",
                             "%s: must be permitted and inheritable, too", names[i]);
    }
    return 0;
}
