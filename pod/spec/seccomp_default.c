// SPDX-License-Identifier: Apache-2.0
/*
 * The default filter: which system calls a container may make.
 *
 * What is not here fails with EPERM. Left out on purpose: whatever changes the machine for all
 * (modules, clocks, swap, reboot, accounting), has been a way out of containers again and again
 * (user and mount namespaces, keyrings, BPF, userfaultfd, io_uring, perf), or is of no use to
 * ordinary programs. Some come back with the capability that they are about. It allows what docker
 * and containerd allow, because images are made for that.
 *
 * A guest's kernel is the container's alone, so that this is a second wall, behind which stands
 * that of the machine. One rule protects the first: a socket of AF_VSOCK would reach the agent's
 * host.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "pod/spec/seccomp.h"

struct comparison {
    unsigned index;
    uint64_t value, value_two;
    const char *op;
};

struct rule {
    const char *names;                /* separated by blanks */
    const char *capability, *without; /* must, must not be in the bounding set */
    const char *machines;             /* only on these */
    const struct comparison *argument;
    int error; /* not allowed, but fails with this */
};

/* Clone flags that make namespaces, but for those of time (which shares its bit with the signal).
 */
#define NAMESPACES                                                                                \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)

static const struct comparison no_vsock = {0, AF_VSOCK, 0, "SCMP_CMP_NE"};
static const struct comparison no_namespaces = {0, NAMESPACES, 0, "SCMP_CMP_MASKED_EQ"};
static const struct comparison personalities[] = {
    {0, PER_LINUX, 0, "SCMP_CMP_EQ"},  {0, PER_LINUX32, 0, "SCMP_CMP_EQ"},
    {0, UNAME26, 0, "SCMP_CMP_EQ"},    {0, PER_LINUX32 | UNAME26, 0, "SCMP_CMP_EQ"},
    {0, 0xffffffff, 0, "SCMP_CMP_EQ"}, /* asks what it is */
};

static const struct rule rules[] = {
    /* Files: opening, reading, writing. */
    {.names = "open openat openat2 creat close close_range read readv pread64 preadv preadv2 write "
              "writev pwrite64 pwritev pwritev2 lseek _llseek sendfile sendfile64 copy_file_range "
              "splice tee vmsplice readahead fadvise64 fadvise64_64 sync sync_file_range syncfs "
              "fsync fdatasync truncate truncate64 ftruncate ftruncate64 fallocate fcntl fcntl64 "
              "flock ioctl dup dup2 dup3 pipe pipe2 umask"},
    /* Files: names, attributes, directories. */
    {.names =
         "access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 fstatat64 "
         "newfstatat statx statfs statfs64 fstatfs fstatfs64 statmount listmount chmod fchmod "
         "fchmodat fchmodat2 chown chown32 lchown lchown32 fchown fchown32 fchownat utime utimes "
         "futimesat utimensat utimensat_time64 link linkat symlink symlinkat readlink "
         "readlinkat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat "
         "chdir fchdir getcwd getdents getdents64 name_to_handle_at getxattr lgetxattr fgetxattr "
         "getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr "
         "listxattrat removexattr lremovexattr fremovexattr removexattrat inotify_init "
         "inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark"},
    /* Memory. */
    {.names = "brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall "
              "munlock munlockall mseal membarrier memfd_create memfd_secret map_shadow_stack "
              "pkey_alloc pkey_free pkey_mprotect remap_file_pages process_mrelease"},
    /* Processes and threads. */
    {.names =
         "fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid "
         "getpgid getpgrp setpgid getsid setsid kill tkill tgkill pidfd_open "
         "pidfd_send_signal prctl seccomp set_tid_address set_robust_list get_robust_list futex "
         "futex_time64 futex_waitv futex_wait futex_wake futex_requeue rseq restart_syscall "
         "set_thread_area get_thread_area uretprobe"},
    {.names = "ptrace process_vm_readv process_vm_writev"},
    /* Signals. */
    {.names = "rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait "
              "rt_sigtimedwait_time64 rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn sigaltstack "
              "sigprocmask sigreturn signalfd signalfd4 pause"},
    /* Users, groups, rights. */
    {.names =
         "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid "
         "getresuid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 "
         "setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 "
         "setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32 capget capset "
         "landlock_create_ruleset landlock_add_rule landlock_restrict_self"},
    /* Limits and scheduling. */
    {.names =
         "getrlimit ugetrlimit setrlimit prlimit64 getrusage getpriority setpriority ioprio_get "
         "ioprio_set sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr "
         "sched_getparam sched_setparam sched_getscheduler sched_setscheduler "
         "sched_get_priority_max sched_get_priority_min sched_rr_get_interval "
         "sched_rr_get_interval_time64 getcpu"},
    /* Time; setting it needs a capability that is not given, and fails by itself. */
    {.names = "time times gettimeofday clock_gettime clock_gettime64 clock_getres "
              "clock_getres_time64 clock_nanosleep clock_nanosleep_time64 nanosleep adjtimex "
              "clock_adjtime clock_adjtime64 alarm getitimer setitimer timer_create timer_delete "
              "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 "
              "timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64"},
    /* Waiting for several things. */
    {.names =
         "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create "
         "epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 "
         "eventfd eventfd2 io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents "
         "io_pgetevents_time64"},
    /* Sockets. */
    {.names = "socketcall socketpair bind connect listen accept accept4 getsockname getpeername "
              "getsockopt setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg "
              "recvmmsg_time64 shutdown"},
    {.names = "socket", .argument = &no_vsock},
    /* System V and POSIX communication. */
    {.names =
         "ipc msgget msgsnd msgrcv msgctl semget semop semtimedop semtimedop_time64 semctl shmget "
         "shmat shmdt shmctl mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive "
         "mq_timedreceive_time64 mq_notify mq_getsetattr"},
    /* The system. */
    {.names = "uname sysinfo getrandom cachestat"},
    {.names = "personality", .argument = &personalities[0]},
    {.names = "personality", .argument = &personalities[1]},
    {.names = "personality", .argument = &personalities[2]},
    {.names = "personality", .argument = &personalities[3]},
    {.names = "personality", .argument = &personalities[4]},
    /* Machines. */
    {.names = "arch_prctl", .machines = "amd64 x32"},
    {.names = "modify_ldt", .machines = "amd64 x32 x86"},
    {.names = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
     .machines = "arm arm64"},
    /* Without the right to make namespaces, threads and processes all the same. What clone3() asks
     * for is in memory, where no filter looks: "no such call" makes C libraries use clone(). */
    {.names = "clone", .without = "SYS_ADMIN", .argument = &no_namespaces},
    {.names = "clone3", .without = "SYS_ADMIN", .error = ENOSYS},
    /* With a capability. */
    {.names = "open_by_handle_at", .capability = "DAC_READ_SEARCH"},
    {.names =
         "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
         "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount "
         "open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog "
         "umount umount2 unshare",
     .capability = "SYS_ADMIN"},
    {.names = "reboot", .capability = "SYS_BOOT"},
    {.names = "chroot", .capability = "SYS_CHROOT"},
    {.names = "init_module finit_module delete_module", .capability = "SYS_MODULE"},
    {.names = "acct", .capability = "SYS_PACCT"},
    {.names = "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
     .capability = "SYS_PTRACE"},
    {.names = "iopl ioperm", .capability = "SYS_RAWIO"},
    {.names = "settimeofday stime clock_settime clock_settime64", .capability = "SYS_TIME"},
    {.names = "vhangup", .capability = "SYS_TTY_CONFIG"},
    {.names = "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
     .capability = "SYS_NICE"},
    {.names = "syslog", .capability = "SYSLOG"},
    {.names = "bpf", .capability = "BPF"},
    {.names = "perf_event_open", .capability = "PERFMON"},
};

/* The words of a text as an array. */
static json_t *words(const char *text, const char *prefix)
{
    json_t *array = json_array();
    int ret = array ? 0 : -1;

    while (*text && !ret) {
        size_t len = strcspn(text, " ");

        ret = json_array_append_new(array, json_sprintf("%s%.*s", prefix, (int)len, text));
        text += len + (text[len] == ' ');
    }
    if (ret) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *condition(const char *key, const char *text, const char *prefix)
{
    return json_pack("{s:o}", key, words(text, prefix));
}

static json_t *rule_json(const struct rule *rule)
{
    json_t *object = json_pack("{s:o, s:s}", "names", words(rule->names, ""), "action",
                               rule->error ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW");
    const struct comparison *argument = rule->argument;
    int ret = object ? 0 : -1;

    if (!ret && rule->error)
        ret = json_object_set_new(object, "errnoRet", json_integer(rule->error));
    if (!ret && argument)
        ret = json_object_set_new(object, "args",
                                  json_pack("[{s:i, s:I, s:I, s:s}]", "index", argument->index,
                                            "value", (json_int_t)argument->value, "valueTwo",
                                            (json_int_t)argument->value_two, "op", argument->op));
    if (!ret && rule->capability)
        ret = json_object_set_new(object, "includes", condition("caps", rule->capability, "CAP_"));
    if (!ret && rule->machines)
        ret = json_object_set_new(object, "includes", condition("arches", rule->machines, ""));
    if (!ret && rule->without)
        ret = json_object_set_new(object, "excludes", condition("caps", rule->without, "CAP_"));
    if (ret) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *seccomp_default(void)
{
    json_t *list = json_array();
    int ret = list ? 0 : -1;

    for (size_t i = 0; i < ARRAY_SIZE(rules) && !ret; i++)
        ret = json_array_append_new(list, rule_json(&rules[i]));
    if (ret) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:s, s:i, s:[{s:s, s:[s,s]}, {s:s, s:[s]}], s:o}", "defaultAction",
                     "SCMP_ACT_ERRNO", "defaultErrnoRet", EPERM, "archMap", "architecture",
                     "SCMP_ARCH_X86_64", "subArchitectures", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
                     "architecture", "SCMP_ARCH_AARCH64", "subArchitectures", "SCMP_ARCH_ARM",
                     "syscalls", list);
}
