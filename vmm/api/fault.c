// SPDX-License-Identifier: Apache-2.0
/* Fault messages: see fault.h. */
#include "vmm/api/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

int api_fault_set(struct api_fault *fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(fault->text, sizeof(fault->text), format, args);
    va_end(args);
    make_printable(fault->text);
    return -EINVAL;
}

int api_fault_error(struct api_fault *fault, const char *prefix, const struct husk_error *err)
{
    char text[API_FAULT_MAX];

    return api_fault_set(fault, "%s: %s", prefix, error_format(err, text, sizeof(text)));
}

int api_fault_prefix(struct api_fault *fault, const char *prefix)
{
    char text[API_FAULT_MAX];

    memcpy(text, fault->text, sizeof(text));
    return api_fault_set(fault, "%s: %s", prefix, text);
}
