// SPDX-License-Identifier: Apache-2.0
/*
 * See tool.h. The child puts up its limits between clone(2) and execve(2), and says through a pipe
 * that execve(2) closes how far it came.
 *
 * References: landlock(7), capabilities(7), getrlimit(2).
 */
#include "jail/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "jail/jail.h"

#define CPU_SECONDS   3600u
#define ADDRESS_BYTES (4ull << 30)
#define NOFILE        256u

/* LANDLOCK_ACCESS_FS_TRUNCATE, since the third version of the interface (Linux 6.2). */
#define ACCESS_TRUNCATE (1ull << 14)
#define ACCESS_FIRST    ((1ull << 13) - 1) /* all of the first version */
#define ACCESS_READ     (LANDLOCK_ACCESS_FS_READ_FILE)
#define ACCESS_PROGRAMS \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* What the child says before it executes, or instead. */
struct message {
    int error;        /* 0: about to execute */
    bool ids_refused; /* fewer namespaces may do */
    bool is_confined;
};

static int allow(int rules, int fd, uint64_t access)
{
    struct landlock_path_beneath_attr beneath = {.allowed_access = access, .parent_fd = fd};

    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0
               ? -errno
               : 0;
}

/* Directories of programs that a host does not have are no error. */
static int allow_path(int rules, const char *path, uint64_t access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    int ret;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    ret = allow(rules, fd, access);
    close_fd(&fd);
    return ret;
}

static int restrict_files(const struct tool_plan *plan)
{
    static const char *const programs[] = {"/usr", "/lib", "/lib64"};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t truncate = version >= 3 ? ACCESS_TRUNCATE : 0;
    struct landlock_ruleset_attr attr = {.handled_access_fs = ACCESS_FIRST | truncate};
    int rules, ret = 0;

    if (version < 1)
        return version < 0 ? -errno : -EOPNOTSUPP;
    rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (rules < 0)
        return -errno;
    for (unsigned i = 0; !ret && i < ARRAY_SIZE(programs); i++)
        ret = allow_path(rules, programs[i], ACCESS_PROGRAMS);
    if (!ret)
        ret = allow_path(rules, "/etc/ld.so.cache", ACCESS_READ);
    if (!ret)
        ret = allow_path(rules, "/dev/null", ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
    if (!ret)
        ret = allow(rules, plan->input_fd, ACCESS_READ);
    if (!ret)
        ret = allow(rules, plan->output_fd, ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate);
    if (!ret && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        ret = -errno;
    close_fd(&rules);
    return ret;
}

/* execve(2) gives root what the bounding set holds: the right to open the two files, whoever owns
 * them, for Landlock decides which those are. Without Landlock, nothing. */
static int drop_rights(bool is_confined)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (is_confined && cap == CAP_DAC_OVERRIDE)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
            return -errno;
    }
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int limit(__rlimit_resource_t resource, rlim_t most)
{
    const struct rlimit both = {most, most};
    struct rlimit now;

    if (getrlimit(resource, &now) < 0)
        return -errno;
    return now.rlim_max < most || setrlimit(resource, &both) == 0 ? 0 : -errno;
}

static int limit_resources(const struct tool_plan *plan)
{
    int ret = limit(RLIMIT_CPU, CPU_SECONDS);

    if (!ret)
        ret = limit(RLIMIT_AS, ADDRESS_BYTES);
    if (!ret)
        ret = limit(RLIMIT_FSIZE, plan->file_bytes);
    if (!ret)
        ret = limit(RLIMIT_NOFILE, NOFILE);
    return ret ? ret : limit(RLIMIT_CORE, 0);
}

static int arrange_descriptors(int out, int errors)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0)
        return -errno;
    return 0;
}

struct start {
    const struct tool_plan *plan;
    int out[2], errors[2], report[2];
};

/* In the child; does not return. */
_Noreturn static void run_tool(const struct start *start, unsigned namespaces, uid_t uid, gid_t gid)
{
    char *const environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL};
    struct message message = {0};
    sigset_t none;
    int ret = namespaces & CLONE_NEWUSER ? jail_map_ids(uid, gid) : 0;

    message.ids_refused = ret != 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (!ret)
        ret = arrange_descriptors(start->out[1], start->errors[1]);
    if (!ret)
        ret = limit_resources(start->plan);
    if (!ret && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        ret = -errno;
    if (!ret) {
        message.is_confined = restrict_files(start->plan) == 0;
        ret = drop_rights(message.is_confined);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!ret) {
        write_full(start->report[1], &message, sizeof(message));
        execve(start->plan->program, start->plan->arguments, environment);
        ret = -errno;
    }
    message.error = -ret;
    write_full(start->report[1], &message, sizeof(message));
    _exit(127);
}

/* Both messages of a child that could not execute; one of one that did. */
static int read_report(int fd, struct message *message)
{
    ssize_t n;
    int ret = -EPIPE;

    while ((n = read(fd, message, sizeof(*message))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof(*message))
            return -EPIPE;
        ret = -message->error;
    }
    return ret;
}

static int attempt(struct start *start, unsigned namespaces, struct tool *tool,
                   struct message *message)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int ret;

    if (pipe2(start->report, O_CLOEXEC) < 0)
        return -errno;
    tool->pid = (pid_t)syscall(SYS_clone, (unsigned long)(namespaces | SIGCHLD), 0, 0, 0, 0);
    if (tool->pid == 0)
        run_tool(start, namespaces, uid, gid);
    ret = tool->pid < 0 ? -errno : 0;
    close_fd(&start->report[1]);
    if (!ret) {
        ret = read_report(start->report[0], message);
        if (ret)
            waitpid(tool->pid, NULL, 0);
    } else {
        message->ids_refused = true;
    }
    close_fd(&start->report[0]);
    return ret;
}

int tool_start(const struct tool_plan *plan, struct tool *tool, struct husk_error *err)
{
    struct start start = {.plan = plan, .out = {-1, -1}, .errors = {-1, -1}, .report = {-1, -1}};
    struct message message = {0};
    int ret = 0;

    *tool = (struct tool){.pid = -1, .output_fd = -1, .error_fd = -1};
    if (pipe2(start.out, O_CLOEXEC) < 0 || pipe2(start.errors, O_CLOEXEC) < 0)
        ret = -errno;
    for (unsigned i = 0; !ret; i++) {
        unsigned namespaces = jail_clone_flags(i);

        ret = attempt(&start, namespaces, tool, &message);
        if (ret == 0 || namespaces == 0 || !message.ids_refused)
            break;
        ret = 0; /* with fewer */
    }
    close_fd(&start.out[1]);
    close_fd(&start.errors[1]);
    if (ret) {
        close_fd(&start.out[0]);
        close_fd(&start.errors[0]);
        return error_set(err, -ret, plan->program, "cannot start the program", NULL);
    }
    tool->output_fd = start.out[0];
    tool->error_fd = start.errors[0];
    tool->is_confined = message.is_confined;
    return 0;
}
