// SPDX-License-Identifier: Apache-2.0
/*
 * What test_jail.py starts in a jail: says what it finds there, as lines "KEY VALUE" in /report and
 * on standard output. With --wait it then stays until it is killed. Linked statically: there is
 * nothing else in there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static FILE *report;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(report, format, args);
    va_end(args);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

static void say_rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uid_t uid[3];
    gid_t gid[3];
    unsigned bounding = 0;

    getresuid(&uid[0], &uid[1], &uid[2]);
    getresgid(&gid[0], &gid[1], &gid[2]);
    say("uid %u %u %u\ngid %u %u %u\ngroups %d\n", uid[0], uid[1], uid[2], gid[0], gid[1], gid[2],
        getgroups(0, NULL));
    syscall(SYS_capget, &header, data);
    say("capabilities %x\n", data[0].effective | data[1].effective | data[0].permitted |
                                 data[1].permitted | data[0].inheritable | data[1].inheritable);
    for (unsigned long capability = 0; capability < 64; capability++)
        bounding += prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1;
    say("bounding %u\nno_new_privs %d\n", bounding, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void say_files(const char *path)
{
    DIR *dir = opendir(path[0] ? path : "/");
    char below[512];
    struct dirent *entry;
    struct stat st;

    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(below, sizeof(below), "%.200s/%s", path, entry->d_name);
        if (lstat(below, &st) < 0)
            continue;
        say("file %s %o %u %u %u:%u\n", below, st.st_mode, st.st_uid, st.st_gid, major(st.st_rdev),
            minor(st.st_rdev));
        if (S_ISDIR(st.st_mode))
            say_files(below);
    }
    if (dir)
        closedir(dir);
}

/* What an escape would begin with. */
static void say_escapes(void)
{
    struct stat root, above;
    char cwd[256];

    say("cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
    stat("/", &root);
    stat("/../../..", &above);
    say("above_is_root %d\n", root.st_ino == above.st_ino && root.st_dev == above.st_dev);
    say("mknod %d\n", mknod("/node", S_IFCHR | 0600, makedev(1, 3)) < 0 ? errno : 0);
    say("chroot %d\n", chroot("/dev") < 0 ? errno : 0);
    say("setuid %d\n", setuid(0) < 0 ? errno : 0);
    for (const char *const *path =
             (const char *const[]){"/dev/kvm", "/dev/net/tun", "/dev/urandom", NULL};
         *path; path++) {
        int fd = open(*path, O_RDWR | O_CLOEXEC);

        say("open %s %d\n", *path, fd < 0 ? errno : 0);
        if (fd >= 0)
            close(fd);
    }
}

static void say_process(int argc, char **argv, char **environment)
{
    static const char *const names[] = {"nofile", "fsize"};
    const int limits[] = {RLIMIT_NOFILE, RLIMIT_FSIZE};
    struct if_nameindex *interfaces = if_nameindex();
    struct sigaction action;
    sigset_t blocked;
    unsigned count = 0;
    struct stat st;

    say("pid %d\nsid %d\nppid %d\n", getpid(), getsid(0), getppid());
    while (environment[count])
        count++;
    say("environment %u\n", count);
    for (int i = 0; i < argc; i++)
        say("argument %s\n", argv[i]);
    for (unsigned i = 0; i < 2; i++) {
        struct rlimit limit;

        getrlimit(limits[i], &limit);
        say("limit %s %lld %lld\n", names[i], (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    for (struct if_nameindex *at = interfaces; at && at->if_index; at++)
        say("interface %s\n", at->if_name);
    sigaction(SIGPIPE, NULL, &action);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    say("sigpipe_default %d\nblocked %d\n", action.sa_handler == SIG_DFL,
        sigismember(&blocked, SIGTERM));
    for (int fd = 0; fd < 3; fd++) {
        fstat(fd, &st);
        say("stream %d %o %u:%u\n", fd, st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev));
    }
}

int main(int argc, char **argv, char **environment)
{
    char open_fds[4096] = "";

    for (int fd = 3; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            snprintf(open_fds + strlen(open_fds), sizeof(open_fds) - strlen(open_fds), " %d", fd);
    }
    report = fopen("/report", "w");
    if (!report)
        return 1;
    say("descriptors%s\n", open_fds);
    say_rights();
    say_files("");
    say_escapes();
    say_process(argc, argv, environment);
    say("end \n");
    fclose(report);
    fflush(stdout);
    while (!strcmp(argv[argc - 1], "--wait"))
        pause();
    return 42;
}
