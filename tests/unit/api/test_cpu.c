// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "vmm/api/cpu.h"
#include "vmm/api/state.h"

static void test_bitmaps(void **state)
{
    static const struct {
        const char *text;
        uint64_t mask, value;
    } cases[] = {
        {"0b1", 1, 1},
        {"0b0", 1, 0},
        {"0bx", 0, 0},
        {"0b01xx", 0xc, 0x4},
        {"0b1x_0x1", 0x15, 0x11},
        {"0bxxxx_1111", 0xf, 0xf},
        {"0b11111111111111111111111111111111", 0xffffffff, 0xffffffff},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t mask, value;

        assert_int_equal(bitmap_parse(cases[i].text, 32, &mask, &value), 0);
        assert_true(mask == cases[i].mask);
        assert_true(value == cases[i].value);
    }
}

static void test_bad_bitmaps(void **state)
{
    static const char *const bad[] = {"", "0b", "1", "b1", "0b2", "0bX", "0b1 ", "0x1", "0b_"};
    uint64_t mask, value;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(bitmap_parse(bad[i], 32, &mask, &value), -EINVAL);
    assert_int_equal(bitmap_parse("0b111", 2, &mask, &value), -ERANGE);
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {"", "1", "0x", "0xg", "0b1x", "0x100000000", "-0x1"};
    uint32_t value;

    assert_int_equal(register_parse("0x4b564d01", &value), 0);
    assert_int_equal(value, 0x4b564d01);
    assert_int_equal(register_parse("0b101", &value), 0);
    assert_int_equal(value, 5);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_not_equal(register_parse(bad[i], &value), 0);
}

static int read_template(const char *text, struct cpu_settings *cpu, struct api_fault *fault)
{
    json_t *body = json_parse(text, strlen(text), fault);
    int ret;

    assert_non_null(body);
    memset(cpu, 0, sizeof(*cpu));
    ret = cpu_settings_read(body, cpu, fault);
    json_decref(body);
    return ret;
}

static void test_template(void **state)
{
    struct api_fault fault;
    struct cpu_settings cpu;

    assert_int_equal(
        read_template("{\"kvm_capabilities\":[\"!56\",\"121\"],"
                      "\"cpuid_modifiers\":[{\"leaf\":\"0x7\",\"subleaf\":\"0x1\",\"flags\":1,"
                      "\"modifiers\":[{\"register\":\"ebx\",\"bitmap\":\"0bx10\"},"
                      "{\"register\":\"edx\",\"bitmap\":\"0b1\"}]}],"
                      "\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":\"0b0x1\"}],"
                      "\"reg_modifiers\":[],\"vcpu_features\":[]}",
                      &cpu, &fault),
        0);
    assert_int_equal(cpu.cpuid_count, 1);
    assert_int_equal(cpu.cpuid[0].leaf, 7);
    assert_int_equal(cpu.cpuid[0].subleaf, 1);
    assert_int_equal(cpu.cpuid[0].flags, 1);
    assert_int_equal(cpu.cpuid[0].ebx.mask, 3);
    assert_int_equal(cpu.cpuid[0].ebx.bits, 2);
    assert_int_equal(cpu.cpuid[0].edx.bits, 1);
    assert_int_equal(cpu.cpuid[0].eax.mask, 0);
    assert_int_equal(cpu.msr_count, 1);
    assert_int_equal(cpu.msrs[0].index, 0x10a);
    assert_true(cpu.msrs[0].mask == 5 && cpu.msrs[0].bits == 1);
    cpu_release(&cpu);
}

static void test_bad_templates(void **state)
{
#define CPUID(rest) "{\"cpuid_modifiers\":[{\"leaf\":\"0x1\",\"subleaf\":\"0x0\"," rest "}]}"
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[]", "expected an object"},
        {"{\"msr\":[]}", "unknown field `msr`"},
        {"{\"kvm_capabilities\":[1]}", "kvm_capabilities[0]"},
        {"{\"kvm_capabilities\":[\"x\"]}", "kvm_capabilities[0]"},
        {"{\"reg_modifiers\":[1]}", "reg_modifiers"},
        {"{\"cpuid_modifiers\":{}}", "field `cpuid_modifiers`"},
        {"{\"cpuid_modifiers\":[1]}", "cpuid_modifiers[0]"},
        {"{\"cpuid_modifiers\":[{}]}", "missing field `leaf`"},
        {CPUID("\"modifiers\":[]"), "missing field `flags`"},
        {CPUID("\"flags\":8,\"modifiers\":[]"), "`flags`"},
        {CPUID("\"flags\":0"), "missing field `modifiers`"},
        {CPUID("\"flags\":0,\"modifiers\":[{\"register\":\"esi\",\"bitmap\":\"0b1\"}]"), "esi"},
        {CPUID("\"flags\":0,\"modifiers\":[{\"register\":\"eax\",\"bitmap\":\"01\"}]"), "`bitmap`"},
        {CPUID("\"flags\":0,\"modifiers\":[],\"x\":1"), "unknown field `x`"},
        {"{\"msr_modifiers\":[{\"addr\":\"1\",\"bitmap\":\"0b1\"}]}", "`addr`"},
        {"{\"msr_modifiers\":[{\"addr\":\"0x1\"}]}", "missing field `bitmap`"},
    };
#undef CPUID

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct api_fault fault = {0};
        struct cpu_settings cpu;

        assert_int_equal(read_template(cases[i].text, &cpu, &fault), -EINVAL);
        if (!strstr(fault.text, cases[i].words))
            fail_msg("%s: \"%s\" has no \"%s\"", cases[i].text, fault.text, cases[i].words);
        assert_null(cpu.cpuid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bitmaps),       cmocka_unit_test(test_bad_bitmaps),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_template),
        cmocka_unit_test(test_bad_templates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
