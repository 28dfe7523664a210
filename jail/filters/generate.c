// SPDX-License-Identifier: Apache-2.0
/*
 * Turns the rules into BPF programs, as a C file on standard output. Runs while husk is built, for
 * the processor that it is built for.
 *
 * Each program kills the process for a foreign system call convention (32-bit x86, x32) and for
 * every call that no rule allows. It is a tree over the call's number; numbers that are allowed
 * whatever their arguments cost nothing at all since Linux 5.11, which remembers them.
 */
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jail/filters/programs.h"
#include "jail/filters/rules.h"

static const char *const kind_names[SECCOMP_THREADS] = {"vcpu",  "io",  "disk",  "control",
                                                        "build", "api", "image", "probe"};

static bool applies(const struct rule *rule, unsigned kind)
{
    /* What is refused is a matter of the kind alone: who may do more is not refused. */
    unsigned kinds = rule->action ? rule->kinds : rules_heirs(rule->kinds);

    return kinds >> kind & 1;
}

/* libseccomp takes no condition for a call that is allowed anyhow. */
static bool is_covered(const struct rule *rule, unsigned kind)
{
    for (unsigned i = 0; rule->argument_count && i < rule_count; i++) {
        if (rules[i].system_call == rule->system_call && !rules[i].argument_count &&
            !rules[i].action && applies(&rules[i], kind))
            return true;
    }
    return false;
}

static int add_rules(scmp_filter_ctx filter, unsigned kind)
{
    for (unsigned i = 0; i < rule_count; i++) {
        const struct rule *rule = &rules[i];
        int ret;

        if (!applies(rule, kind) || is_covered(rule, kind))
            continue;
        ret = seccomp_rule_add_array(filter, rule->action ? rule->action : SCMP_ACT_ALLOW,
                                     rule->system_call, rule->argument_count, rule->arguments);
        if (ret) {
            fprintf(stderr, "rule %u (%s) for %s threads: %s\n", i,
                    seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, rule->system_call),
                    kind_names[kind], strerror(-ret));
            return ret;
        }
    }
    return 0;
}

static int compile(unsigned kind, struct sock_filter code[SECCOMP_PROGRAM_MAX], unsigned *count)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int fd = memfd_create("program", MFD_CLOEXEC);
    ssize_t bytes = 0;
    int ret = filter && fd >= 0 ? 0 : -ENOMEM;

    if (!ret)
        ret = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!ret)
        ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!ret)
        ret = add_rules(filter, kind);
    if (!ret)
        ret = seccomp_export_bpf(filter, fd);
    if (!ret) {
        bytes = pread(fd, code, SECCOMP_PROGRAM_MAX * sizeof(*code), 0);
        if (bytes <= 0 || lseek(fd, 0, SEEK_END) != bytes)
            ret = -EFBIG;
    }
    if (fd >= 0)
        close(fd);
    if (filter)
        seccomp_release(filter);
    *count = (unsigned)((size_t)bytes / sizeof(*code));
    return ret;
}

static bool compares_with_own_process(const struct sock_filter *instruction)
{
    return BPF_CLASS(instruction->code) == BPF_JMP && BPF_OP(instruction->code) != BPF_JA &&
           instruction->k == RULES_OWN_PROCESS;
}

static void print_program(const char *name, const struct sock_filter *code, unsigned count)
{
    printf("static const struct sock_filter %s[] = {", name);
    for (unsigned i = 0; i < count; i++)
        printf("%s{0x%02x, %u, %u, 0x%x},", i % 4 ? " " : "\n    ", code[i].code, code[i].jt,
               code[i].jf, code[i].k);
    printf("\n};\n\nstatic const uint16_t %s_own_process[] = {", name);
    for (unsigned i = 0; i < count; i++) {
        if (compares_with_own_process(&code[i]))
            printf("%u, ", i);
    }
    printf("};\n\n");
}

static void print_table(void)
{
    printf("const struct seccomp_program seccomp_programs[SECCOMP_THREADS] = {\n");
    for (unsigned kind = 0; kind < SECCOMP_THREADS; kind++) {
        const char *name = kind_names[kind];

        printf("    {%s, sizeof(%s) / sizeof(%s[0]),\n     %s_own_process, "
               "sizeof(%s_own_process) / sizeof(%s_own_process[0])},\n",
               name, name, name, name, name, name);
    }
    printf("};\n");
}

int main(void)
{
    static struct sock_filter code[SECCOMP_PROGRAM_MAX];

    printf("/* Made from jail/filters/rules.c. */\n#include \"jail/filters/programs.h\"\n\n");
    for (unsigned kind = 0; kind < SECCOMP_THREADS; kind++) {
        unsigned count;
        int ret = compile(kind, code, &count);

        if (ret) {
            fprintf(stderr, "cannot compile the filter of %s threads: %s\n", kind_names[kind],
                    strerror(-ret));
            return EXIT_FAILURE;
        }
        print_program(kind_names[kind], code, count);
    }
    print_table();
    return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
