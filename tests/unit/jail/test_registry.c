// SPDX-License-Identifier: Apache-2.0
/* What a dead owner left is removed, and nothing else, whatever the registry's files say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "jail/cgroup.h"
#include "jail/path.h"
#include "jail/registry.h"
#include "jail/registry_file.h"

struct fixture {
    char top[64];
    char registry[96];
    int fd; /* of top */
    struct husk_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->top, "/tmp/husk-registry-XXXXXX");
    if (!mkdtemp(f->top))
        return -1;
    snprintf(f->registry, sizeof(f->registry), "%s/husk", f->top);
    f->fd = open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    const char *name;
    int parent = path_open_parent(f->top, &name), ret;

    ret = fstat(f->fd, &st) == 0 ? path_remove_tree(parent, name, &st) : -1;
    close_fd(&parent);
    close_fd(&f->fd);
    free(f);
    return ret;
}

static const char *at_top(struct fixture *f, const char *name)
{
    static char path[160];

    snprintf(path, sizeof(path), "%s/%s", f->top, name);
    return path;
}

static bool exists(struct fixture *f, const char *name)
{
    return faccessat(f->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static unsigned entries(struct fixture *f)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir = opendir(f->registry);

    while (dir && (entry = readdir(dir)))
        count += registry_is_entry_name(entry->d_name);
    if (dir)
        closedir(dir);
    return count;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static struct registry_swept sweep(struct fixture *f)
{
    struct registry_swept swept;

    assert_int_equal(registry_sweep(f->registry, &swept, &f->err), 0);
    return swept;
}

/* A file as an owner that is dead would have left it. */
static void plant(struct fixture *f, const char *name, const char *text)
{
    char path[160];
    int fd;

    mkdir(f->registry, 0700);
    snprintf(path, sizeof(path), "%s/%s", f->registry, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write_full(fd, text, strlen(text)), 0);
    close(fd);
}

#define ENTRY "vm-0123456789abcdef"

static void plant_lines(struct fixture *f, const char *lines)
{
    char text[4096];

    snprintf(text, sizeof(text), REGISTRY_HEADER "id x\n%s", lines);
    plant(f, ENTRY, text);
}

static void test_orderly_life(void **state)
{
    struct fixture *f = *state;
    struct registry *registry;
    int slot;

    assert_int_equal(sweep(f).removed, 0); /* no such directory yet */
    assert_int_equal(registry_open(f->registry, "vm1", &registry, &f->err), 0);
    assert_int_equal(entries(f), 1);
    slot = registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "d"), &f->err);
    assert_int_equal(slot, 0);
    assert_int_equal(mkdirat(f->fd, "d", 0700), 0);
    assert_int_equal(registry_made(registry, slot, -1, &f->err), 0);

    /* Its owner lives. */
    assert_int_equal(sweep(f).removed, 0);
    assert_true(exists(f, "d"));
    unlinkat(f->fd, "d", AT_REMOVEDIR);
    registry_forget(registry, slot);
    registry_forget(registry, slot);
    registry_forget(registry, -1);
    registry_close(registry);
    assert_int_equal(entries(f), 0);
    registry_close(NULL);
}

/* What the owner makes before it is killed without warning. */
static void leave_things(struct fixture *f)
{
    struct registry *registry;
    int slot, fd;

    assert_int_equal(registry_open(f->registry, "vm1", &registry, &f->err), 0);
    slot = registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "d"), &f->err);
    mkdirat(f->fd, "d", 0700);
    registry_made(registry, slot, -1, &f->err);
    slot = registry_record(registry, REGISTRY_TREE, at_top(f, "d/tree"), &f->err);
    mkdirat(f->fd, "d/tree", 0700);
    fd = openat(f->fd, "d/tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    registry_made(registry, slot, fd, &f->err);
    mkdirat(f->fd, "d/tree/sub", 0700);
    close(openat(f->fd, "d/tree/sub/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    slot = registry_record(registry, REGISTRY_SOCKET, at_top(f, "socket"), &f->err);
    listen_at(at_top(f, "socket"));
    registry_made(registry, slot, -1, &f->err);
    registry_record(registry, REGISTRY_SOCKET, at_top(f, "socket-intent"), &f->err);
    listen_at(at_top(f, "socket-intent"));
    slot = registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "gone"), &f->err);
    registry_forget(registry, slot);
    mkdirat(f->fd, "gone", 0700);
    registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "intent"), &f->err);
    mkdirat(f->fd, "intent", 0700);
    registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "never"), &f->err);
}

static void test_killed_owner(void **state)
{
    struct fixture *f = *state;
    struct registry_swept swept;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        leave_things(f);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(exists(f, "d/tree/sub/file") && exists(f, "socket") && exists(f, "intent"));
    swept = sweep(f);
    assert_int_equal(swept.removed, 5);
    assert_int_equal(swept.left, 0);
    assert_false(exists(f, "d") || exists(f, "socket") || exists(f, "socket-intent") ||
                 exists(f, "intent"));
    assert_true(exists(f, "gone"));
    assert_int_equal(entries(f), 0);
}

/* kill -9 after every byte that the owner wrote. */
static void test_torn_entry(void **state)
{
    struct fixture *f = *state;
    char text[512], whole[512];
    int len = snprintf(whole, sizeof(whole),
                       REGISTRY_HEADER "id x\n+0 directory %s/d\n-0\n"
                                       "+1 directory %s/e\n",
                       f->top, f->top);

    for (int cut = 0; cut <= len; cut++) {
        snprintf(text, sizeof(text), "%.*s", cut, whole);
        plant(f, ENTRY, text);
        assert_int_equal(sweep(f).left, 0);
        assert_int_equal(entries(f), 0);
    }
}

static void test_live_socket_stays(void **state)
{
    struct fixture *f = *state;
    char line[256];
    int fd = listen_at(at_top(f, "socket"));

    snprintf(line, sizeof(line), "+0 socket %s/socket\n", f->top);
    plant_lines(f, line);
    assert_int_equal(sweep(f).left, 1);
    assert_true(exists(f, "socket"));
    assert_int_equal(entries(f), 1);
    close(fd);
    assert_int_equal(sweep(f).removed, 1);
    assert_int_equal(entries(f), 0);
}

/* A path that holds something else by now, or leads through a link, is left alone. */
static void test_only_what_was_recorded(void **state)
{
    static const char *const victims[] = {"file", "dir/file", "link", "fifo", "dir"};
    static const char *const kinds[] = {"cgroup", "socket", "directory", "tree"};
    struct fixture *f = *state;
    char line[256];

    mkdirat(f->fd, "dir", 0700);
    mkdirat(f->fd, "empty", 0700);
    close(openat(f->fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    close(openat(f->fd, "dir/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    mkfifoat(f->fd, "fifo", 0600);
    assert_int_equal(symlinkat("empty", f->fd, "link"), 0);
    assert_int_equal(symlinkat("dir", f->fd, "dirlink"), 0);
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned v = 0; v < 5; v++) {
            snprintf(line, sizeof(line), "+0 %s %s/%s\n", kinds[k], f->top, victims[v]);
            plant_lines(f, line);
            assert_int_equal(sweep(f).removed, 0);
            assert_int_equal(entries(f), 0);
            assert_true(exists(f, victims[v]) && exists(f, "dir/file"));
        }
        /* Another inode than the one that was made. */
        snprintf(line, sizeof(line), "+0 %s %s/dir\n=0 1 2\n", kinds[k], f->top);
        plant_lines(f, line);
        assert_int_equal(sweep(f).removed, 0);
        snprintf(line, sizeof(line), "+0 %s %s/dirlink/empty\n", kinds[k], f->top);
        plant_lines(f, line);
        assert_int_equal(sweep(f).removed, 0);
        /* No cgroup is below a directory of an ordinary file system. */
        if (k == 0) {
            snprintf(line, sizeof(line), "+0 %s %s/empty\n", kinds[k], f->top);
            plant_lines(f, line);
            assert_int_equal(sweep(f).removed, 0);
        }
    }
    assert_true(exists(f, "empty") && exists(f, "dir/file"));
}

static void test_hostile_lines(void **state)
{
    static const char *const lines[] = {
        "+0 directory %s/../d\n",
        "+0 directory %s/./d\n",
        "+0 directory %s//d\n",
        "+0 directory %s/d/\n",
        "+0 directory relative\n",
        "+0 directory \n",
        "+0 directory\n",
        "+0\n",
        "+\n",
        "\n",
        "+32 directory %s/d\n",
        "+-1 directory %s/d\n",
        "+0x1 directory %s/d\n",
        "+ 0 directory %s/d\n",
        "+0 file %s/d\n",
        "+0 Directory %s/d\n",
        "+0 directory %s/d\nrubbish\n",
        "=0 1 2\n+0 directory %s/d\n",
        "-0\n+0 directory %s/d\n",
        "+0 directory %s/d\n=0 x 1\n",
        "+0 directory %s/d\n=0 1\n",
        "+0 directory %s/d\n=0 0x1 1\n",
        "+0 directory %s/d\n=0 99999999999999999999 1\n",
        "+0 directory %s/d\n-0 more\n",
        "+0 directory %s/d\n+0 directory %s/d\n",
        "+0 directory %s/d\n=0 1 1\n=0 1 1\n",
        "+0 directory %s/d\n\t\n",
        "*0 directory %s/d\n",
        "+0 directory %s/d\r\n",
    };
    struct fixture *f = *state;
    char text[512];

    mkdirat(f->fd, "d", 0700);
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), lines[i], f->top, f->top);
#pragma GCC diagnostic pop
        plant_lines(f, text);
        assert_int_equal(sweep(f).removed, 0);
        assert_true(exists(f, "d"));
        assert_int_equal(entries(f), 0);
    }
    /* Of a later version: not ours to judge. */
    snprintf(text, sizeof(text), "husk-registry 2\nid x\n+0 directory %s/d\n", f->top);
    plant(f, ENTRY, text);
    assert_int_equal(sweep(f).removed, 0);
    assert_int_equal(entries(f), 1);
    assert_true(exists(f, "d"));
}

static void test_hostile_files(void **state)
{
    struct fixture *f = *state;
    char path[160], line[256], big[70000];
    int fd;

    mkdirat(f->fd, "d", 0700);
    snprintf(path, sizeof(path), "%s/" ENTRY, f->registry);
    snprintf(line, sizeof(line), REGISTRY_HEADER "id x\n+0 directory %s/d\n", f->top);

    plant(f, ENTRY, line);
    chmod(path, 0644); /* others' eyes are no harm, but no registry makes such a file */
    assert_int_equal(sweep(f).removed, 0);
    chmod(path, 0600);
    assert_int_equal(link(path, at_top(f, "second-name")), 0);
    assert_int_equal(sweep(f).removed, 0);
    rename(path, at_top(f, "second-name2"));
    assert_int_equal(symlink(at_top(f, "second-name2"), path), 0);
    assert_int_equal(sweep(f).removed, 0);
    unlink(path);
    mkfifo(path, 0600);
    assert_int_equal(sweep(f).removed, 0);
    unlink(path);
    mkdir(path, 0600);
    assert_int_equal(sweep(f).removed, 0);
    rmdir(path);
    plant(f, "vm-0123456789abcdeF", line);
    plant(f, "vm-0123456789abcde", line);
    plant(f, "vm-0123456789abcdef0", line);
    plant(f, "other", line);
    assert_int_equal(sweep(f).removed, 0);
    memset(big, 'x', sizeof(big));
    memcpy(big, line, strlen(line));
    big[sizeof(big) - 1] = '\0';
    plant(f, ENTRY, big);
    assert_int_equal(sweep(f).removed, 0);

    /* Somebody holds the lock. */
    plant(f, ENTRY, line);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(sweep(f).removed, 0);
    assert_true(exists(f, "d"));
    close(fd);
    assert_int_equal(sweep(f).removed, 1);
}

static void test_directory_of_others(void **state)
{
    struct fixture *f = *state;
    struct registry *registry;

    mkdir(f->registry, 0700);
    chmod(f->registry, 0755);
    assert_int_equal(registry_open(f->registry, "x", &registry, &f->err), -EPERM);
    assert_true(strstr(f->err.why, "0700") != NULL);
    assert_int_equal(registry_sweep(f->registry, NULL, &f->err), -EPERM);
    rmdir(f->registry);
    mkdirat(f->fd, "real", 0700);
    assert_int_equal(symlinkat("real", f->fd, "husk"), 0);
    assert_int_equal(registry_open(f->registry, "x", &registry, &f->err), -ELOOP);
    assert_int_equal(registry_open("/nonexistent/husk", "x", &registry, &f->err), -ENOENT);
}

static void test_bad_records(void **state)
{
    struct fixture *f = *state;
    struct registry *registry;
    int first;

    assert_int_equal(registry_open(f->registry, "evil\n+0 tree /", &registry, &f->err), 0);
    assert_int_equal(registry_record(registry, REGISTRY_TREE, at_top(f, "a\nb"), &f->err), -EINVAL);
    assert_int_equal(registry_record(registry, REGISTRY_TREE, at_top(f, ".."), &f->err), -EINVAL);
    assert_int_equal(registry_record(registry, REGISTRY_TREE, at_top(f, "no/x"), &f->err), -ENOENT);
    assert_int_equal(registry_record(registry, REGISTRY_CGROUP, "/a/../b", &f->err), -EINVAL);
    first = registry_record(registry, REGISTRY_CGROUP, "/not/there/yet", &f->err);
    assert_int_equal(first, 0);
    registry_forget(registry, first);
    first = registry_record(registry, REGISTRY_TREE, at_top(f, "a"), &f->err);
    assert_int_equal(first, 0);
    assert_int_equal(registry_made(registry, first, -1, &f->err), -ENOENT);
    for (unsigned i = 1; i < REGISTRY_SLOTS; i++)
        assert_int_equal(registry_record(registry, REGISTRY_TREE, at_top(f, "a"), &f->err), i);
    assert_int_equal(registry_record(registry, REGISTRY_TREE, at_top(f, "a"), &f->err), -ENOSPC);
    registry_forget(registry, 5);
    assert_int_equal(registry_record(registry, REGISTRY_TREE, at_top(f, "a"), &f->err), 5);
    registry_close(registry);
    assert_int_equal(entries(f), 1);
    sweep(f);
    assert_int_equal(entries(f), 0);
}

/* However long an owner lives, its entry stays one that a sweep reads. */
static void test_entry_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct registry *registry;
    int slot = 0;

    assert_int_equal(registry_open(f->registry, "x", &registry, &f->err), 0);
    for (unsigned i = 0; i < 10000 && slot >= 0; i++) {
        slot = registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "d"), &f->err);
        registry_forget(registry, slot);
    }
    assert_int_equal(slot, -ENOSPC);
    registry_close(registry);
    assert_int_equal(sweep(f).left, 0);
    assert_int_equal(entries(f), 0);
}

static void test_keep(void **state)
{
    struct fixture *f = *state;
    struct registry *registry;

    assert_int_equal(registry_open(f->registry, "x", &registry, &f->err), 0);
    registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "d"), &f->err);
    mkdirat(f->fd, "d", 0700);
    assert_int_equal(registry_keep(registry), 0);
    assert_int_equal(entries(f), 0);
    assert_true(registry_record(registry, REGISTRY_DIRECTORY, at_top(f, "e"), &f->err) >= 0);
    assert_int_equal(entries(f), 0);
    registry_close(registry);
    assert_int_equal(sweep(f).removed, 0);
    assert_true(exists(f, "d"));
}

static void test_sweep_is_bounded(void **state)
{
    struct fixture *f = *state;
    char name[32], line[256];

    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "vm-%016x", i);
        snprintf(line, sizeof(line), REGISTRY_HEADER "id x\n+0 directory %s/%u\n", f->top, i);
        plant(f, name, line);
    }
    sweep(f);
    assert_int_equal(entries(f), 36);
    sweep(f);
    assert_int_equal(entries(f), 0);
}

/* On the host's own hierarchy: with a process still in it. */
static void test_killed_owner_of_a_cgroup(void **state)
{
    struct fixture *f = *state;
    struct registry *registry;
    struct cgroup *cgroup = NULL;
    int status, ret, slot;
    char name[64];
    pid_t pid;

    snprintf(name, sizeof(name), "husk-test-sweep-%d", (int)getpid());
    ret = cgroup_new(NULL, "husk-test.slice", name, &cgroup, &f->err);
    if (!ret)
        ret = cgroup_make(cgroup, &f->err);
    if (ret) {
        cgroup_free(cgroup);
        print_message("skipped: %s: %s: %s\n", f->err.where, f->err.what, f->err.why);
        skip();
    }
    assert_int_equal(registry_open(f->registry, "x", &registry, &f->err), 0);
    slot = registry_record(registry, REGISTRY_CGROUP, cgroup_path(cgroup), &f->err);
    assert_true(slot >= 0);
    assert_int_equal(registry_made(registry, slot, cgroup_fd(cgroup), &f->err), 0);
    pid = fork();
    if (pid == 0) {
        registry_close(registry);
        for (;;)
            pause();
    }
    assert_int_equal(cgroup_attach(cgroup, pid, &f->err), 0);
    assert_int_equal(sweep(f).removed, 0);
    registry_close(registry);
    /* The child may hold the lock for a moment more: it was forked with it. */
    while (entries(f))
        sweep(f);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(access(cgroup_path(cgroup), F_OK), -1);
    assert_int_equal(cgroup_remove(cgroup, &f->err), 0); /* takes the parent with it */
    cgroup_free(cgroup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_orderly_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live_socket_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_what_was_recorded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directory_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entry_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sweep_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_owner_of_a_cgroup, setup, teardown),
    };

    return cmocka_run_group_tests_name("jail/registry", tests, NULL, NULL);
}
