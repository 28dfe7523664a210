// SPDX-License-Identifier: Apache-2.0
/* PID 1: mounts, modules, the mark, the command list; see init.h. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* Out of the terminal's buffer too: the kernel's own messages overtake what waits there. */
static void flush_output(void)
{
    fflush(stdout);
    tcdrain(STDOUT_FILENO);
}

void report(const char *name, const char *format, ...)
{
    va_list args;

    printf("husk-init: %s: ", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    flush_output();
}

int report_failure(const char *name, int error_number, const char *format, ...)
{
    va_list args;

    printf("husk-init: %s: FAIL ", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf(error_number ? ": %s\n" : "\n", strerror(error_number));
    flush_output();
    return -1;
}

uint64_t argument_number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    switch (*end) {
    case 'G':
        value *= 1024;
        /* fall through */
    case 'M':
        value *= 1024;
        /* fall through */
    case 'K':
        value *= 1024;
        end++;
        break;
    default:
        break;
    }
    return *end ? 0 : value;
}

void pattern_fill(uint8_t *buf, size_t len, uint64_t seed, uint64_t offset)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t at = offset + i;
        uint64_t x = (at / 8 + 1) * 0x9e3779b97f4a7c15ull ^ seed * 0xd1342543de82ef95ull;

        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        x *= 0x2545f4914f6cdd1dull;
        buf[i] = (uint8_t)(x >> (8 * (at % 8)));
    }
}

void port_write(uint16_t port, uint8_t value)
{
    if (ioperm(port, 1, 1) == 0)
        outb(value, port);
}

static void mount_or_complain(const char *type, const char *target)
{
    mkdir(target, 0755);
    if (mount(type, target, type, 0, NULL) && errno != EBUSY)
        report_failure("mount", errno, "%s", target);
}

static void load_module(char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
        report_failure("module", errno, "%s", path);
    if (fd >= 0)
        close(fd);
}

/* The initramfs lists its modules in the order of their dependencies. */
static void load_modules(void)
{
    char line[256];
    FILE *list = fopen("/modules.list", "re");

    if (!list)
        return;
    while (fgets(line, sizeof(line), list)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0])
            load_module(line);
    }
    fclose(list);
}

/* The kernel opened what was its console then; a module may have brought the one that was asked
 * for. */
static void reopen_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return;
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (fd == i)
            fcntl(fd, F_SETFD, 0);
        else
            dup2(fd, i);
    }
    if (fd > STDERR_FILENO)
        close(fd);
}

static const struct init_command *find_in(const struct init_command *table, const char *name)
{
    for (; table->name; table++) {
        if (!strcmp(table->name, name))
            return table;
    }
    return NULL;
}

static int run_command(char *text)
{
    const struct init_command *const tables[] = {init_machine_commands, init_disk_commands,
                                                 init_net_commands,     init_pci_commands,
                                                 init_vsock_commands,   init_measure_commands};
    const struct init_command *command = NULL;
    char *argv[MAX_ARGUMENTS + 1] = {NULL};
    unsigned argc = 0;

    for (char *word; (word = strsep(&text, ":")) && argc < MAX_ARGUMENTS;)
        argv[argc++] = word;
    for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]) && !command; i++)
        command = find_in(tables[i], argv[0]);
    if (!command)
        return report_failure(argv[0], 0, "no such command");
    if (argc != command->arguments + 1)
        return report_failure(argv[0], 0, "takes %u arguments", command->arguments);
    return command->run(argv);
}

/* Finds husk.run= in the kernel command line; NULL when it is not there. */
static char *command_list(char *line, size_t size)
{
    FILE *file = fopen("/proc/cmdline", "re");
    char *found = NULL;

    if (file && fgets(line, (int)size, file)) {
        for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
            if (!strncmp(word, "husk.run=", 9))
                found = word + 9;
        }
    }
    if (file)
        fclose(file);
    return found;
}

int main(void)
{
    char line[4096], nothing_asked[] = "poweroff";
    bool failed = false;
    char *commands;

    /* First of all, so that it stands for the moment at which init runs. */
    port_write(PORT_MARK, MARK_INIT);
    mount_or_complain("proc", "/proc");
    mount_or_complain("sysfs", "/sys");
    mount_or_complain("devtmpfs", "/dev");
    load_modules();
    reopen_console();

    commands = command_list(line, sizeof(line));
    if (!commands) {
        report("hello", "no husk.run= on the command line: powering off");
        commands = nothing_asked;
    }
    for (char *command; (command = strsep(&commands, ","));)
        failed |= run_command(command) != 0;

    sync();
    if (failed) {
        port_write(PORT_DEBUG_EXIT, 1);
        sleep(1); /* only reached on a monitor without that port */
    }
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}
