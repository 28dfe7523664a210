// SPDX-License-Identifier: Apache-2.0
/*
 * A profile of system calls that somebody wrote (--security-opt seccomp=FILE). What is made of it
 * has the members that the agent reads, and nothing that it could misunderstand.
 */
#include <stdlib.h>
#include <string.h>

#include "pod/spec/capabilities.h"
#include "pod/spec/seccomp.h"

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_rule(const json_t *rule)
{
    const json_t *names = json_object_get(rule, "names"), *args = json_object_get(rule, "args");

    demand(json_is_object(rule) && json_array_size(names) > 0);
    demand(json_is_string(json_object_get(rule, "action")));
    for (size_t i = 0; i < json_array_size(names); i++)
        demand(json_is_string(json_array_get(names, i)));
    demand(!args || (json_array_size(args) > 0 && json_array_size(args) <= 6));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const machines[] = {"amd64", "arm64", ""};
    struct seccomp_context context = {.kernel_major = 6, .kernel_minor = 6};
    const json_t *rules, *architectures;
    json_t *out;

    if (size < 1)
        return -1;
    context.machine = machines[data[0] % 3];
    context.capabilities = data[0] & 0x80 ? capabilities_all : 0xa80425fb;
    if (seccomp_parse(data + 1, size - 1, &context, "fuzz", &out, NULL))
        return 0;
    rules = json_object_get(out, "syscalls");
    architectures = json_object_get(out, "architectures");
    demand(json_is_string(json_object_get(out, "defaultAction")));
    demand(json_is_array(rules) && json_is_array(architectures));
    for (size_t i = 0; i < json_array_size(rules); i++)
        check_rule(json_array_get(rules, i));
    for (size_t i = 0; i < json_array_size(architectures); i++)
        demand(json_is_string(json_array_get(architectures, i)));
    json_decref(out);
    return 0;
}
