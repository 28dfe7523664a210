// SPDX-License-Identifier: Apache-2.0
/* Shared by the files of pod/plan: see part.h. No state. */
#include "pod/plan/part.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

int plan_refuse(struct husk_error *err, int code, const char *where, const char *why_format, ...)
{
    char why[256];
    va_list args;

    va_start(args, why_format);
    vsnprintf(why, sizeof(why), why_format, args);
    va_end(args);
    make_printable(why);
    return error_set(err, code, where, "is not possible", "%s", why);
}

int plan_no_memory(struct husk_error *err)
{
    return error_set(err, ENOMEM, "the pod", "cannot be planned", NULL);
}

const char *plan_where(char *where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(where, PLAN_WHERE_BYTES, format, args);
    va_end(args);
    return where;
}

const char *plan_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

int plan_put(json_t *object, const char *name, json_t *value, struct husk_error *err)
{
    return json_object_set_new(object, name, value) ? plan_no_memory(err) : 0;
}

int plan_append(json_t *array, json_t *value, struct husk_error *err)
{
    return json_array_append_new(array, value) ? plan_no_memory(err) : 0;
}

int plan_ask(json_t *requests, const char *method, json_t *params, struct husk_error *err)
{
    return plan_append(requests, json_pack("{s:s, s:o}", "method", method, "params", params), err);
}

int plan_warn(struct plan *plan, const char *reason, const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    make_printable(message);
    return json_array_append_new(plan->out->warnings,
                                 json_pack("{s:s, s:s}", "reason", reason, "message", message))
               ? -ENOMEM
               : 0;
}
