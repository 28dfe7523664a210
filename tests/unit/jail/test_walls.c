// SPDX-License-Identifier: Apache-2.0
/*
 * The walls, seen from inside: each test puts a child in jail as the library does, and the child
 * tries what should not work any more. As root and as an ordinary user, and where the host forbids
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "jail/jail.h"

#define ORDINARY   65533u /* no user of any system, and not the one that root becomes */
#define JAILED     65534u
#define NOFILE     64u
#define FIRST_FREE 10
#define STRAY_FD   40

/* Say what does not hold, and end: in a child, or in a test that runs in one as well. */
#define CHECK(condition)                                                               \
    do {                                                                               \
        if (!(condition)) {                                                            \
            dprintf(STDERR_FILENO, "%s:%d: %s (%s)\n", __func__, __LINE__, #condition, \
                    strerrorname_np(errno));                                           \
            _exit(EXIT_FAILURE);                                                       \
        }                                                                              \
    } while (0)

struct prisoner {
    struct jail_plan plan;
    unsigned flags; /* of clone() */
    bool is_root;   /* of the host */
    int session;    /* the caller's session keyring */
    struct jail_report report;
};

static void need_root(void)
{
    if (geteuid() != 0) {
        print_message("skipped: jail: needs root\n");
        skip();
    }
}

/* ---- what a prisoner finds ---- */

static void check_files(const struct prisoner *prisoner)
{
    bool has_vsock = prisoner->plan.vsock_dir_fd >= 0;
    unsigned entries = 0;
    char path[64];
    struct dirent *entry;
    struct stat st;
    DIR *root;

    CHECK(getcwd(path, sizeof(path)) && !strcmp(path, "/"));
    CHECK(stat("/proc", &st) < 0 && errno == ENOENT);
    CHECK(open("/dev/null", O_RDONLY) < 0 && errno == ENOENT);
    CHECK(mkdir("/new", 0700) < 0 && (errno == EROFS || errno == EACCES));
    CHECK(open("/new", O_WRONLY | O_CREAT, 0600) < 0 && (errno == EROFS || errno == EACCES));
    CHECK(chdir("..") == 0 && chdir("../../..") == 0);
    root = opendir(".");
    CHECK(root);
    while ((entry = readdir(root))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        CHECK(has_vsock && !strcmp(entry->d_name, "vsock"));
        entries++;
    }
    closedir(root);
    CHECK(entries == has_vsock);
    CHECK(umask(0) == 077);
}

static void check_descriptors(const struct prisoner *prisoner)
{
    struct rlimit limit;

    for (int fd = prisoner->plan.first_free_fd; fd < (int)NOFILE; fd++)
        CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == NOFILE);
    CHECK(limit.rlim_cur == NOFILE); /* all that is planned can be had */
    CHECK(fcntl(STDERR_FILENO, F_DUPFD, NOFILE) < 0);
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
}

static void check_rights(const struct prisoner *prisoner)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    int session = (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);

    CHECK(syscall(SYS_capget, &header, data) == 0);
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        CHECK(!data[i].effective && !data[i].permitted && !data[i].inheritable);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    CHECK(session != prisoner->session || (session < 0 && prisoner->session < 0));

    /* What needs a capability fails, and none can be had. */
    CHECK(mount("tmpfs", "/", "tmpfs", 0, NULL) < 0);
    CHECK(unshare(CLONE_NEWNS) < 0 && errno == EPERM);
    CHECK(chroot("/") < 0 && errno == EPERM);
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) < 0);
    CHECK(setgroups(0, NULL) < 0);
}

/* What a process keeps that had no right to take it away. */
static void check_no_way_back(void)
{
    CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0);
    CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0) == 0);
    CHECK(prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & SECBIT_NOROOT_LOCKED);
    CHECK(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0);
}

static void check_user(const struct prisoner *prisoner)
{
    if (!prisoner->is_root)
        return;
    CHECK(getuid() == JAILED && geteuid() == JAILED && getgid() == JAILED && getegid() == JAILED);
    CHECK(getgroups(0, NULL) == 0);
    CHECK(setuid(0) < 0 && setresuid(0, 0, 0) < 0 && setgid(0) < 0);
}

static void check_namespaces(const struct prisoner *prisoner)
{
    struct if_nameindex *interfaces = if_nameindex();
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct utsname name;

    CHECK(getpid() == 1 && getppid() == 0);
    CHECK(kill(2, 0) < 0 && errno == ESRCH);
    CHECK(uname(&name) == 0 && !strcmp(name.nodename, "husk"));
    CHECK(interfaces && !strcmp(interfaces[0].if_name, "lo") && interfaces[1].if_index == 0);
    CHECK(ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP));
    if_freenameindex(interfaces);
    close(fd);
}

static void check_everything(struct prisoner *prisoner)
{
    for (unsigned i = 0; i < prisoner->report.count; i++)
        dprintf(STDERR_FILENO, "missing: %s (%s)\n", prisoner->report.gaps[i].wall,
                strerrorname_np(prisoner->report.gaps[i].error));
    CHECK(prisoner->report.count == 0);
    check_descriptors(prisoner);
    check_files(prisoner);
    check_rights(prisoner);
    check_no_way_back();
    check_user(prisoner);
    check_namespaces(prisoner);
}

/* ---- sending somebody to jail ---- */

/* Returns the child's wait status. */
static int imprison(struct prisoner *prisoner, void (*inside)(struct prisoner *prisoner))
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    struct husk_error error;
    char text[512];
    struct rlimit limit;
    int status = -1;
    pid_t pid;

    prisoner->plan.first_free_fd = FIRST_FREE;
    prisoner->plan.nofile = NOFILE;
    prisoner->session =
        (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    pid = (pid_t)syscall(SYS_clone, prisoner->flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        dup2(STDERR_FILENO, STRAY_FD);
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = NOFILE / 2;
        setrlimit(RLIMIT_NOFILE, &limit);
        prisoner->plan.namespaces = prisoner->flags;
        if (prisoner->flags & CLONE_NEWUSER)
            CHECK(jail_map_ids(uid, gid) == 0);
        if (jail_enter(&prisoner->plan, &prisoner->report, &error)) {
            dprintf(STDERR_FILENO, "%s\n", error_format(&error, text, sizeof(text)));
            _exit(77);
        }
        inside(prisoner);
        _exit(EXIT_SUCCESS);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    return status;
}

static struct prisoner new_prisoner(void)
{
    return (struct prisoner){.plan = {.uid = JAILED, .gid = JAILED, .vsock_dir_fd = -1},
                             .is_root = geteuid() == 0};
}

/* Run `test` as an ordinary user, in a process of its own; true when it returned. */
static bool as_ordinary_user(void (*test)(void))
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (geteuid() == 0)
            CHECK(setgroups(0, NULL) == 0 && setresgid(ORDINARY, ORDINARY, ORDINARY) == 0 &&
                  setresuid(ORDINARY, ORDINARY, ORDINARY) == 0 &&
                  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
        test();
        _exit(EXIT_SUCCESS);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: jail: this host gives ordinary users no user namespaces\n");
        skip();
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_root(void **state)
{
    struct prisoner prisoner = new_prisoner();

    need_root();
    prisoner.flags = jail_clone_flags(0);
    prisoner.plan.strict = true;
    assert_false(prisoner.flags & CLONE_NEWUSER);
    assert_int_equal(imprison(&prisoner, check_everything), 0);
}

static void go_as_user(void)
{
    struct prisoner prisoner = new_prisoner();
    int status;

    prisoner.flags = jail_clone_flags(0);
    prisoner.plan.strict = true;
    CHECK(prisoner.flags & CLONE_NEWUSER);
    status = imprison(&prisoner, check_everything);
    if (status == -1)
        _exit(77);
    CHECK(status == 0);
}

static void test_user(void **state)
{
    assert_true(as_ordinary_user(go_as_user));
}

/* Root need not have made any namespace: the process makes its own, but for the pid namespace. */
static void check_gap_of_pids(struct prisoner *prisoner)
{
    CHECK(prisoner->report.count == 1);
    CHECK(!strcmp(prisoner->report.gaps[0].wall, "pid namespace"));
    check_descriptors(prisoner);
    check_files(prisoner);
    check_rights(prisoner);
    check_no_way_back();
    check_user(prisoner);
}

static void test_root_without_clone_flags(void **state)
{
    struct prisoner prisoner = new_prisoner();

    need_root();
    assert_int_equal(imprison(&prisoner, check_gap_of_pids), 0);
}

/* ---- hosts that forbid it ---- */

static bool has_gap(const struct jail_report *report, const char *wall)
{
    for (unsigned i = 0; i < report->count; i++) {
        if (!strcmp(report->gaps[i].wall, wall))
            return true;
    }
    return false;
}

/* No namespaces at all: rights, limits and descriptors are taken away all the same. */
static void check_bare(struct prisoner *prisoner)
{
    static const char *const walls[] = {"pid namespace", "mount namespace", "network namespace",
                                        "ipc namespace", "uts namespace",   "cgroup namespace",
                                        "root directory"};

    for (unsigned i = 0; i < ARRAY_SIZE(walls); i++)
        CHECK(has_gap(&prisoner->report, walls[i]));
    check_descriptors(prisoner);
    check_rights(prisoner);
    check_user(prisoner);
}

static void go_without_namespaces(void)
{
    struct prisoner prisoner = new_prisoner();
    int status = imprison(&prisoner, check_bare);

    CHECK(status == 0);
    prisoner.plan.strict = true;
    status = imprison(&prisoner, check_bare);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 77);
}

static void test_user_without_namespaces(void **state)
{
    assert_true(as_ordinary_user(go_without_namespaces));
}

/* Only what it may use at present is lowered; the rest is for whoever made it to give. */
static void check_growing(struct prisoner *prisoner)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == NOFILE);
    CHECK(limit.rlim_max == 2 * NOFILE);
    CHECK(fcntl(STDERR_FILENO, F_DUPFD, NOFILE) < 0);
    CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == 4096);
    CHECK(limit.rlim_max == 65536);
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
}

static void go_with_room(void)
{
    const struct rlimit files = {.rlim_cur = NOFILE, .rlim_max = 2 * NOFILE};
    const struct rlimit memory = {.rlim_cur = 8192, .rlim_max = 65536};
    struct prisoner prisoner = new_prisoner();

    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_MEMLOCK, &memory) == 0);
    prisoner.plan.may_grow = true;
    prisoner.plan.memlock_bytes = 4096;
    CHECK(imprison(&prisoner, check_growing) == 0);
}

static void test_limits_that_may_grow(void **state)
{
    assert_true(as_ordinary_user(go_with_room));
}

/* A container's root: it may become another user, but not make namespaces. */
static void test_root_without_admin(void **state)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    int status = -1;
    pid_t pid;

    need_root();
    pid = fork();
    if (pid == 0) {
        CHECK(syscall(SYS_capget, &header, data) == 0);
        data[0].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
        data[0].permitted &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
        CHECK(syscall(SYS_capset, &header, data) == 0);
        CHECK(jail_clone_flags(0) & CLONE_NEWUSER);
        go_without_namespaces();
        _exit(EXIT_SUCCESS);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Root that cannot become somebody else stays outside. */
static void test_root_must_give_up(void **state)
{
    struct prisoner prisoner = new_prisoner();
    int status;

    need_root();
    prisoner.flags = jail_clone_flags(0);
    prisoner.plan.uid = 0;
    status = imprison(&prisoner, check_everything);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
}

/* A limit on one kind of namespace costs that kind only. */
static void test_fewer_namespaces(void **state)
{
    assert_true(jail_clone_flags(0) & CLONE_NEWNET);
    assert_true(jail_clone_flags(0) & CLONE_NEWPID);
    assert_false(jail_clone_flags(1) & CLONE_NEWNET);
    assert_true(jail_clone_flags(1) & CLONE_NEWPID);
    assert_int_equal(jail_clone_flags(9), 0);
}

/* ---- the one directory ---- */

static int listen_in(const char *directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/v_1024", directory);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(chmod(address.sun_path, 0666) == 0 && listen(fd, 1) == 0);
    return fd;
}

static void check_socket(struct prisoner *prisoner)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX,
                                  .sun_path = JAIL_VSOCK_DIRECTORY "/v_1024"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat root, above;

    check_everything(prisoner);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    close(fd);
    CHECK(unlink(address.sun_path) < 0 && errno == EROFS);
    CHECK(open(JAIL_VSOCK_DIRECTORY "/new", O_WRONLY | O_CREAT, 0600) < 0 && errno == EROFS);
    CHECK(stat("/", &root) == 0 && stat(JAIL_VSOCK_DIRECTORY "/..", &above) == 0);
    CHECK(root.st_ino == above.st_ino && root.st_dev == above.st_dev);
}

static int go_with_directory(void)
{
    struct prisoner prisoner = new_prisoner();
    char directory[] = "/tmp/husk-jail-XXXXXX";
    char socket_path[64];
    int listener, status;

    CHECK(mkdtemp(directory) && chmod(directory, 0755) == 0);
    listener = listen_in(directory);
    prisoner.flags = jail_clone_flags(0);
    prisoner.plan.strict = true;
    prisoner.plan.vsock_dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    status = imprison(&prisoner, check_socket);
    close(prisoner.plan.vsock_dir_fd);
    close(listener);
    snprintf(socket_path, sizeof(socket_path), "%s/v_1024", directory);
    CHECK(unlink(socket_path) == 0 && rmdir(directory) == 0);
    return status;
}

static void test_vsock_directory(void **state)
{
    need_root();
    assert_int_equal(go_with_directory(), 0);
}

static void go_with_directory_as_user(void)
{
    int status = go_with_directory();

    if (status == -1)
        _exit(77);
    CHECK(status == 0);
}

static void test_vsock_directory_of_user(void **state)
{
    assert_true(as_ordinary_user(go_with_directory_as_user));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_root_without_clone_flags),
        cmocka_unit_test(test_user_without_namespaces),
        cmocka_unit_test(test_limits_that_may_grow),
        cmocka_unit_test(test_root_without_admin),
        cmocka_unit_test(test_root_must_give_up),
        cmocka_unit_test(test_fewer_namespaces),
        cmocka_unit_test(test_vsock_directory),
        cmocka_unit_test(test_vsock_directory_of_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
