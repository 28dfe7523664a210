// SPDX-License-Identifier: Apache-2.0
/*
 * PID 1 of the lab machine: makes the root directory, runs one command in it, carries the command's
 * standard streams over virtio-serial ports, and reports its exit status.
 *
 * The root directory is the host's own, read-only through 9p with changes in a tmpfs above it, or
 * what the initial RAM disk carries below /newroot. /command says which; its NUL-separated words
 * are:
 *
 *     root ("host" or "carried"), standard input ("port" or "null"), the host's directory with
 * kernel modules or "", the working directory, number of arguments, arguments, number of files to
 * copy out, these files, environment
 *
 * At the end the port "control" gets one line: exit status, bytes of standard output, bytes of
 * standard error. The machine is stopped from outside once these bytes have arrived; powering off
 * from here could overtake them. One thread; all state is on the stack of main.
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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEW_ROOT   "/newroot"
#define SHARE      "/run/lab" /* a directory of the host that takes the files copied out */
#define STATUS_LAB 125

/* 512000 is the most that 9p's virtio transport takes. Loose caching: nobody else writes. */
#define SHARE_OPTIONS "trans=virtio,version=9p2000.L,msize=512000"
#define ROOT_OPTIONS  SHARE_OPTIONS ",cache=loose"

/* Standard error is the console, hence the machine's log, which is shown when no status comes. */
static _Noreturn void die(const char *what)
{
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

struct command {
    char *root;
    char *input;
    char *modules;
    char *directory;
    char **argv;
    char **outs;
    char **envp;
};

/* The whole of a file and a NUL after it. */
static char *read_file(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *text;
    size_t at = 0;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st))
        die(path);
    text = malloc((size_t)st.st_size + 1);
    if (!text)
        die(path);
    while (at < (size_t)st.st_size && (n = read(fd, text + at, (size_t)st.st_size - at)) > 0)
        at += (size_t)n;
    text[at] = '\0';
    close(fd);
    *size = at;
    return text;
}

static char *take_word(char **at, const char *end)
{
    char *word = *at;

    if (word >= end) {
        errno = EINVAL;
        die("/command");
    }
    *at += strlen(word) + 1;
    return word;
}

static char **take_words(char **at, const char *end, size_t count)
{
    char **words = calloc(count + 1, sizeof(*words));

    if (!words)
        die("/command");
    for (size_t i = 0; i < count; i++)
        words[i] = take_word(at, end);
    return words;
}

static void read_command(struct command *command)
{
    size_t size, variables = 0;
    char *at = read_file("/command", &size);
    const char *end = at + size;

    command->root = take_word(&at, end);
    command->input = take_word(&at, end);
    command->modules = take_word(&at, end);
    command->directory = take_word(&at, end);
    command->argv = take_words(&at, end, strtoul(take_word(&at, end), NULL, 10));
    if (!command->argv[0]) {
        errno = EINVAL;
        die("/command");
    }
    command->outs = take_words(&at, end, strtoul(take_word(&at, end), NULL, 10));
    for (const char *p = at; p < end; p++)
        variables += *p == '\0';
    command->envp = take_words(&at, end, variables);
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
        if (fd >= 0)
            close(fd);
    }
    if (list)
        fclose(list);
}

/* Opening one of these loads its driver, when that is a module. */
static void make_node(const char *path, unsigned major, unsigned minor)
{
    if (mknod(path, S_IFCHR | 0600, makedev(major, minor)) && errno != EEXIST)
        die(path);
}

static void make_devices(void)
{
    mount_at("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    mount_at("devpts", "/dev/pts", "devpts", 0, "ptmxmode=666");
    mount_at("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777");
    mkdir("/dev/net", 0755);
    make_node("/dev/net/tun", 10, 200);
    make_node("/dev/vhost-net", 10, 238);
    make_node("/dev/vhost-vsock", 10, 241);
    make_node("/dev/fuse", 10, 229);
    make_node("/dev/loop-control", 10, 237);
    if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
        die("/dev/fd");
    if (symlink("/proc/self/fd/1", "/dev/stdout") && errno != EEXIST)
        die("/dev/stdout");
    if (symlink("/proc/self/fd/2", "/dev/stderr") && errno != EEXIST)
        die("/dev/stderr");
}

static void make_root(const struct command *command)
{
    if (!strcmp(command->root, "host")) {
        mount_at("root", "/lower", "9p", MS_RDONLY, ROOT_OPTIONS);
        mount_at("tmpfs", "/changes", "tmpfs", 0, "size=90%");
        mkdir("/changes/upper", 0755);
        mkdir("/changes/work", 0755);
        mount_at("overlay", NEW_ROOT, "overlay", 0,
                 "lowerdir=/lower,upperdir=/changes/upper,workdir=/changes/work,xino=off,index=off,"
                 "metacopy=off,redirect_dir=off");
    } else {
        /* A mount of its own, since pivot_root refuses the initial RAM disk's. */
        mount_at(NEW_ROOT, NEW_ROOT, NULL, MS_BIND, NULL);
    }
    if (chdir(NEW_ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
        die("changing the root");
    mkdir("/tmp", 01777);
    chmod("/tmp", 01777);
    mount_at("tmpfs", "/run", "tmpfs", 0, "mode=755");
    mount_at("proc", "/proc", "proc", 0, NULL);
    mount_at("sysfs", "/sys", "sysfs", 0, NULL);
    make_devices();
    mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
    /* Not in every kernel. */
    mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
    mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
    if (command->modules[0]) {
        mkdir("/lib/modules", 0755);
        if (mount(command->modules, "/lib/modules", NULL, MS_BIND, NULL))
            die(command->modules);
    }
}

static void bring_loopback_up(void)
{
    struct ifreq ifr = {.ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(ifr.ifr_name, "lo", 3);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
        die("lo");
    close(fd);
}

/* Opens a virtio-serial port by the name it has on QEMU's command line. */
static int open_port(const char *name, int flags)
{
    DIR *dir = opendir("/sys/class/virtio-ports");
    struct dirent *entry;
    int found = -1;

    errno = ENODEV;
    while (dir && found < 0 && (entry = readdir(dir))) {
        char path[320], text[64] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/sys/class/virtio-ports/%.64s/name", entry->d_name);
        file = fopen(path, "re");
        if (!file)
            continue;
        if (fgets(text, sizeof(text), file) &&
            (text[strcspn(text, "\n")] = '\0', !strcmp(text, name))) {
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

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno != EINTR)
            die("writing to a port");
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

/* Standard output or error on its way from the command (a pipe) to the host (a port). */
struct output {
    int pipe;
    int port;
    unsigned long long moved_bytes;
};

/* Standard input on its way from the host (a port, or -1) to the command (a non-blocking pipe). */
struct input {
    int port;
    int pipe;
    char data[4096];
    size_t at, size;
};

static void end_input(struct input *input)
{
    close(input->port);
    close(input->pipe);
    input->port = input->pipe = -1;
    input->at = input->size = 0;
}

static void pump_input(struct input *input)
{
    ssize_t n;

    if (input->at == input->size) {
        n = read(input->port, input->data, sizeof(input->data));
        if (n > 0) {
            input->at = 0;
            input->size = (size_t)n;
        }
    } else {
        n = write(input->pipe, input->data + input->at, input->size - input->at);
        if (n > 0)
            input->at += (size_t)n;
    }
    /* No more comes from the host, or the command closed its end. */
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end_input(input);
}

static void pump_output(struct output *output)
{
    char data[16384];
    ssize_t n = read(output->pipe, data, sizeof(data));

    if (n > 0) {
        write_all(output->port, data, (size_t)n);
        output->moved_bytes += (unsigned long long)n;
    } else if (n == 0) {
        close(output->pipe);
        output->pipe = -1;
    }
}

/* What the command wrote before it ended; a process that it left behind may go on writing. */
static void drain_output(struct output *output)
{
    unsigned long long end;
    int ready = 0;

    if (output->pipe < 0 || ioctl(output->pipe, FIONREAD, &ready))
        return;
    end = output->moved_bytes + (unsigned long long)ready;
    while (output->pipe >= 0 && output->moved_bytes < end)
        pump_output(output);
}

/* Moves the streams until the command has ended. Returns its status as a shell has it. */
static int carry(pid_t command, int signals, struct input *input, struct output outputs[2])
{
    for (;;) {
        int idle = input->at == input->size, status;
        struct pollfd fds[] = {{.fd = idle ? input->port : -1, .events = POLLIN},
                               {.fd = idle ? -1 : input->pipe, .events = POLLOUT},
                               {.fd = outputs[0].pipe, .events = POLLIN},
                               {.fd = outputs[1].pipe, .events = POLLIN},
                               {.fd = signals, .events = POLLIN}};
        struct signalfd_siginfo info;
        pid_t pid;

        if (poll(fds, 5, -1) < 0)
            die("poll");
        if (fds[0].revents || fds[1].revents)
            pump_input(input);
        for (int i = 0; i < 2; i++) {
            if (fds[2 + i].revents)
                pump_output(&outputs[i]);
        }
        if (!fds[4].revents || read(signals, &info, sizeof(info)) < 0)
            continue;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            if (pid != command)
                continue; /* an orphan of the command */
            drain_output(&outputs[0]);
            drain_output(&outputs[1]);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}

static void run(const struct command *command, const int ends[3])
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    for (int i = 0; i < 3; i++)
        dup2(ends[i], i);
    if (!strcmp(command->root, "carried"))
        mkdir(command->directory, 0755);
    if (chdir(command->directory)) {
        fprintf(stderr, "lab: %s: %s (inside the lab)\n", command->directory, strerror(errno));
        _exit(STATUS_LAB);
    }
    environ = command->envp;
    execvp(command->argv[0], command->argv);
    {
        int status = errno == ENOENT ? 127 : 126;

        fprintf(stderr, "lab: %s: %s\n", command->argv[0], strerror(errno));
        _exit(status);
    }
}

/* Copies to SHARE/0, SHARE/1 and so on. What cp has to say goes to the machine's log. */
static void copy_out(const struct command *command)
{
    if (command->outs[0])
        mount_at("share", SHARE, "9p", 0, SHARE_OPTIONS);
    for (unsigned i = 0; command->outs[i]; i++) {
        char target[64];
        pid_t pid;

        snprintf(target, sizeof(target), SHARE "/%u", i);
        pid = fork();
        if (pid == 0) {
            if (chdir(command->directory) == 0)
                execl("/bin/cp", "cp", "-R", "--sparse=always", "--", command->outs[i], target,
                      NULL);
            die("/bin/cp");
        }
        if (pid < 0 || waitpid(pid, NULL, 0) < 0)
            die("copying out");
    }
}

int main(void)
{
    static struct command command;
    struct input input = {.port = -1};
    struct output outputs[2];
    int control, signals, ends[3], pair[2], status;
    sigset_t child_ended;
    pid_t pid;

    mount("proc", "/proc", "proc", 0, NULL);
    read_command(&command);
    load_modules();
    make_root(&command);
    if (sethostname("lab", 3))
        die("sethostname");
    bring_loopback_up();

    control = open_port("control", O_WRONLY);
    if (!strcmp(command.input, "port")) {
        input.port = open_port("stdin", O_RDONLY | O_NONBLOCK);
        if (pipe2(pair, O_CLOEXEC) || fcntl(pair[1], F_SETFL, O_NONBLOCK))
            die("pipe");
        ends[0] = pair[0];
        input.pipe = pair[1];
    } else {
        ends[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (int i = 0; i < 2; i++) {
        if (pipe2(pair, O_CLOEXEC))
            die("pipe");
        outputs[i] = (struct output){.pipe = pair[0],
                                     .port = open_port(i == 0 ? "stdout" : "stderr", O_WRONLY)};
        ends[1 + i] = pair[1];
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ended, NULL);
    signals = signalfd(-1, &child_ended, SFD_CLOEXEC);
    if (signals < 0)
        die("signalfd");

    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        run(&command, ends);
    for (int i = 0; i < 3; i++)
        close(ends[i]);
    status = carry(pid, signals, &input, outputs);
    copy_out(&command);
    dprintf(control, "%d %llu %llu\n", status, outputs[0].moved_bytes, outputs[1].moved_bytes);
    for (;;)
        pause();
}
