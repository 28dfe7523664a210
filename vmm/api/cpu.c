// SPDX-License-Identifier: Apache-2.0
/*
 * /cpu-config: changes of CPUID and MSRs, in Firecracker's format of custom CPU templates:
 *
 *   {"kvm_capabilities": ["!56"],
 *    "cpuid_modifiers": [{"leaf": "0x1", "subleaf": "0x0", "flags": 0,
 *                         "modifiers": [{"register": "ecx", "bitmap": "0bxx01"}]}],
 *    "msr_modifiers": [{"addr": "0x10a", "bitmap": "0bxxx1"}]}
 *
 * A bitmap is "0b" and a digit for each bit, the highest first: 0 clears, 1 sets, x leaves it.
 * Digits may be grouped with '_'; bits above the first digit are left as they are.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/parse.h"
#include "vmm/api/cpu.h"
#include "vmm/api/state.h"

#define CHANGES_MAX 256u /* husk.h, of each kind */
#define FLAGS_MAX   7u   /* KVM_CPUID_FLAG_* */

int bitmap_parse(const char *text, unsigned bits, uint64_t *mask, uint64_t *value)
{
    unsigned digits = 0;

    *mask = 0;
    *value = 0;
    if (strncmp(text, "0b", 2) != 0)
        return -EINVAL;
    for (const char *c = text + 2; *c; c++) {
        if (*c == '_')
            continue;
        if (*c != '0' && *c != '1' && *c != 'x')
            return -EINVAL;
        if (++digits > bits)
            return -ERANGE;
        *mask = *mask << 1 | (*c != 'x');
        *value = *value << 1 | (*c == '1');
    }
    return digits ? 0 : -EINVAL;
}

int register_parse(const char *text, uint32_t *out)
{
    uint64_t value, mask;
    int ret;

    if (!strncmp(text, "0b", 2)) {
        ret = bitmap_parse(text, 32, &mask, &value);
        if (!ret && strchr(text, 'x'))
            ret = -EINVAL;
    } else if (!strncmp(text, "0x", 2)) {
        ret = parse_u64(text, 0, UINT32_MAX, &value);
    } else {
        ret = -EINVAL;
    }
    if (!ret)
        *out = (uint32_t)value;
    return ret;
}

/* A string member of one entry of a list. NULL with the fault. */
static const char *text_of(const json_t *entry, const char *list, size_t index, const char *name,
                           struct api_fault *fault)
{
    const json_t *value = json_object_get(entry, name);

    if (!value)
        api_fault_set(fault, "%s[%zu]: missing field `%s`", list, index, name);
    else if (!json_is_string(value))
        api_fault_set(fault, "%s[%zu]: invalid type of field `%s`: %s, expected a string", list,
                      index, name, json_type_name(value));
    return json_string_value(value);
}

static int number_of(const json_t *entry, const char *list, size_t index, const char *name,
                     uint32_t *out, struct api_fault *fault)
{
    const char *text = text_of(entry, list, index, name, fault);

    if (!text)
        return -EINVAL;
    if (register_parse(text, out))
        return api_fault_set(fault,
                             "%s[%zu]: invalid value of field `%s`: \"%.80s\", expected a 32-bit "
                             "number in 0x or 0b notation",
                             list, index, name, text);
    return 0;
}

static int bitmap_of(const json_t *entry, const char *list, size_t index, unsigned bits,
                     uint64_t *mask, uint64_t *value, struct api_fault *fault)
{
    const char *text = text_of(entry, list, index, "bitmap", fault);

    if (!text)
        return -EINVAL;
    if (bitmap_parse(text, bits, mask, value))
        return api_fault_set(fault,
                             "%s[%zu]: invalid value of field `bitmap`: \"%.80s\", expected 0b and "
                             "at most %u digits 0, 1 or x",
                             list, index, text, bits);
    return 0;
}

/* An object with no members but these. */
static int check_entry(const json_t *entry, const char *list, size_t index,
                       const char *const *names, struct api_fault *fault)
{
    const char *key;
    json_t *member;

    if (!json_is_object(entry))
        return api_fault_set(fault, "%s[%zu]: invalid type: %s, expected an object", list, index,
                             json_type_name(entry));
    json_object_foreach((json_t *)entry, key, member)
    {
        unsigned i = 0;

        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return api_fault_set(fault, "%s[%zu]: unknown field `%.64s`", list, index, key);
    }
    return 0;
}

static int read_modifier(const json_t *entry, size_t index, struct husk_cpuid_change *change,
                         struct api_fault *fault)
{
    static const char list[] = "cpuid_modifiers: modifiers";
    static const char *const names[] = {"register", "bitmap", NULL};
    uint64_t mask, value;
    const char *name;
    int ret = check_entry(entry, list, index, names, fault);

    if (ret)
        return ret;
    name = text_of(entry, list, index, "register", fault);
    if (!name)
        return -EINVAL;
    ret = bitmap_of(entry, list, index, 32, &mask, &value, fault);
    if (ret)
        return ret;
#define SET(reg)                            \
    if (!strcmp(name, #reg)) {              \
        change->reg.mask = (uint32_t)mask;  \
        change->reg.bits = (uint32_t)value; \
        return 0;                           \
    }
    SET(eax)
    SET(ebx)
    SET(ecx)
    SET(edx)
#undef SET
    return api_fault_set(fault,
                         "%s[%zu]: unknown variant `%.64s` of field `register`: Invalid CPUID "
                         "register. Must be one of [eax, ebx, ecx, edx]",
                         list, index, name);
}

static int read_cpuid(const json_t *entry, size_t index, struct husk_cpuid_change *change,
                      struct api_fault *fault)
{
    static const char list[] = "cpuid_modifiers";
    static const char *const names[] = {"leaf", "subleaf", "flags", "modifiers", NULL};
    const json_t *flags = json_object_get(entry, "flags");
    const json_t *modifiers = json_object_get(entry, "modifiers");
    int ret = check_entry(entry, list, index, names, fault);

    if (!ret)
        ret = number_of(entry, list, index, "leaf", &change->leaf, fault);
    if (!ret)
        ret = number_of(entry, list, index, "subleaf", &change->subleaf, fault);
    if (ret)
        return ret;
    if (!json_is_integer(flags) || json_integer_value(flags) < 0 ||
        json_integer_value(flags) > FLAGS_MAX)
        return api_fault_set(fault, "%s[%zu]: %s `flags`, expected an integer 0 to %u", list, index,
                             flags ? "invalid value of field" : "missing field", FLAGS_MAX);
    change->flags = (uint32_t)json_integer_value(flags);
    if (!json_is_array(modifiers))
        return api_fault_set(fault, "%s[%zu]: %s `modifiers`, expected an array", list, index,
                             modifiers ? "invalid type of field" : "missing field");
    for (size_t i = 0; !ret && i < json_array_size(modifiers); i++)
        ret = read_modifier(json_array_get(modifiers, i), i, change, fault);
    return ret;
}

static int read_msr(const json_t *entry, size_t index, struct husk_msr_change *change,
                    struct api_fault *fault)
{
    static const char list[] = "msr_modifiers";
    static const char *const names[] = {"addr", "bitmap", NULL};
    int ret = check_entry(entry, list, index, names, fault);

    if (!ret)
        ret = number_of(entry, list, index, "addr", &change->index, fault);
    if (!ret)
        ret = bitmap_of(entry, list, index, 64, &change->mask, &change->bits, fault);
    return ret;
}

/* Husk requires what it needs of KVM and nothing else: capabilities can only be checked to be
 * written as they should. */
static int check_capability(const json_t *entry, size_t index, struct api_fault *fault)
{
    const char *text = json_string_value(entry);
    uint64_t number;

    if (!text)
        return api_fault_set(fault, "kvm_capabilities[%zu]: invalid type: %s, expected a string",
                             index, json_type_name(entry));
    if (*text == '!')
        text++;
    if (!isdigit((unsigned char)*text) || parse_u64(text, 0, UINT32_MAX, &number))
        return api_fault_set(fault,
                             "kvm_capabilities[%zu]: \"%.40s\" is no number, nor ! and a number",
                             index, json_string_value(entry));
    return 0;
}

/* A list of the body: its length, 0 when it is absent, or -EINVAL. */
static int list_length(const json_t *body, const char *name, unsigned max, struct api_fault *fault)
{
    const json_t *list = json_object_get(body, name);

    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list))
        return api_fault_set(fault, "invalid type of field `%s`: %s, expected an array", name,
                             json_type_name(list));
    if (json_array_size(list) > max)
        return api_fault_set(fault, "invalid length of field `%s`: %zu, expected at most %u", name,
                             json_array_size(list), max);
    return (int)json_array_size(list);
}

static int read_lists(const json_t *body, struct cpu_settings *cpu, struct api_fault *fault)
{
    const json_t *capabilities = json_object_get(body, "kvm_capabilities");
    const json_t *cpuid = json_object_get(body, "cpuid_modifiers");
    const json_t *msrs = json_object_get(body, "msr_modifiers");
    int ret = 0;

    for (size_t i = 0; !ret && i < json_array_size(capabilities); i++)
        ret = check_capability(json_array_get(capabilities, i), i, fault);
    for (unsigned i = 0; !ret && i < cpu->cpuid_count; i++)
        ret = read_cpuid(json_array_get(cpuid, i), i, &cpu->cpuid[i], fault);
    for (unsigned i = 0; !ret && i < cpu->msr_count; i++)
        ret = read_msr(json_array_get(msrs, i), i, &cpu->msrs[i], fault);
    return ret;
}

int cpu_settings_read(const json_t *body, struct cpu_settings *out, struct api_fault *fault)
{
    static const char *const names[] = {"kvm_capabilities", "cpuid_modifiers", "msr_modifiers",
                                        "reg_modifiers",    "vcpu_features",   NULL};
    struct cpu_settings cpu = {.given = true};
    int cpuid_count, msr_count;
    int ret = check_entry(body, "cpu-config", 0, names, fault);

    /* The last two are of another architecture, and can only be empty here. */
    if (ret || list_length(body, "kvm_capabilities", CHANGES_MAX, fault) < 0 ||
        list_length(body, "reg_modifiers", 0, fault) < 0 ||
        list_length(body, "vcpu_features", 0, fault) < 0)
        return -EINVAL;
    cpuid_count = list_length(body, "cpuid_modifiers", CHANGES_MAX, fault);
    msr_count = list_length(body, "msr_modifiers", CHANGES_MAX, fault);
    if (cpuid_count < 0 || msr_count < 0)
        return -EINVAL;
    cpu.cpuid_count = (unsigned)cpuid_count;
    cpu.msr_count = (unsigned)msr_count;
    cpu.cpuid = calloc(cpu.cpuid_count + 1, sizeof(*cpu.cpuid));
    cpu.msrs = calloc(cpu.msr_count + 1, sizeof(*cpu.msrs));
    if (!cpu.cpuid || !cpu.msrs)
        ret = api_fault_set(fault, "out of memory");
    else
        ret = read_lists(body, &cpu, fault);
    if (ret)
        cpu_release(&cpu);
    else
        *out = cpu;
    return ret;
}

void cpu_release(struct cpu_settings *cpu)
{
    free(cpu->cpuid);
    free(cpu->msrs);
    memset(cpu, 0, sizeof(*cpu));
}

int cpu_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct cpu_settings cpu = {0};
    int ret = cpu_settings_read(call->body, &cpu, fault);

    if (ret)
        return api_fault_prefix(fault, BODY_FAULT);
    ret = need_not_started(api, fault);
    if (ret) {
        cpu_release(&cpu);
        return ret;
    }
    cpu_release(&api->cpu);
    api->cpu = cpu;
    return 0;
}
