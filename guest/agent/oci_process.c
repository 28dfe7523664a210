// SPDX-License-Identifier: Apache-2.0
/* The process of a config.json (config.md, "Process"; config-linux.md for what is Linux's). */
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/agent/capabilities.h"
#include "guest/agent/oci.h"

#define ARGUMENT_MAX (128u << 10) /* MAX_ARG_STRLEN of the kernel */

static int parse_user(const struct node *node, struct oci_process *out, struct husk_error *err)
{
    uint64_t uid = 0, gid = 0, mask = 0;
    struct node user, groups;
    int ret = node_object(node, "user", &user, err);

    if (!ret)
        ret = node_need(&user, err);
    if (!ret)
        ret = node_unsigned(&user, "uid", UINT32_MAX - 1, &uid, NULL, err);
    if (!ret)
        ret = node_unsigned(&user, "gid", UINT32_MAX - 1, &gid, NULL, err);
    if (!ret)
        ret = node_unsigned(&user, "umask", 0777, &mask, &out->umask_given, err);
    if (!ret)
        ret = node_array(&user, "additionalGids", OCI_GROUPS_MAX, &groups, err);
    if (ret)
        return ret;
    out->uid = (uid_t)uid;
    out->gid = (gid_t)gid;
    out->umask = (mode_t)mask;
    out->groups = calloc(node_count(&groups) + 1, sizeof(*out->groups));
    if (!out->groups)
        return node_error(&groups, ENOMEM, err, "no memory");
    for (size_t i = 0; i < node_count(&groups); i++) {
        struct node element = node_element(&groups, i);
        json_int_t value = json_integer_value(element.json);

        if (json_is_real(element.json))
            value = (json_int_t)json_real_value(element.json);
        if (!json_is_number(element.json) || value < 0 || value >= UINT32_MAX)
            return node_error(&element, EINVAL, err, "is not a group's number");
        out->groups[out->group_count++] = (gid_t)value;
    }
    return 0;
}

/* config.md, "POSIX process": rlimits. A name that is there twice is an error. */
static int parse_rlimits(const struct node *node, struct oci_process *out, struct husk_error *err)
{
    static const char *const names[OCI_RLIMITS] = {
        [RLIMIT_AS] = "RLIMIT_AS",           [RLIMIT_CORE] = "RLIMIT_CORE",
        [RLIMIT_CPU] = "RLIMIT_CPU",         [RLIMIT_DATA] = "RLIMIT_DATA",
        [RLIMIT_FSIZE] = "RLIMIT_FSIZE",     [RLIMIT_LOCKS] = "RLIMIT_LOCKS",
        [RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK", [RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE",
        [RLIMIT_NICE] = "RLIMIT_NICE",       [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
        [RLIMIT_NPROC] = "RLIMIT_NPROC",     [RLIMIT_RSS] = "RLIMIT_RSS",
        [RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",   [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
        [RLIMIT_STACK] = "RLIMIT_STACK",     [RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING"};
    struct node array;
    int ret = node_array(node, "rlimits", OCI_RLIMITS, &array, err);

    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        uint64_t soft = 0, hard = 0;
        struct node item, member;
        unsigned which = 0;

        ret = node_object_at(&array, i, &item, err);
        member = node_member(&item, "type");
        if (!ret)
            ret = node_need(&member, err);
        if (!ret)
            ret = node_choice(&item, "type", names, OCI_RLIMITS, &which, NULL, err);
        if (!ret && out->rlimits[which].given)
            ret = node_error(&member, EINVAL, err, "%s is there twice", names[which]);
        if (!ret)
            ret = node_unsigned(&item, "soft", UINT64_MAX, &soft, NULL, err);
        if (!ret)
            ret = node_unsigned(&item, "hard", UINT64_MAX, &hard, NULL, err);
        if (!ret && soft > hard) {
            member = node_member(&item, "soft");
            ret = node_error(&member, EINVAL, err, "is above the hard limit");
        }
        if (!ret)
            out->rlimits[which] = (struct oci_rlimit){true, {.rlim_cur = soft, .rlim_max = hard}};
    }
    return ret;
}

static int parse_capabilities(const struct node *node, struct oci_process *out,
                              struct husk_error *err)
{
    struct oci_capabilities *caps = &out->capabilities;
    const struct {
        const char *name;
        uint64_t *set;
    } sets[] = {{"bounding", &caps->bounding},
                {"effective", &caps->effective},
                {"inheritable", &caps->inheritable},
                {"permitted", &caps->permitted},
                {"ambient", &caps->ambient}};
    struct node object;
    int ret = node_object(node, "capabilities", &object, err);

    caps->given = object.json != NULL;
    for (size_t i = 0; !ret && object.json && i < ARRAY_SIZE(sets); i++)
        ret = capabilities_parse(&object, sets[i].name, sets[i].set, err);
    return ret;
}

static int parse_scheduler_flags(const struct node *node, struct oci_process *out,
                                 struct husk_error *err)
{
    static const char *const names[] = {
        "SCHED_FLAG_RESET_ON_FORK",  "SCHED_FLAG_RECLAIM",     "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",    "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
    };
    const char **flags = NULL;
    struct node member = node_member(node, "flags");
    int ret = node_texts(node, "flags", ARRAY_SIZE(names), 64, &flags, err);

    for (const char **flag = flags; !ret && flag && *flag; flag++) {
        unsigned bit = 0;

        while (bit < ARRAY_SIZE(names) && strcmp(names[bit], *flag))
            bit++;
        if (bit == ARRAY_SIZE(names))
            ret = node_error(&member, EINVAL, err, "%s is not a flag", *flag);
        else
            out->scheduler.flags |= 1ull << bit;
    }
    free(flags);
    return ret;
}

static int parse_scheduler(const struct node *node, struct oci_process *out, struct husk_error *err)
{
    /* By the kernel's numbers, of which 4 (SCHED_ISO) was never used. */
    static const char *const policies[] = {
        [SCHED_NORMAL] = "SCHED_OTHER", [SCHED_FIFO] = "SCHED_FIFO", [SCHED_RR] = "SCHED_RR",
        [SCHED_BATCH] = "SCHED_BATCH",  [4] = "SCHED_ISO",           [SCHED_IDLE] = "SCHED_IDLE",
        [6] = "SCHED_DEADLINE"};
    struct oci_scheduler *scheduler = &out->scheduler;
    struct node object, member;
    int64_t nice = 0, priority = 0;
    int ret = node_object(node, "scheduler", &object, err);

    if (ret || !object.json)
        return ret;
    out->scheduler_given = true;
    member = node_member(&object, "policy");
    ret = node_need(&member, err);
    if (!ret)
        ret = node_choice(&object, "policy", policies, ARRAY_SIZE(policies), &scheduler->policy,
                          NULL, err);
    if (!ret)
        ret = node_integer(&object, "nice", -20, 19, &nice, NULL, err);
    if (!ret)
        ret = node_integer(&object, "priority", 0, 99, &priority, NULL, err);
    if (!ret)
        ret = node_unsigned(&object, "runtime", INT64_MAX, &scheduler->runtime_ns, NULL, err);
    if (!ret)
        ret = node_unsigned(&object, "deadline", INT64_MAX, &scheduler->deadline_ns, NULL, err);
    if (!ret)
        ret = node_unsigned(&object, "period", INT64_MAX, &scheduler->period_ns, NULL, err);
    if (!ret)
        ret = parse_scheduler_flags(&object, out, err);
    scheduler->nice = (int32_t)nice;
    scheduler->priority = (uint32_t)priority;
    return ret;
}

static int parse_io_priority(const struct node *node, struct oci_process *out,
                             struct husk_error *err)
{
    static const char *const classes[] = {"IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE",
                                          "IOPRIO_CLASS_IDLE"};
    unsigned class = IOPRIO_CLASS_NONE;
    struct node object, member;
    int64_t priority = 0;
    int ret = node_object(node, "ioPriority", &object, err);

    if (ret || !object.json)
        return ret;
    out->io_priority_given = true;
    member = node_member(&object, "class");
    ret = node_need(&member, err);
    if (!ret)
        ret = node_choice(&object, "class", classes, ARRAY_SIZE(classes), &class, NULL, err);
    if (!ret)
        ret = node_integer(&object, "priority", 0, 7, &priority, NULL, err);
    out->io_priority = (int)((class << IOPRIO_CLASS_SHIFT) | (unsigned)priority);
    return ret;
}

static int parse_terminal(const struct node *node, struct oci_process *out, struct husk_error *err)
{
    uint64_t rows = 0, columns = 0;
    struct node size;
    int ret = node_flag(node, "terminal", &out->terminal, err);

    if (!ret)
        ret = node_object(node, "consoleSize", &size, err);
    if (!ret)
        ret = node_unsigned(&size, "height", UINT16_MAX, &rows, NULL, err);
    if (!ret)
        ret = node_unsigned(&size, "width", UINT16_MAX, &columns, NULL, err);
    out->rows = (uint16_t)rows;
    out->columns = (uint16_t)columns;
    return ret;
}

/* What is executed, where, and with what. */
static int parse_program(const struct node *node, struct oci_process *out, struct husk_error *err)
{
    struct node args = node_member(node, "args"), cwd = node_member(node, "cwd");
    int ret = node_need(&args, err);

    if (!ret)
        ret = node_texts(node, "args", OCI_STRINGS_MAX, ARGUMENT_MAX, &out->args, err);
    if (!ret && !out->args[0])
        ret = node_error(&args, EINVAL, err, "is empty");
    if (!ret)
        ret = node_texts(node, "env", OCI_STRINGS_MAX, ARGUMENT_MAX, &out->env, err);
    if (!ret)
        ret = node_need_text(node, "cwd", 1, OCI_PATH_MAX, &out->cwd, err);
    if (!ret && out->cwd[0] != '/')
        ret = node_error(&cwd, EINVAL, err, "is not an absolute path");
    if (!ret && !out->env) {
        out->env = calloc(1, sizeof(*out->env));
        if (!out->env)
            ret = node_error(node, ENOMEM, err, "no memory");
    }
    return ret;
}

static int parse_process(const struct node *node, struct oci_process *out, struct husk_error *err)
{
    int64_t score = 0;
    int ret = parse_program(node, out, err);

    if (!ret)
        ret = parse_terminal(node, out, err);
    if (!ret)
        ret = parse_user(node, out, err);
    if (!ret)
        ret = parse_rlimits(node, out, err);
    if (!ret)
        ret = parse_capabilities(node, out, err);
    if (!ret)
        ret = node_flag(node, "noNewPrivileges", &out->no_new_privileges, err);
    if (!ret)
        ret = node_integer(node, "oomScoreAdj", -1000, 1000, &score, &out->oom_score_given, err);
    if (!ret)
        ret = parse_scheduler(node, out, err);
    if (!ret)
        ret = parse_io_priority(node, out, err);
    out->oom_score_adj = (int)score;
    /* The guest's kernel has neither security module, and no other way to bind to processors. */
    if (!ret)
        ret = node_unsupported(node, "apparmorProfile", err);
    if (!ret)
        ret = node_unsupported(node, "selinuxLabel", err);
    if (!ret)
        ret = node_unsupported(node, "execCPUAffinity", err);
    return ret;
}

int oci_parse_process(const struct node *node, struct oci_process *out, struct husk_error *err)
{
    int ret;

    memset(out, 0, sizeof(*out));
    ret = parse_process(node, out, err);
    if (ret)
        oci_free_process(out);
    return ret;
}

void oci_free_process(struct oci_process *process)
{
    free(process->args);
    free(process->env);
    free(process->groups);
    memset(process, 0, sizeof(*process));
}
