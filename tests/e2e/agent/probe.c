// SPDX-License-Identifier: Apache-2.0
/*
 * What a container tries that no shell can: system calls, one by name, whose result is printed as
 * "ok" or the name of the error. Static, for the root file systems of the agent's tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>
#include <netinet/in.h>

static int try_mount(char **args)
{
    return mount("tmpfs", "/mnt", "tmpfs", 0, NULL);
}

static int try_umount(char **args)
{
    return umount2(args[0], MNT_DETACH);
}

static int try_remount(char **args)
{
    return mount(NULL, args[0], NULL, MS_REMOUNT | MS_BIND, NULL);
}

static int try_unshare(char **args)
{
    return unshare((int)strtol(args[0], NULL, 0));
}

static int try_setns(char **args)
{
    int fd = open(args[0], O_RDONLY);

    return fd < 0 ? -1 : setns(fd, 0);
}

static int try_ptrace(char **args)
{
    return (int)ptrace(PTRACE_ATTACH, atoi(args[0]), NULL, NULL); // NOLINT(cert-err34-c)
}

/* The key that another container's session has, by its number. */
static int try_keyctl(char **args)
{
    char text[64];

    return (int)syscall(SYS_keyctl, KEYCTL_READ, strtol(args[0], NULL, 0), text, sizeof(text), 0);
}

static int try_key_add(char **args)
{
    long key = syscall(SYS_add_key, "user", "secret", "s3cret", 6, KEY_SPEC_SESSION_KEYRING);

    if (key >= 0)
        printf("%ld ", key);
    return (int)(key < 0 ? key : 0);
}

static int try_module(char **args)
{
    return (int)syscall(SYS_init_module, "", 0ul, "");
}

static int try_bpf(char **args)
{
    return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int try_handle(char **args)
{
    struct {
        struct file_handle handle;
        char bytes[8];
    } at = {.handle = {.handle_bytes = 8, .handle_type = 1}, .bytes = {2}};
    int root = open("/", O_RDONLY | O_DIRECTORY);

    return open_by_handle_at(root, &at.handle, O_RDONLY);
}

static int try_vsock(char **args)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK,
                                  .svm_cid = (unsigned)strtoul(args[0], NULL, 0),
                                  .svm_port = (unsigned)strtoul(args[1], NULL, 0)};
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    char byte;

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    errno = ECONNRESET;
    return read(fd, &byte, 1) > 0 ? 0 : -1;
}

/* Memory, touched, until there is no more. */
static int try_memory(char **args)
{
    for (size_t step = 1u << 20;;) {
        char *at = malloc(step);

        if (!at)
            return -1;
        memset(at, 1, step);
    }
}

/* Children that stay, until there are no more; then one line. */
static int try_fork(char **args)
{
    pid_t child;

    while ((child = fork()) > 0)
        ;
    if (child == 0) {
        for (;;)
            pause();
    }
    return -1;
}

static int listen_on(unsigned port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
        exit(3);
    printf("ready\n");
    fflush(stdout);
    return fd;
}

/* What comes goes back; after its end comes "end". */
static int try_echo(char **args)
{
    int listener = listen_on((unsigned)strtoul(args[0], NULL, 0));

    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        char bytes[4096];
        ssize_t len;

        if (fd >= 0 && fork() == 0) {
            while ((len = read(fd, bytes, sizeof(bytes))) > 0 &&
                   write(fd, bytes, (size_t)len) == len)
                ;
            (void)!write(fd, "end", 3);
            exit(0);
        }
        close(fd);
    }
}

/* Each connection is broken off after its first byte. */
static int try_reset(char **args)
{
    const struct linger reset = {.l_onoff = 1};
    int listener = listen_on((unsigned)strtoul(args[0], NULL, 0)), fd;
    char byte;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        (void)!read(fd, &byte, 1);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(fd);
    }
    return 1;
}

static const struct {
    const char *name;
    int arguments;
    int (*call)(char **args);
} table[] = {
    {"mount", 0, try_mount},     {"umount", 1, try_umount},   {"remount", 1, try_remount},
    {"unshare", 1, try_unshare}, {"setns", 1, try_setns},     {"ptrace", 1, try_ptrace},
    {"keyctl", 1, try_keyctl},   {"key-add", 0, try_key_add}, {"module", 0, try_module},
    {"bpf", 0, try_bpf},         {"handle", 0, try_handle},   {"vsock", 2, try_vsock},
    {"memory", 0, try_memory},   {"fork", 0, try_fork},       {"echo", 1, try_echo},
    {"reset", 1, try_reset},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].name, argv[1]) != 0 || argc != table[i].arguments + 2)
            continue;
        printf("%s\n", table[i].call(argv + 2) < 0 ? strerrorname_np(errno) : "ok");
        fflush(stdout);
        return 0;
    }
    return 2;
}
