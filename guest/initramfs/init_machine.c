// SPDX-License-Identifier: Apache-2.0
/* Commands about the machine: its shape, its end, its console and buttons. */
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

static int run_cpus(char **argv)
{
    report(argv[0], "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    return 0;
}

static int run_memory(char **argv)
{
    struct sysinfo info;

    if (sysinfo(&info))
        return report_failure(argv[0], errno, "sysinfo");
    report(argv[0], "%llu", (unsigned long long)info.totalram * info.mem_unit / 1024);
    return 0;
}

static int run_kernel(char **argv)
{
    struct utsname name;

    uname(&name);
    report(argv[0], "%s", name.release);
    return 0;
}

static int run_poweroff(char **argv)
{
    sync();
    reboot(RB_POWER_OFF);
    return report_failure(argv[0], errno, "still running");
}

static int run_reboot(char **argv)
{
    sync();
    reboot(RB_AUTOBOOT);
    return report_failure(argv[0], errno, "still running");
}

static int run_panic(char **argv)
{
    int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "c", 1) != 1)
        return report_failure(argv[0], errno, "/proc/sysrq-trigger");
    sleep(10);
    return report_failure(argv[0], 0, "still running");
}

static int run_exit(char **argv)
{
    port_write(PORT_DEBUG_EXIT, (uint8_t)strtoul(argv[1], NULL, 10));
    sleep(10);
    return report_failure(argv[0], 0, "still running");
}

static int run_sleep(char **argv)
{
    sleep((unsigned)strtoul(argv[1], NULL, 10));
    report(argv[0], "ok");
    return 0;
}

/* Clock readings must never go backwards, on any CPU. */
static int run_clock(char **argv)
{
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < 10000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &b);
        if (b.tv_sec < a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec < a.tv_nsec))
            return report_failure(argv[0], 0, "monotonic time went back");
        a = b;
    }
    clock_gettime(CLOCK_REALTIME, &a);
    report(argv[0], "%lld", (long long)a.tv_sec);
    return 0;
}

static int run_rng(char **argv)
{
    unsigned char bytes[64] = {0};
    unsigned nonzero = 0;
    int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return report_failure(argv[0], errno, "/dev/hwrng");
    if (read(fd, bytes, sizeof(bytes)) <= 0) {
        close(fd);
        return report_failure(argv[0], errno, "reading /dev/hwrng");
    }
    close(fd);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        nonzero += bytes[i] != 0;
    if (nonzero < 16)
        return report_failure(argv[0], 0, "only %u of 64 bytes are not zero", nonzero);
    report(argv[0], "ok");
    return 0;
}

static int run_console_size(char **argv)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
        return report_failure(argv[0], errno, "TIOCGWINSZ");
    report(argv[0], "%ux%u", size.ws_col, size.ws_row);
    return 0;
}

static int run_echo(char **argv)
{
    char line[256];

    report("ready", "echo");
    if (!fgets(line, sizeof(line), stdin))
        return report_failure(argv[0], 0, "end of input");
    line[strcspn(line, "\r\n")] = '\0';
    report(argv[0], "%s", line);
    return 0;
}

/* Whether this input device can send the key. */
static int has_key(int fd, unsigned key)
{
    unsigned char bits[KEY_MAX / 8 + 1] = {0};

    return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(bits)), bits) >= 0 && (bits[key / 8] >> key % 8 & 1);
}

/* Opens every input device that can send the key: a keyboard may, beside the button. */
static unsigned open_key_devices(unsigned key, struct pollfd *fds, unsigned max)
{
    unsigned count = 0;
    char path[64];

    for (int i = 0; i < 32 && count < max; i++) {
        int fd;

        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && has_key(fd, key))
            fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        else if (fd >= 0)
            close(fd);
    }
    return count;
}

static int run_wait_power_button(char **argv)
{
    struct input_event event;
    struct pollfd fds[8];
    unsigned count = open_key_devices(KEY_POWER, fds, 8);
    bool pressed = false;

    if (count == 0)
        return report_failure(argv[0], 0, "no input device has a power key");
    report("ready", "power-button");
    while (!pressed && poll(fds, count, -1) > 0) {
        for (unsigned i = 0; i < count; i++)
            pressed |= (fds[i].revents & POLLIN) &&
                       read(fds[i].fd, &event, sizeof(event)) == (ssize_t)sizeof(event) &&
                       event.type == EV_KEY && event.code == KEY_POWER && event.value == 1;
    }
    for (unsigned i = 0; i < count; i++)
        close(fds[i].fd);
    if (!pressed)
        return report_failure(argv[0], errno, "waiting for the power key");
    report(argv[0], "pressed");
    return 0;
}

/* With Ctrl-Alt-Del disabled as an instant reset, the kernel sends PID 1 a SIGINT instead. */
static int run_wait_ctrl_alt_del(char **argv)
{
    sigset_t set;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    reboot(RB_DISABLE_CAD);
    report("ready", "ctrl-alt-del");
    sigwait(&set, &number);
    report(argv[0], "pressed");
    return 0;
}

static int run_sh(char **argv)
{
    pid_t pid = fork();

    if (pid == 0) {
        setsid();
        ioctl(STDIN_FILENO, TIOCSCTTY, 1);
        execl("/bin/busybox", "sh", NULL);
        _exit(127);
    }
    while (pid > 0 && wait(NULL) != pid)
        ;
    return 0;
}

static int run_demo(char **argv)
{
    struct utsname name;
    struct sysinfo info;
    unsigned long long sectors = 0;
    char text[512] = "";
    FILE *size = fopen("/sys/class/block/vda/size", "re");
    int fd;

    uname(&name);
    sysinfo(&info);
    printf("\nHello from a husk microVM.\n");
    printf("  kernel  Linux %s\n", name.release);
    printf("  CPUs    %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    printf("  memory  %llu MiB\n", (unsigned long long)info.totalram * info.mem_unit >> 20);
    if (!size || fscanf(size, "%llu", &sectors) != 1)
        return report_failure(argv[0], 0, "there is no disk /dev/vda");
    fclose(size);
    fd = open("/dev/vda", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return report_failure(argv[0], errno, "reading /dev/vda");
    close(fd);
    text[strcspn(text, "\n")] = '\0';
    printf("  disk    /dev/vda, %llu KiB, says: %s\n\n", sectors / 2, text);
    fflush(stdout);
    tcdrain(STDOUT_FILENO);
    return 0;
}

const struct init_command init_machine_commands[] = {
    {"demo", 0, run_demo},
    {"cpus", 0, run_cpus},
    {"memory", 0, run_memory},
    {"kernel", 0, run_kernel},
    {"clock", 0, run_clock},
    {"poweroff", 0, run_poweroff},
    {"reboot", 0, run_reboot},
    {"panic", 0, run_panic},
    {"exit", 1, run_exit},
    {"sleep", 1, run_sleep},
    {"rng", 0, run_rng},
    {"echo", 0, run_echo},
    {"console-size", 0, run_console_size},
    {"wait-power-button", 0, run_wait_power_button},
    {"wait-ctrl-alt-del", 0, run_wait_ctrl_alt_del},
    {"sh", 0, run_sh},
    {NULL, 0, NULL},
};
