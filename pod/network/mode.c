// SPDX-License-Identifier: Apache-2.0
/* What kind of network was asked for: see mode.h. */
#include "pod/network/mode.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"

static const char wrong[] = "cannot choose the pod's network";

/* CNI's specification, section 1: "a string … must start with an alphanumeric character, followed
 * by any combination of one or more alphanumeric characters, underscore, dot or hyphen"; a PCI
 * address has colons, too. */
static bool is_name(const char *text)
{
    static const char alphanumeric[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

    return text[0] && strchr(alphanumeric, text[0]) && strspn(text, rest) == strlen(text) &&
           strlen(text) < MODE_NAME_BYTES;
}

static int take_name(struct network_mode *mode, const char *name, struct husk_error *err)
{
    if (!is_name(name))
        return error_set(err, EINVAL, "network", wrong, "\"%s\" is no name", name);
    memcpy(mode->name, name, strlen(name) + 1);
    return 0;
}

int network_mode_parse(const char *text, struct network_mode *out, struct husk_error *err)
{
    *out = (struct network_mode){.kind = NETWORK_NONE};
    if (strlen(text) >= MODE_BYTES)
        return error_set(err, EINVAL, "network", wrong, "the text is too long");
    if (!strcmp(text, "none"))
        return 0;
    if (!strcmp(text, "bridge")) {
        out->kind = NETWORK_BRIDGE;
        return 0;
    }
    if (!strncmp(text, "cni:", 4)) {
        out->kind = NETWORK_CNI;
        return take_name(out, text + 4, err);
    }
    return error_set(err, EINVAL, "network", wrong, "\"%s\" is none of none, bridge, cni:NAME",
                     text);
}
