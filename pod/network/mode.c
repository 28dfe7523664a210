// SPDX-License-Identifier: Apache-2.0
/* What kind of network was asked for: see mode.h. */
#include "pod/network/mode.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"

static const char wrong[] = "cannot choose the pod's network";

/* CNI's specification, section 1: "a string … must start with an alphanumeric character, followed
 * by any combination of one or more alphanumeric characters, underscore, dot or hyphen"; `more` may
 * be among these, too. */
static bool is_name(const char *text, const char *more)
{
    static const char alphanumeric[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (!strchr(alphanumeric, text[i]) && (i == 0 || !strchr(more, text[i])))
            return false;
    }
    return len > 0 && len < MODE_NAME_BYTES;
}

static int take_name(struct network_mode *mode, const char *name, const char *more,
                     struct husk_error *err)
{
    if (!is_name(name, more))
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
        return take_name(out, text + 4, "_.-", err);
    }
    if (!strncmp(text, "vf:", 3)) {
        out->kind = NETWORK_VF;
        return take_name(out, text + 3, "_.-:@", err);
    }
    return error_set(err, EINVAL, "network", wrong,
                     "\"%s\" is none of none, bridge, cni:NAME, vf:PF", text);
}
