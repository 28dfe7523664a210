// SPDX-License-Identifier: Apache-2.0
/* System call filters: see seccomp.h. No state. */
#include "guest/agent/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "guest/agent/seccomp_newer.h"

#define ARCHITECTURES_MAX 32
#define RULES_MAX         1024
#define NAMES_MAX         1024
#define ARGUMENTS         6

static const char *const action_names[] = {
    "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",  "SCMP_ACT_ERRNO",        "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",          "SCMP_ACT_NOTIFY"};

/* The action `key` with its errno (which SCMP_ACT_TRACE takes as its message). */
static int parse_action(const struct node *node, const char *key, const char *errno_key,
                        uint32_t *out, struct husk_error *err)
{
    struct node member = node_member(node, key);
    uint64_t number = EPERM;
    unsigned action = 0;
    int ret = node_need(&member, err);

    if (!ret)
        ret = node_choice(node, key, action_names, ARRAY_SIZE(action_names), &action, NULL, err);
    if (!ret)
        ret = node_unsigned(node, errno_key, 4095, &number, NULL, err);
    if (ret)
        return ret;
    switch (action) {
    case 1:
        *out = SCMP_ACT_KILL_PROCESS;
        break;
    case 3:
        *out = SCMP_ACT_TRAP;
        break;
    case 4:
        *out = SCMP_ACT_ERRNO(number);
        break;
    case 5:
        *out = SCMP_ACT_TRACE(number);
        break;
    case 6:
        *out = SCMP_ACT_ALLOW;
        break;
    case 7:
        *out = SCMP_ACT_LOG;
        break;
    case 8:
        return node_error(&member, ENOTSUP, err, "nobody listens to notifications");
    default:
        *out = SCMP_ACT_KILL_THREAD;
        break;
    }
    return 0;
}

static int parse_architectures(const struct node *node, scmp_filter_ctx filter,
                               struct husk_error *err)
{
    struct node array;
    int ret = node_array(node, "architectures", ARCHITECTURES_MAX, &array, err);

    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct node element = node_element(&array, i);
        const char *name = NULL;
        char lower[32];
        uint32_t arch;

        ret = node_text_value(&element, 11, 30, &name, err);
        if (ret)
            return ret;
        if (strncmp(name, "SCMP_ARCH_", 10) != 0)
            return node_error(&element, EINVAL, err, "is not an architecture");
        for (size_t c = 0; c <= strlen(name + 10); c++) {
            char letter = name[10 + c];

            lower[c] = (char)(letter >= 'A' && letter <= 'Z' ? letter + 'a' - 'A' : letter);
        }
        arch = seccomp_arch_resolve_name(lower);
        if (!arch)
            return node_error(&element, EINVAL, err, "is not an architecture");
        ret = seccomp_arch_add(filter, arch);
        /* One of the other byte order cannot be in a filter, nor in this guest. */
        ret = ret == -EEXIST || ret == -EDOM || ret == -EINVAL ? 0 : ret;
        if (ret)
            return node_error(&element, -ret, err, "libseccomp refuses it");
    }
    return ret;
}

static int parse_flags(const struct node *node, unsigned *flags, struct husk_error *err)
{
    static const struct {
        const char *name;
        unsigned flag;
    } known[] = {{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
                 {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
                 {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW}};
    struct node array;
    int ret = node_array(node, "flags", 16, &array, err);

    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct node element = node_element(&array, i);
        const char *name = json_string_value(element.json);
        size_t which = 0;

        while (name && which < ARRAY_SIZE(known) && strcmp(known[which].name, name))
            which++;
        if (!name || which == ARRAY_SIZE(known))
            return node_error(&element, ENOTSUP, err, "is no flag of a filter without listener");
        *flags |= known[which].flag;
    }
    return ret;
}

static int parse_arguments(const struct node *rule, struct scmp_arg_cmp *out, unsigned *count,
                           struct husk_error *err)
{
    static const char *const operators[] = {"SCMP_CMP_NE",       "SCMP_CMP_LT", "SCMP_CMP_LE",
                                            "SCMP_CMP_EQ",       "SCMP_CMP_GE", "SCMP_CMP_GT",
                                            "SCMP_CMP_MASKED_EQ"};
    struct node array;
    int ret = node_array(rule, "args", ARGUMENTS, &array, err);

    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        uint64_t index = 0, value = 0, value_two = 0;
        struct node item, member;
        unsigned operator= 0;

        ret = node_object_at(&array, i, &item, err);
        member = node_member(&item, "op");
        if (!ret)
            ret = node_need(&member, err);
        if (!ret)
            ret = node_choice(&item, "op", operators, ARRAY_SIZE(operators), &operator, NULL, err);
        if (!ret)
            ret = node_unsigned(&item, "index", ARGUMENTS - 1, &index, NULL, err);
        if (!ret)
            ret = node_unsigned(&item, "value", UINT64_MAX, &value, NULL, err);
        if (!ret)
            ret = node_unsigned(&item, "valueTwo", UINT64_MAX, &value_two, NULL, err);
        if (ret)
            return ret;
        out[i] = (struct scmp_arg_cmp){.arg = (unsigned)index,
                                       .op = (enum scmp_compare)(operator+ SCMP_CMP_NE),
                                       .datum_a = value,
                                       .datum_b = value_two};
        *count = (unsigned)i + 1;
    }
    return ret;
}

/* libseccomp takes one comparison of an argument per rule. Engines before, and profiles since, mean
 * any of several on the same argument: one rule each. */
static int add_rule(scmp_filter_ctx filter, uint32_t action, int call,
                    const struct scmp_arg_cmp *args, unsigned count)
{
    bool twice = false;
    int ret = 0;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < i; j++)
            twice |= args[i].arg == args[j].arg;
    }
    if (!twice)
        return seccomp_rule_add_array(filter, action, call, count, args);
    for (unsigned i = 0; i < count && !ret; i++)
        ret = seccomp_rule_add_array(filter, action, call, 1, &args[i]);
    return ret;
}

static int parse_rule(const struct node *rule, scmp_filter_ctx filter, uint32_t fallback,
                      struct seccomp_newest *newest, struct husk_error *err)
{
    struct scmp_arg_cmp args[ARGUMENTS];
    struct node names = node_member(rule, "names");
    uint32_t action = 0;
    unsigned count = 0;
    struct node array;
    int ret = parse_action(rule, "action", "errnoRet", &action, err);

    if (!ret)
        ret = parse_arguments(rule, args, &count, err);
    if (!ret)
        ret = node_need(&names, err);
    if (!ret)
        ret = node_array(rule, "names", NAMES_MAX, &array, err);
    if (ret)
        return ret;
    for (size_t i = 0; i < node_count(&array) && !ret; i++) {
        struct node element = node_element(&array, i);
        const char *name = NULL;
        int call;

        ret = node_text_value(&element, 1, 64, &name, err);
        if (ret)
            return ret;
        seccomp_newest_note(newest, name);
        call = seccomp_syscall_resolve_name(name);
        /* libseccomp refuses rules that say what happens anyway. */
        if (call == __NR_SCMP_ERROR || action == fallback)
            continue;
        ret = add_rule(filter, action, call, args, count);
        if (ret)
            return node_error(&element, -ret, err, "libseccomp refuses the rule");
    }
    return ret;
}

/* libseccomp writes programs to descriptors only. */
static int export(scmp_filter_ctx filter, struct sock_fprog *program)
{
    int fd = memfd_create("seccomp", MFD_CLOEXEC);
    struct stat info;
    int ret;

    if (fd < 0)
        return -errno;
    ret = seccomp_export_bpf(filter, fd);
    if (!ret && fstat(fd, &info))
        ret = -errno;
    if (!ret && (uint64_t)info.st_size / sizeof(struct sock_filter) > BPF_MAXINSNS)
        ret = -E2BIG;
    if (!ret) {
        program->len = (unsigned short)((uint64_t)info.st_size / sizeof(struct sock_filter));
        program->filter = calloc(program->len, sizeof(struct sock_filter));
        ret = program->filter
                  ? pread_full(fd, program->filter, program->len * sizeof(struct sock_filter), 0)
                  : -ENOMEM;
    }
    close(fd);
    return ret;
}

static int fill(const struct node *node, scmp_filter_ctx filter, uint32_t fallback,
                struct seccomp_newest *newest, unsigned *flags, struct husk_error *err)
{
    struct node rules;
    int ret = parse_architectures(node, filter, err);

    if (!ret)
        ret = parse_flags(node, flags, err);
    if (!ret)
        ret = node_array(node, "syscalls", RULES_MAX, &rules, err);
    for (size_t i = 0; !ret && i < node_count(&rules); i++) {
        struct node rule;

        ret = node_object_at(&rules, i, &rule, err);
        if (!ret)
            ret = parse_rule(&rule, filter, fallback, newest, err);
    }
    return ret;
}

int seccomp_parse(const struct node *up, struct sock_fprog *program, unsigned *flags,
                  struct husk_error *err)
{
    struct seccomp_newest newest = SECCOMP_NEWEST_INIT;
    uint32_t fallback = 0;
    scmp_filter_ctx filter;
    struct node node;
    int ret = node_object(up, "seccomp", &node, err);

    if (ret || !node.json)
        return ret;
    ret = parse_action(&node, "defaultAction", "defaultErrnoRet", &fallback, err);
    if (!ret)
        ret = node_unsupported(&node, "listenerPath", err);
    if (ret)
        return ret;
    filter = seccomp_init(fallback);
    if (!filter)
        return node_error(&node, ENOMEM, err, "libseccomp cannot make a filter");
    ret = fill(&node, filter, fallback, &newest, flags, err);
    if (!ret) {
        ret = export(filter, program);
        if (!ret && fallback != SCMP_ACT_ALLOW && fallback != SCMP_ACT_LOG)
            ret = seccomp_newest_refuse(&newest, filter, program);
        if (ret)
            node_error(&node, -ret, err, "the filter cannot be compiled: %s", error_text(-ret));
    }
    seccomp_release(filter);
    return ret;
}

int seccomp_apply(const struct sock_fprog *program, unsigned flags, struct husk_error *err)
{
    if (!program->len)
        return 0;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) < 0)
        return error_set(err, errno, "linux.seccomp", "cannot be set", NULL);
    return 0;
}
