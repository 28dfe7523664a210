// SPDX-License-Identifier: Apache-2.0
/*
 * Profiles: what their conditions leave, and what is refused. golden/seccomp-default.json is the
 * default filter of an ordinary container on amd64.
 */
#include "tests/unit/pod/spec/golden.h"

#include <errno.h>
#include <unistd.h>

#include "base/checked.h"
#include "pod/spec/capabilities.h"
#include "pod/spec/seccomp.h"

static const struct spec_words none = {.count = 0};

static struct seccomp_context context(const char *capability)
{
    const struct spec_words add = {&capability, capability ? 1 : 0};
    struct seccomp_context out = {.kernel_major = 6, .kernel_minor = 6, .machine = "amd64"};

    assert_int_equal(capabilities_choose(&add, &none, &out.capabilities, NULL), 0);
    return out;
}

static json_t *compile(const char *profile, const struct seccomp_context *with)
{
    struct husk_error err = {.code = 0};
    json_t *out;

    if (seccomp_parse(profile, strlen(profile), with, "profile", &out, &err))
        fail_msg("%s: %s: %s", profile, err.where, err.why);
    return out;
}

static json_t *compile_default(const struct seccomp_context *with)
{
    json_t *profile = seccomp_default(), *out;

    assert_non_null(profile);
    assert_int_equal(seccomp_compile(profile, with, "default", &out, NULL), 0);
    json_decref(profile);
    return out;
}

/* How many rules name the call, of those without arguments or of all. */
static unsigned count(const json_t *seccomp, const char *call, bool with_arguments)
{
    const json_t *rules = json_object_get(seccomp, "syscalls");
    unsigned found = 0;

    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i), *names = json_object_get(rule, "names");

        for (size_t j = 0; j < json_array_size(names); j++)
            found += !strcmp(json_string_value(json_array_get(names, j)), call) &&
                     (with_arguments || !json_object_get(rule, "args"));
    }
    return found;
}

static void test_default(void **state)
{
    const struct seccomp_context with = context(NULL);

    golden_expect("seccomp-default", compile_default(&with));
}

/* A capability brings its calls back. */
static void test_default_capabilities(void **state)
{
    static const struct {
        const char *capability, *call;
    } lines[] = {
        {"SYS_ADMIN", "mount"},
        {"SYS_ADMIN", "unshare"},
        {"SYS_ADMIN", "clone3"},
        {"SYS_ADMIN", "clone"},
        {"SYS_ADMIN", "setns"},
        {"SYS_ADMIN", "bpf"},
        {"DAC_READ_SEARCH", "open_by_handle_at"},
        {"SYS_BOOT", "reboot"},
        {"SYS_MODULE", "init_module"},
        {"SYS_PACCT", "acct"},
        {"SYS_PTRACE", "kcmp"},
        {"SYS_RAWIO", "iopl"},
        {"SYS_TIME", "clock_settime"},
        {"SYS_TTY_CONFIG", "vhangup"},
        {"SYS_NICE", "mbind"},
        {"SYSLOG", "syslog"},
        {"BPF", "bpf"},
        {"PERFMON", "perf_event_open"},
    };
    const struct seccomp_context ordinary = context(NULL);
    json_t *without = compile_default(&ordinary);

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        const struct seccomp_context with = context(lines[i].capability);
        json_t *seccomp = compile_default(&with);
        /* clone3 has a rule that refuses it in its own way. */
        unsigned before = strcmp(lines[i].call, "clone3") ? 0 : 1;

        assert_int_equal(count(without, lines[i].call, false), before);
        assert_int_equal(count(seccomp, lines[i].call, false), 1);
        json_decref(seccomp);
    }
    assert_int_equal(count(without, "clone", true), 1);
    assert_int_equal(count(without, "chroot", false), 1);
    json_decref(without);
}

static void test_default_machine(void **state)
{
    struct seccomp_context with = context(NULL);
    json_t *seccomp = compile_default(&with);

    assert_int_equal(count(seccomp, "arch_prctl", false), 1);
    assert_int_equal(count(seccomp, "set_tls", false), 0);
    json_decref(seccomp);
    with.machine = "arm64";
    seccomp = compile_default(&with);
    assert_int_equal(count(seccomp, "arch_prctl", false), 0);
    assert_int_equal(count(seccomp, "set_tls", false), 1);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(seccomp, "architectures"), 0)),
        "SCMP_ARCH_AARCH64");
    json_decref(seccomp);
}

/* No call is there twice without conditions: a table is easy to get wrong. */
static void test_default_once(void **state)
{
    struct seccomp_context with = context(NULL);
    json_t *seccomp = compile_default(&with), *rules = json_object_get(seccomp, "syscalls");

    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i), *names = json_object_get(rule, "names");

        for (size_t j = 0; j < json_array_size(names); j++) {
            const char *name = json_string_value(json_array_get(names, j));

            if (count(seccomp, name, false) > 1)
                fail_msg("%s is there twice", name);
            assert_true(strlen(name) > 0);
        }
    }
    json_decref(seccomp);
}

#define ALLOW "{\"defaultAction\":\"SCMP_ACT_ALLOW\""
#define RULE(condition) \
    ALLOW ",\"syscalls\":[{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_ERRNO\"" condition "}]}"

static void test_conditions(void **state)
{
    static const struct {
        const char *condition;
        unsigned rules;
    } lines[] = {
        {"", 1},
        {",\"includes\":{},\"excludes\":null", 1},
        {",\"includes\":{\"caps\":[\"CAP_CHOWN\"]}", 1},
        {",\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\"]}", 0},
        {",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}", 1},
        {",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_CHOWN\"]}", 0},
        {",\"includes\":{\"arches\":[\"amd64\",\"x86\"]}", 1},
        {",\"includes\":{\"arches\":[\"arm64\"]}", 0},
        {",\"excludes\":{\"arches\":[\"s390\"]}", 1},
        {",\"excludes\":{\"arches\":[\"amd64\"]}", 0},
        {",\"includes\":{\"minKernel\":\"4.8\"}", 1},
        {",\"includes\":{\"minKernel\":\"6.6\"}", 1},
        {",\"includes\":{\"minKernel\":\"6.7\"}", 0},
        {",\"includes\":{\"minKernel\":\"7.0\"}", 0},
        {",\"excludes\":{\"minKernel\":\"4.8\"}", 0},
        {",\"excludes\":{\"minKernel\":\"6.7\"}", 1},
        {",\"includes\":{\"caps\":[\"CAP_CHOWN\"]},\"excludes\":{\"arches\":[\"amd64\"]}", 0},
    };
    const struct seccomp_context with = context(NULL);
    char profile[512];

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        json_t *out;

        snprintf(profile, sizeof(profile), RULE("%s"), lines[i].condition);
        out = compile(profile, &with);
        if (json_array_size(json_object_get(out, "syscalls")) != lines[i].rules)
            fail_msg("%s", lines[i].condition);
        json_decref(out);
    }
}

static void test_members(void **state)
{
    const struct seccomp_context with = context(NULL);
    json_t *out = compile(
        ALLOW ",\"defaultErrnoRet\":1,\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"archMap\":["
              "{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":[\"SCMP_ARCH_ARM\"]},"
              "{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\"]}],"
              "\"syscalls\":[{\"name\":\"kill\",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":7,"
              "\"comment\":\"x\",\"args\":[{\"index\":1,\"value\":9,\"valueTwo\":0,"
              "\"op\":\"SCMP_CMP_EQ\"}]}]}",
        &with);

    golden_expect("seccomp-members", out);
    out = compile(ALLOW ",\"architectures\":[\"SCMP_ARCH_X86\"]}", &with);
    assert_int_equal(json_array_size(json_object_get(out, "architectures")), 1);
    json_decref(out);
}

static void test_refused(void **state)
{
    static const struct {
        const char *profile, *why;
    } lines[] = {
        {"{}", "defaultAction: is missing"},
        {ALLOW ",\"syscalls\":{}}", "syscalls: must be a list"},
        {ALLOW ",\"syscalls\":[1]}", "syscalls[0]: must be an object"},
        {ALLOW ",\"syscalls\":[{\"action\":\"A\"}]}", "syscalls[0].names: must be a list"},
        {ALLOW ",\"syscalls\":[{\"names\":[1],\"action\":\"A\"}]}", "syscalls[0].names"},
        {ALLOW ",\"syscalls\":[{\"names\":[\"a\"]}]}", "syscalls[0].action: is missing"},
        {ALLOW ",\"syscalls\":[{\"name\":\"a\",\"names\":[\"b\"],\"action\":\"A\"}]}",
         "both name and names"},
        {RULE(",\"errnoRet\":\"x\""), "syscalls[0].errnoRet"},
        {RULE(",\"args\":{}"), "syscalls[0].args"},
        {RULE(",\"args\":[{\"index\":-1,\"op\":\"x\"}]"), "syscalls[0].args"},
        {RULE(",\"args\":[{\"index\":1}]"), "syscalls[0].args"},
        {RULE(",\"args\":[1,2,3,4,5,6,7]"), "at most 6"},
        {RULE(",\"includes\":[]"), "must be objects"},
        {RULE(",\"includes\":{\"caps\":[\"CAP_FLY\"]}"), "no such capability"},
        {RULE(",\"includes\":{\"caps\":[1]}"), "must be lists of texts"},
        {RULE(",\"excludes\":{\"arches\":\"amd64\"}"), "must be lists of texts"},
        {RULE(",\"includes\":{\"minKernel\":\"4\"}"), "minKernel"},
        {RULE(",\"includes\":{\"minKernel\":\"4.x\"}"), "minKernel"},
        {RULE(",\"includes\":{\"minKernel\":4}"), "minKernel"},
        {ALLOW ",\"architectures\":[1]}", "architectures"},
        {ALLOW ",\"archMap\":{}}", "archMap"},
        {ALLOW ",\"archMap\":[{}]}", "archMap"},
        {ALLOW ",\"architectures\":[\"a\"],\"archMap\":[{\"architecture\":\"a\"}]}",
         "beside archMap"},
    };
    const struct seccomp_context with = context(NULL);

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct husk_error err = {.code = 0};
        json_t *out;

        if (!seccomp_parse(lines[i].profile, strlen(lines[i].profile), &with, "file", &out, &err))
            fail_msg("accepted: %s", lines[i].profile);
        assert_string_equal(err.where, "--security-opt seccomp= file");
        if (!strstr(err.why, lines[i].why))
            fail_msg("%s: %s", lines[i].profile, err.why);
    }
}

static void test_file(void **state)
{
    const struct seccomp_context with = context(NULL);
    char path[] = "/tmp/husk-seccomp-XXXXXX";
    struct husk_error err = {.code = 0};
    json_t *out;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, ALLOW "}", strlen(ALLOW "}")), strlen(ALLOW "}"));
    assert_int_equal(seccomp_file(path, &with, &out, &err), 0);
    json_decref(out);
    assert_int_equal(ftruncate(fd, 5), 0);
    assert_true(seccomp_file(path, &with, &out, &err) < 0);
    assert_string_equal(err.what, "is not valid JSON");
    assert_int_equal(ftruncate(fd, 5 << 20), 0);
    assert_int_equal(seccomp_file(path, &with, &out, &err), -EFBIG);
    close(fd);
    unlink(path);
    assert_int_equal(seccomp_file(path, &with, &out, &err), -ENOENT);
    assert_int_equal(seccomp_file("/", &with, &out, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),         cmocka_unit_test(test_default_capabilities),
        cmocka_unit_test(test_default_machine), cmocka_unit_test(test_default_once),
        cmocka_unit_test(test_conditions),      cmocka_unit_test(test_members),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
