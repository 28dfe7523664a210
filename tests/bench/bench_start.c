// SPDX-License-Identifier: Apache-2.0
/*
 * Start-up time of a monitor, beside a peer, in one run: the time from just before the process is
 * made (fork + exec) until the first byte that the guest prints arrives on standard output, and
 * until the process has ended. The guest is bare metal: its first instructions write one byte to
 * COM1 and then end the machine through port 0xf4, so the first byte stands for the first guest
 * instruction.
 *
 *   bench_start RUNS NAME COMMAND [-- NAME COMMAND]...
 *
 * COMMAND is run by execvp, words separated by blanks (no quoting). The monitors take turns, so
 * that what the host does meanwhile falls on all alike. Prints minimum, median, 95th percentile,
 * maximum and CPU time of each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_MONITORS 4
#define MAX_RUNS     1000
#define MAX_WORDS    64

struct monitor {
    const char *name;
    char *words[MAX_WORDS];
    double first_ms[MAX_RUNS], whole_ms[MAX_RUNS], cpu_ms[MAX_RUNS];
    long peak_kib;
};

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double cpu_ms(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e3 +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e3;
}

static void child(struct monitor *monitor, int out)
{
    int null = open("/dev/null", O_RDWR);

    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    if (!getenv("BENCH_VERBOSE"))
        dup2(null, STDERR_FILENO);
    execvp(monitor->words[0], monitor->words);
    _exit(127);
}

/* One start. Returns 0, or -1 when the monitor printed nothing or could not be run. */
static int run_once(struct monitor *monitor, unsigned run)
{
    struct rusage usage;
    int ends[2], status;
    double begin, first = -1;
    char byte;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    begin = now_ms();
    pid = fork();
    if (pid == 0)
        child(monitor, ends[1]);
    close(ends[1]);
    if (pid > 0 && read(ends[0], &byte, 1) == 1) {
        first = now_ms();
        while (read(ends[0], &byte, 1) == 1)
            ;
    }
    close(ends[0]);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
        return -1;
    if (first < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
        return -1;
    monitor->first_ms[run] = first - begin;
    monitor->whole_ms[run] = now_ms() - begin;
    monitor->cpu_ms[run] = cpu_ms(&usage);
    if (usage.ru_maxrss > monitor->peak_kib)
        monitor->peak_kib = usage.ru_maxrss;
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double print_row(const char *name, const char *what, double *values, unsigned runs)
{
    qsort(values, runs, sizeof(values[0]), compare);
    printf("%-14s %-26s %9.3f %9.3f %9.3f %9.3f\n", name, what, values[0], values[runs / 2],
           values[runs * 95 / 100], values[runs - 1]);
    return values[runs / 2];
}

static unsigned parse_monitors(int argc, char **argv, struct monitor *monitors)
{
    unsigned count = 0;

    for (int i = 2; i < argc && count < MAX_MONITORS; count++) {
        struct monitor *monitor = &monitors[count];
        unsigned words = 0;

        monitor->name = argv[i++];
        for (; i < argc && strcmp(argv[i], "--"); i++) {
            for (char *word = strtok(argv[i], " "); word; word = strtok(NULL, " ")) {
                if (words + 1 < MAX_WORDS)
                    monitor->words[words++] = word;
            }
        }
        i++;
        if (words == 0)
            return 0;
    }
    return count;
}

int main(int argc, char **argv)
{
    static struct monitor monitors[MAX_MONITORS];
    double medians[MAX_MONITORS];
    unsigned count;
    long runs = argc > 1 ? strtol(argv[1], NULL, 10) : 0;

    count = runs >= 1 && runs <= MAX_RUNS ? parse_monitors(argc, argv, monitors) : 0;
    if (count == 0) {
        fprintf(stderr, "usage: bench_start RUNS(1..%d) NAME COMMAND [-- NAME COMMAND]...\n",
                MAX_RUNS);
        return 2;
    }
    /* One start each to warm the page cache; it does not count. */
    for (unsigned m = 0; m < count; m++) {
        if (run_once(&monitors[m], 0)) {
            fprintf(stderr, "bench_start: %s: cannot be run, or its guest printed nothing\n",
                    monitors[m].name);
            return 1;
        }
    }
    for (unsigned run = 0; run < (unsigned)runs; run++) {
        for (unsigned m = 0; m < count; m++) {
            if (run_once(&monitors[m], run)) {
                fprintf(stderr, "bench_start: %s: run %u failed\n", monitors[m].name, run);
                return 1;
            }
        }
    }
    printf("%-14s %-26s %9s %9s %9s %9s   (ms, %ld runs)\n", "monitor", "", "min", "median", "p95",
           "max", runs);
    for (unsigned m = 0; m < count; m++) {
        medians[m] = print_row(monitors[m].name, "exec to first guest byte", monitors[m].first_ms,
                               (unsigned)runs);
        print_row(monitors[m].name, "exec to end of process", monitors[m].whole_ms, (unsigned)runs);
        print_row(monitors[m].name, "CPU time", monitors[m].cpu_ms, (unsigned)runs);
        printf("%-14s %-26s %9ld KiB\n", monitors[m].name, "peak resident", monitors[m].peak_kib);
    }
    for (unsigned m = 1; m < count; m++)
        printf("%s / %s, medians to the first guest byte: %.3f\n", monitors[0].name,
               monitors[m].name, medians[0] / medians[m]);
    return 0;
}
