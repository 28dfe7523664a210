// SPDX-License-Identifier: Apache-2.0
/* The cgroup of a jailed VM: it is there while the VM is, gone with it, and after the host program
 * was killed gone with the next start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"
#include "jail/cgroup.h"
#include "tests/harness/tiny_guest.h"

static const uint8_t spin[] = {GUEST_SPIN};

static struct {
    char parent[64];
    char id[64];
    char path[256]; /* of the VM's cgroup */
} t;

static struct husk_vm *start_vm(void)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_jail_options jail = HUSK_JAIL_OPTIONS_INIT;
    struct husk_error err = {0};
    struct husk_vm *vm;
    char text[600];

    options.kernel_fd = tiny_guest_fd(spin, sizeof(spin));
    options.memory_bytes = 16 << 20;
    options.id = t.id;
    options.jail = &jail;
    jail.cgroup_parent = t.parent;
    if (husk_vm_new(&options, &vm, &err) || husk_vm_build(vm, &err) || husk_vm_start(vm, &err))
        fail_msg("%s", error_format(&err, text, sizeof(text)));
    close(options.kernel_fd);
    return vm;
}

static int members(void)
{
    char path[300];
    int pid, count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/cgroup.procs", t.path);
    file = fopen(path, "re");
    if (!file)
        return -1;
    while (fscanf(file, "%d", &pid) == 1)
        count++;
    fclose(file);
    return count;
}

static void test_comes_and_goes(void **state)
{
    struct husk_vm *vm = start_vm();

    assert_int_equal(members(), 1);
    husk_vm_free(vm);
    assert_int_equal(access(t.path, F_OK), -1);
}

static void test_name_is_taken(void **state)
{
    struct husk_vm *vm = start_vm(), *other;
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_jail_options jail = HUSK_JAIL_OPTIONS_INIT;

    options.kernel_fd = tiny_guest_fd(spin, sizeof(spin));
    options.memory_bytes = 16 << 20;
    options.id = t.id;
    options.jail = &jail;
    jail.cgroup_parent = t.parent;
    assert_int_equal(husk_vm_new(&options, &other, NULL), 0);
    assert_int_equal(husk_vm_build(other, NULL), -EEXIST);
    husk_vm_free(other);
    assert_int_equal(members(), 1); /* the first one's is untouched */
    husk_vm_free(vm);
    close(options.kernel_fd);
}

/* A host program that is killed while its VM runs. */
static void test_killed_owner(void **state)
{
    pid_t pid = fork();
    struct husk_vm *vm;
    int status;

    if (pid == 0) {
        start_vm();
        raise(SIGKILL);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(access(t.path, F_OK), 0);
    vm = start_vm(); /* the same name is free again */
    assert_int_equal(members(), 1);
    husk_vm_free(vm);
    assert_int_equal(access(t.path, F_OK), -1);
}

/* The parent that the killed program made goes as well, by a start in another one. */
static void test_parent_of_killed_owner(void **state)
{
    char parent[sizeof(t.path)];
    struct husk_vm *vm;
    pid_t pid = fork();

    if (pid == 0) {
        start_vm();
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(t.path, '/') - t.path), t.path);
    assert_int_equal(access(parent, F_OK), 0);
    strcat(t.parent, "-other");
    vm = start_vm();
    assert_int_equal(access(parent, F_OK), -1);
    husk_vm_free(vm);
}

/* Whether this host lets us make cgroups at all. */
static bool set_up(void)
{
    struct husk_error error;
    struct cgroup *cgroup;
    char text[600], name[80];
    int ret;

    snprintf(t.parent, sizeof(t.parent), "husk-test-%d", (int)getpid());
    snprintf(t.id, sizeof(t.id), "limits-%d", (int)getpid());
    snprintf(name, sizeof(name), "husk-%s", t.id);
    ret = cgroup_new(NULL, t.parent, name, &cgroup, &error);
    if (!ret) {
        snprintf(t.path, sizeof(t.path), "%s", cgroup_path(cgroup));
        ret = cgroup_make(cgroup, &error);
        if (!ret)
            cgroup_remove(cgroup, NULL);
        cgroup_free(cgroup);
    }
    if (ret)
        fprintf(stderr, "skipped: cgroups: %s\n", error_format(&error, text, sizeof(text)));
    return ret == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_name_is_taken),
        cmocka_unit_test(test_killed_owner),
        cmocka_unit_test(test_parent_of_killed_owner),
    };

    if (!tiny_guest_can_run() || !set_up())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
