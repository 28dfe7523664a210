// SPDX-License-Identifier: Apache-2.0
/*
 * PID 1 of the lab machine: makes the host's file system its own (read-only through 9p, changes in
 * a tmpfs above it), runs one command in the same directory and environment, carries its three
 * standard streams over virtio-serial ports, stores its exit status, and powers off.
 *
 * The writable share /run/lab comes from tests/lab/run: `command` holds the NUL-separated
 * directory, number of arguments, arguments and environment; `status` is written at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEW_ROOT     "/newroot"
#define MAX_WORDS    4096
#define STATUS_LAB   125
#define COPY_OPTIONS "trans=virtio,version=9p2000.L,msize=1048576"

static void die(const char *what)
{
    /* The machine's log is what tests/lab/run shows when no status was stored. */
    fprintf(stderr, "lab-init: %s: %s\n", what, strerror(errno));
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static void mount_at(const char *source, const char *target, const char *type, unsigned long flags,
                     const char *options)
{
    mkdir(target, 0755);
    if (mount(source, target, type, flags, options))
        die(target);
}

static void load_modules(void)
{
    char path[256];
    FILE *list = fopen("/modules.list", "re");

    while (list && fgets(path, sizeof(path), list)) {
        int fd;

        path[strcspn(path, "\n")] = '\0';
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
            fprintf(stderr, "lab-init: module %s: %s\n", path, strerror(errno));
        close(fd);
    }
    if (list)
        fclose(list);
}

static void make_root(void)
{
    mount_at("root", "/lower", "9p", MS_RDONLY, COPY_OPTIONS ",cache=loose");
    mount_at("tmpfs", "/changes", "tmpfs", 0, "size=90%");
    mkdir("/changes/upper", 0755);
    mkdir("/changes/work", 0755);
    mount_at("overlay", NEW_ROOT, "overlay", 0,
             "lowerdir=/lower,upperdir=/changes/upper,workdir=/changes/work,xino=off,index=off,"
             "metacopy=off,redirect_dir=off");
    mount_at("tmpfs", NEW_ROOT "/run", "tmpfs", 0, "mode=755");
    mount_at("share", NEW_ROOT "/run/lab", "9p", 0, COPY_OPTIONS);
    mount_at("proc", NEW_ROOT "/proc", "proc", 0, NULL);
    mount_at("sysfs", NEW_ROOT "/sys", "sysfs", 0, NULL);
    mount_at("devtmpfs", NEW_ROOT "/dev", "devtmpfs", 0, NULL);
    mount_at("devpts", NEW_ROOT "/dev/pts", "devpts", 0, "ptmxmode=666");
    mount_at("tmpfs", NEW_ROOT "/dev/shm", "tmpfs", 0, NULL);
    mount("cgroup2", NEW_ROOT "/sys/fs/cgroup", "cgroup2", 0, NULL);
    mount("securityfs", NEW_ROOT "/sys/kernel/security", "securityfs", 0, NULL);
    if (chdir(NEW_ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
        die("changing the root");
    if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
        die("/dev/fd");
}

static void bring_loopback_up(void)
{
    struct ifreq ifr = {.ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(ifr.ifr_name, "lo", 3);
    ioctl(fd, SIOCSIFFLAGS, &ifr);
    close(fd);
}

/* Opens the virtio-serial port that tests/lab/run named. */
static int open_port(const char *name, int flags)
{
    DIR *dir = opendir("/sys/class/virtio-ports");
    struct dirent *entry;
    int found = -1;

    while (dir && found < 0 && (entry = readdir(dir))) {
        char path[320], text[64] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/sys/class/virtio-ports/%.64s/name", entry->d_name);
        file = fopen(path, "re");
        if (!file)
            continue;
        if (fgets(text, sizeof(text), file) && !strncmp(text, name, strlen(name))) {
            snprintf(path, sizeof(path), "/dev/%.64s", entry->d_name);
            found = open(path, flags | O_CLOEXEC);
        }
        fclose(file);
    }
    if (dir)
        closedir(dir);
    if (found < 0)
        die(name);
    return found;
}

struct command {
    char *directory;
    char *argv[MAX_WORDS];
    char *envp[MAX_WORDS];
};

static void read_command(struct command *command)
{
    static char text[1 << 20];
    unsigned words = 0, count;
    int fd = open("/run/lab/command", O_RDONLY | O_CLOEXEC);
    ssize_t size = 0, n;
    char *at = text;

    while (fd >= 0 && (n = read(fd, text + size, sizeof(text) - 1 - (size_t)size)) > 0)
        size += n;
    if (fd < 0 || size == 0)
        die("/run/lab/command");
    close(fd);
    command->directory = at;
    at += strlen(at) + 1;
    count = (unsigned)atoi(at);
    at += strlen(at) + 1;
    for (; words < count && words < MAX_WORDS - 1; at += strlen(at) + 1)
        command->argv[words++] = at;
    for (words = 0; at < text + size && words < MAX_WORDS - 1; at += strlen(at) + 1)
        command->envp[words++] = at;
}

static pid_t start(const struct command *command, int child_ends[3])
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    setsid();
    for (int i = 0; i < 3; i++)
        dup2(child_ends[i], i);
    if (chdir(command->directory)) {
        fprintf(stderr, "lab: %s: %s\n", command->directory, strerror(errno));
        _exit(STATUS_LAB);
    }
    for (char *const *variable = command->envp; *variable; variable++)
        putenv(*variable);
    execvp(command->argv[0], command->argv);
    fprintf(stderr, "lab: %s: %s\n", command->argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n <= 0 && errno != EINTR)
            return;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
}

/* Moves what is there. Returns 0 at the end of the stream. */
static int pump(int from, int to)
{
    char data[16384];
    ssize_t n = read(from, data, sizeof(data));

    if (n > 0)
        write_all(to, data, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Carries the streams until the command has ended and its output is drained. Returns its status. */
static int carry(pid_t pid, int ports[3], int ends[3])
{
    struct pollfd fds[3] = {{.fd = ports[0], .events = POLLIN},
                            {.fd = ends[1], .events = POLLIN},
                            {.fd = ends[2], .events = POLLIN}};
    int status = 0, ended = 0;

    for (;;) {
        int busy = poll(fds, 3, ended ? 0 : 20);

        if (fds[0].revents && !pump(ports[0], ends[0])) {
            close(ends[0]);
            fds[0].fd = -1;
        }
        for (int i = 1; i < 3; i++) {
            if (fds[i].revents && !pump(ends[i], ports[i]))
                fds[i].fd = -1;
        }
        if (ended && (busy == 0 || (fds[1].fd < 0 && fds[2].fd < 0)))
            break;
        for (pid_t gone; !ended && (gone = waitpid(-1, &status, WNOHANG)) > 0;)
            ended = gone == pid;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void store_status(int status)
{
    FILE *file = fopen("/run/lab/status.partial", "we");

    if (!file)
        die("/run/lab/status");
    fprintf(file, "%d\n", status);
    if (fclose(file) || rename("/run/lab/status.partial", "/run/lab/status"))
        die("/run/lab/status");
}

int main(void)
{
    static struct command command;
    int ports[3], pipes[3][2], child_ends[3], own_ends[3];
    pid_t pid;

    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    load_modules();
    make_root();
    if (sethostname("lab", 3))
        die("sethostname");
    bring_loopback_up();
    read_command(&command);
    ports[0] = open_port("stdin", O_RDONLY | O_NONBLOCK);
    ports[1] = open_port("stdout", O_WRONLY);
    ports[2] = open_port("stderr", O_WRONLY);
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC))
            die("pipe");
        child_ends[i] = pipes[i][i == 0 ? 0 : 1];
        own_ends[i] = pipes[i][i == 0 ? 1 : 0];
    }
    signal(SIGPIPE, SIG_IGN);
    pid = start(&command, child_ends);
    if (pid < 0)
        die("fork");
    for (int i = 0; i < 3; i++)
        close(child_ends[i]);
    store_status(carry(pid, ports, own_ends));
    sync();
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}
