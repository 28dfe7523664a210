// SPDX-License-Identifier: Apache-2.0
/* Against a directory that looks like a hierarchy, and against the host's own where it may be
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "jail/cgroup.h"
#include "jail/path.h"

struct fixture {
    char root[64];
    int fd;
    struct cgroup *cgroup;
    struct husk_error err;
};

static void put(struct fixture *f, const char *path, const char *text)
{
    int fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static const char *get(struct fixture *f, const char *path)
{
    static char text[256];
    int fd = openat(f->fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);

    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static bool exists(struct fixture *f, const char *path)
{
    return faccessat(f->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->root, "/tmp/husk-cgroup-XXXXXX");
    if (!mkdtemp(f->root))
        return -1;
    f->fd = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(f, "cgroup.controllers", "cpu io memory pids\n");
    put(f, "cgroup.subtree_control", "cpu\n");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    const char *name;
    int parent = path_open_parent(f->root, &name), ret;

    cgroup_free(f->cgroup);
    ret = fstat(f->fd, &st) == 0 ? path_remove_tree(parent, name, &st) : -1;
    close_fd(&parent);
    close_fd(&f->fd);
    free(f);
    return ret;
}

static int make(struct fixture *f, const char *parent, const char *name)
{
    int ret = cgroup_new(f->root, parent, name, &f->cgroup, &f->err);

    return ret ? ret : cgroup_make(f->cgroup, &f->err);
}

/* The files that a kernel would show in a new cgroup. */
static void furnish(struct fixture *f, const char *group, const char *controllers)
{
    static const char *const files[] = {"memory.max", "cpu.max",      "cpu.weight", "pids.max",
                                        "io.max",     "cgroup.procs", "cgroup.kill"};
    char path[128];

    snprintf(path, sizeof(path), "%s/cgroup.controllers", group);
    put(f, path, controllers);
    snprintf(path, sizeof(path), "%s/cgroup.subtree_control", group);
    put(f, path, "");
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", group, files[i]);
        put(f, path, "");
    }
}

static void test_makes_and_removes(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, "a.slice/b", "husk-x"), 0);
    assert_true(exists(f, "a.slice/b/husk-x"));
    assert_true(strstr(cgroup_path(f->cgroup), "/a.slice/b/husk-x") != NULL);
    assert_true(cgroup_fd(f->cgroup) >= 0);
    assert_int_equal(cgroup_remove(f->cgroup, &f->err), 0);
    assert_false(exists(f, "a.slice"));
    assert_int_equal(cgroup_remove(f->cgroup, &f->err), 0);
}

static void test_keeps_what_others_use(void **state)
{
    struct fixture *f = *state;

    mkdirat(f->fd, "there", 0755);
    assert_int_equal(make(f, "there/made", "husk-x"), 0);
    mkdirat(f->fd, "there/made/husk-y", 0755);
    assert_int_equal(cgroup_remove(f->cgroup, &f->err), 0);
    assert_true(exists(f, "there/made/husk-y"));
    assert_false(exists(f, "there/made/husk-x"));
}

static void test_name_in_use(void **state)
{
    struct fixture *f = *state;

    mkdirat(f->fd, "p", 0755);
    mkdirat(f->fd, "p/husk-x", 0755);
    assert_int_equal(make(f, "p", "husk-x"), -EEXIST);
    assert_true(strstr(f->err.where, "/p/husk-x") != NULL);
    assert_true(strstr(f->err.why, "already") != NULL);
    assert_int_equal(cgroup_remove(f->cgroup, NULL), 0);
    assert_true(exists(f, "p/husk-x"));
}

static void test_failure_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    put(f, "file", "");
    assert_int_equal(make(f, "file/x", "husk-x"), -ENOTDIR);
    cgroup_free(f->cgroup);
    f->cgroup = NULL;
    assert_int_equal(symlinkat("/tmp", f->fd, "link"), 0);
    assert_int_equal(make(f, "link", "husk-x"), -ELOOP);
    assert_int_equal(access("/tmp/husk-x", F_OK), -1);
    cgroup_free(f->cgroup);
    f->cgroup = NULL;
    /* The parents are made before the name turns out to be taken. */
    mkdirat(f->fd, "p", 0755);
    put(f, "p/new", "");
    assert_int_equal(make(f, "new/parents/p", "husk-x"), 0);
    cgroup_free(f->cgroup);
    f->cgroup = NULL;
    assert_int_equal(make(f, "new/parents/p", "husk-x"), -EEXIST);
    assert_true(exists(f, "new/parents/p/husk-x"));
    cgroup_free(f->cgroup);
    f->cgroup = NULL;
    assert_int_equal(make(f, "made/p", "cgroup.procs/x"), -EINVAL);
    assert_false(exists(f, "made"));
}

static void test_bad_names(void **state)
{
    static const char *const parents[] = {
        "/abs",  "a//b",      "a/",
        ".",     "..",        "a/../b",
        "a/./b", "new\nline", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    static const char *const names[] = {"", ".", "..", "a/b", "new\nline"};
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof(parents) / sizeof(parents[0]); i++)
        assert_int_equal(cgroup_new(f->root, parents[i], "x", &f->cgroup, &f->err), -EINVAL);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(cgroup_new(f->root, "a", names[i], &f->cgroup, &f->err), -EINVAL);
    assert_int_equal(cgroup_new("/nonexistent", "a", "x", &f->cgroup, &f->err), -ENOENT);
}

static void test_limits(void **state)
{
    const struct cgroup_limits limits = {
        .memory_max_bytes = 3ull << 30, .cpu_max_percent = 250, .cpu_weight = 42, .pids_max = 17};
    struct fixture *f = *state;

    mkdirat(f->fd, "p", 0755);
    furnish(f, "p", "cpu io memory pids\n");
    assert_int_equal(make(f, "p", "husk-x"), 0);
    furnish(f, "p/husk-x", "");
    assert_int_equal(cgroup_limit(f->cgroup, &limits, &f->err), 0);
    assert_string_equal(get(f, "p/husk-x/memory.max"), "3221225472");
    assert_string_equal(get(f, "p/husk-x/cpu.max"), "250000 100000");
    assert_string_equal(get(f, "p/husk-x/cpu.weight"), "42");
    assert_string_equal(get(f, "p/husk-x/pids.max"), "17");
    assert_string_equal(get(f, "p/husk-x/io.max"), "");
    assert_int_equal(cgroup_set(f->cgroup, "memory.high", "1", &f->err), -ENOENT);
    assert_int_equal(cgroup_attach(f->cgroup, 4711, &f->err), 0);
    assert_string_equal(get(f, "p/husk-x/cgroup.procs"), "4711");
    assert_int_equal(cgroup_kill(f->cgroup, &f->err), 0);
    assert_string_equal(get(f, "p/husk-x/cgroup.kill"), "1");
}

/* Controllers that are enabled already are not enabled again: that may not be permitted. */
static void test_controllers(void **state)
{
    struct fixture *f = *state;

    mkdirat(f->fd, "p", 0755);
    furnish(f, "p", "cpu memory\n");
    put(f, "p/cgroup.subtree_control", "cpu memory\n");
    assert_int_equal(make(f, "p", "husk-x"), 0);
    furnish(f, "p/husk-x", "");
    assert_int_equal(cgroup_set(f->cgroup, "cpu.max", "max", &f->err), 0);
    assert_string_equal(get(f, "cgroup.subtree_control"), "cpu\n");
    assert_string_equal(get(f, "p/cgroup.subtree_control"), "cpu memory\n");

    assert_int_equal(cgroup_set(f->cgroup, "memory.max", "max", &f->err), 0);
    assert_true(strstr(get(f, "cgroup.subtree_control"), "+memory") != NULL);

    assert_int_equal(cgroup_set(f->cgroup, "cpuset.cpus", "0", &f->err), -ENODEV);
    assert_true(strstr(f->err.what, "cpuset") != NULL);
    put(f, "cgroup.subtree_control", "cpu memory pids\n");
    assert_int_equal(cgroup_set(f->cgroup, "pids.max", "9", &f->err), -ENODEV);
    assert_true(strstr(f->err.where, "/p/cgroup.subtree_control") != NULL);
    assert_true(strstr(f->err.what, "pids") != NULL);
}

static void test_bad_files(void **state)
{
    static const char *const files[] = {
        "", "memory", "memory.", ".max", "../memory.max", "memory.max\n", "a/b.c", "memory .max"};
    struct fixture *f = *state;

    assert_int_equal(make(f, "", "husk-x"), 0);
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        assert_int_equal(cgroup_set(f->cgroup, files[i], "1", &f->err), -EINVAL);
}

static void test_opened_is_never_removed(void **state)
{
    struct fixture *f = *state;

    mkdirat(f->fd, "theirs", 0755);
    assert_int_equal(cgroup_new(f->root, "", "theirs", &f->cgroup, &f->err), 0);
    assert_int_equal(cgroup_open(f->cgroup, &f->err), 0);
    assert_int_equal(cgroup_remove(f->cgroup, &f->err), 0);
    assert_true(exists(f, "theirs"));
    cgroup_free(f->cgroup);
    f->cgroup = NULL;
    assert_int_equal(cgroup_new(f->root, "no", "such", &f->cgroup, &f->err), 0);
    assert_int_equal(cgroup_open(f->cgroup, &f->err), -ENOENT);
}

static void test_io(void **state)
{
    struct fixture *f = *state;
    int memory = memfd_create("husk-test", MFD_CLOEXEC), disk;

    assert_int_equal(make(f, "", "husk-x"), 0);
    furnish(f, "husk-x", "");
    assert_int_equal(cgroup_limit_io(f->cgroup, memory, 1 << 20, &f->err), -ENODEV);
    close(memory);
    disk = open("/dev/loop0", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (disk < 0 || access("/sys/dev/block/7:0", F_OK) < 0) {
        close_fd(&disk);
        print_message("no /dev/loop0: only the refusal was tested\n");
        return;
    }
    assert_int_equal(cgroup_limit_io(f->cgroup, disk, 1 << 20, &f->err), 0);
    assert_string_equal(get(f, "husk-x/io.max"), "7:0 rbps=1048576 wbps=1048576");
    close(disk);
}

/* The host's own hierarchy: processes move, are ended, and the cgroup goes. */
static void test_host(void **state)
{
    struct cgroup *cgroup = NULL;
    struct husk_error err;
    char name[64];
    int status, ret;
    pid_t pid;

    snprintf(name, sizeof(name), "husk-test-%d", (int)getpid());
    ret = cgroup_new(NULL, "husk-test.slice", name, &cgroup, &err);
    if (!ret)
        ret = cgroup_make(cgroup, &err);
    if (ret == -ENOTSUP || ret == -EACCES || ret == -EPERM || ret == -EROFS) {
        cgroup_free(cgroup);
        print_message("skipped: %s: %s: %s\n", err.where, err.what, err.why);
        skip();
    }
    assert_int_equal(ret, 0);
    pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    assert_int_equal(cgroup_attach(cgroup, pid, &err), 0);
    assert_int_equal(cgroup_attach(cgroup, 0x7fffffff, &err), -ESRCH);
    assert_int_equal(cgroup_set(cgroup, "nosuch.max", "1", &err), -ENODEV);
    ret = cgroup_set(cgroup, "pids.max", "5", &err);
    if (ret)
        print_message("no limit was set here: %s: %s: %s\n", err.where, err.what, err.why);
    assert_int_equal(cgroup_remove(cgroup, &err), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(access(cgroup_path(cgroup), F_OK), -1);
    cgroup_free(cgroup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_makes_and_removes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_what_others_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_name_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_controllers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_opened_is_never_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_io, setup, teardown),
        cmocka_unit_test(test_host),
    };

    return cmocka_run_group_tests_name("jail/cgroup", tests, NULL, NULL);
}
