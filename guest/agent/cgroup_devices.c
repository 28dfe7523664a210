// SPDX-License-Identifier: Apache-2.0
/*
 * Which devices a container may open and make: a BPF program on its cgroup, which the kernel asks
 * with the type, the numbers, and the accesses that are wanted.
 *
 * The last rule that matches decides, for each kind of access by itself. So the program goes
 * through the rules from the last to the first and keeps what is still undecided in a register: a
 * rule that allows takes its accesses out (done when nothing is left), one that denies ends it when
 * any of its accesses is still in. What no rule speaks of is denied: a container that may make
 * nodes must not reach the disks of others.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "guest/agent/cgroup.h"

#define INSTRUCTIONS_PER_RULE 9
#define INSTRUCTIONS_AROUND   8
#define ALL_ACCESSES          (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

/* config-linux.md, "Default Devices", terminals, and making nodes without opening them. */
static const struct oci_device_rule defaults[] = {
    {true, 'c', -1, -1, false, false, true}, {true, 'b', -1, -1, false, false, true},
    {true, 'c', 1, 3, true, true, true},     {true, 'c', 1, 5, true, true, true},
    {true, 'c', 1, 7, true, true, true},     {true, 'c', 1, 8, true, true, true},
    {true, 'c', 1, 9, true, true, true},     {true, 'c', 5, 0, true, true, true},
    {true, 'c', 5, 2, true, true, true},     {true, 'c', 136, -1, true, true, true},
};

struct program {
    struct bpf_insn *code;
    size_t len;
};

static void emit(struct program *program, uint8_t opcode, uint8_t to, uint8_t from, int16_t offset,
                 int32_t value)
{
    program->code[program->len++] = (struct bpf_insn){
        .code = opcode, .dst_reg = to & 0xf, .src_reg = from & 0xf, .off = offset, .imm = value};
}

static void emit_result(struct program *program, int allowed)
{
    emit(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allowed);
    emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Type in r2, undecided accesses in r3, major in r4, minor in r5. */
static void emit_start(struct program *program)
{
    const uint8_t load = BPF_LDX | BPF_MEM | BPF_W;

    emit(program, load, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
    emit(program, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    emit(program, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
    emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
    emit(program, load, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
    emit(program, load, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

static void emit_rule(struct program *program, const struct oci_device_rule *rule)
{
    int32_t accesses = (rule->read ? BPF_DEVCG_ACC_READ : 0) |
                       (rule->write ? BPF_DEVCG_ACC_WRITE : 0) |
                       (rule->mknod ? BPF_DEVCG_ACC_MKNOD : 0);
    const uint8_t unequal = BPF_JMP | BPF_JNE | BPF_K;
    size_t jumps[4], jump_count = 0;

    if (rule->type != 'a') {
        jumps[jump_count++] = program->len;
        emit(program, unequal, BPF_REG_2, 0, 0,
             rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    }
    if (rule->type != 'a' && rule->major >= 0) {
        jumps[jump_count++] = program->len;
        emit(program, unequal, BPF_REG_4, 0, 0, (int32_t)rule->major);
    }
    if (rule->type != 'a' && rule->minor >= 0) {
        jumps[jump_count++] = program->len;
        emit(program, unequal, BPF_REG_5, 0, 0, (int32_t)rule->minor);
    }
    if (rule->allow) {
        emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_3, 0, 0, ALL_ACCESSES & ~accesses);
        jumps[jump_count++] = program->len;
        emit(program, unequal, BPF_REG_3, 0, 0, 0);
    } else {
        emit(program, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
        emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, accesses);
        jumps[jump_count++] = program->len;
        emit(program, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
    }
    emit_result(program, rule->allow);
    for (size_t i = 0; i < jump_count; i++)
        program->code[jumps[i]].off = (int16_t)(program->len - jumps[i] - 1);
}

static void emit_all(struct program *program, const struct oci_config *config)
{
    const struct oci_resources *resources = &config->resources;

    emit_start(program);
    for (size_t i = config->device_count; i-- > 0;) {
        const struct oci_device *device = &config->devices[i];
        const struct oci_device_rule rule = {
            true, device->type == S_IFBLK ? 'b' : 'c', device->major, device->minor, true, true,
            true};

        if (device->type != S_IFIFO)
            emit_rule(program, &rule);
    }
    for (size_t i = ARRAY_SIZE(defaults); i-- > 0;)
        emit_rule(program, &defaults[i]);
    for (size_t i = resources->device_rule_count; i-- > 0;)
        emit_rule(program, &resources->device_rules[i]);
    emit_result(program, 0);
}

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load_and_attach(const struct program *program, int cgroup)
{
    static const char license[] = "Apache-2.0";
    union bpf_attr attr;
    int fd, ret = 0;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uintptr_t)program->code;
    attr.insn_cnt = (uint32_t)program->len;
    attr.license = (uintptr_t)license;
    fd = bpf(BPF_PROG_LOAD, &attr);
    if (fd < 0)
        return -errno;
    memset(&attr, 0, sizeof(attr));
    attr.target_fd = (uint32_t)cgroup;
    attr.attach_bpf_fd = (uint32_t)fd;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    if (bpf(BPF_PROG_ATTACH, &attr) < 0)
        ret = -errno;
    close(fd); /* the cgroup holds the program now */
    return ret;
}

int cgroup_set_devices(const struct cgroup *cgroup, const struct oci_config *config,
                       struct husk_error *err)
{
    size_t rules =
        ARRAY_SIZE(defaults) + config->device_count + config->resources.device_rule_count;
    struct program program = {0};
    int ret;

    program.code =
        calloc(INSTRUCTIONS_AROUND + rules * INSTRUCTIONS_PER_RULE, sizeof(*program.code));
    if (!program.code)
        return error_set(err, ENOMEM, "linux.resources.devices", "cannot be set", NULL);
    emit_all(&program, config);
    ret = load_and_attach(&program, cgroup->dir);
    free(program.code);
    return ret ? error_set(err, -ret, "linux.resources.devices", "cannot be set", NULL) : 0;
}
