// SPDX-License-Identifier: Apache-2.0
/*
 * Density: how fast one program starts many VMs, and what each costs while it lives.
 *
 *   bench_density in-process|jailed [VMS [ROUNDS [HUSK-VMM]]]     default: 100 VMs, 5 rounds
 *
 * Each round builds and starts all VMs one after the other on one thread, waits until every guest
 * has run (it reports so and halts), measures, and frees them all. The guest is bare metal and
 * touches a page of its memory, so that what is counted is the monitor and KVM, not a kernel's
 * boot.
 *
 *   start      from husk_vm_new() to the guest's first report, for all VMs of a round; the rate is
 *              VMs by the seconds of processor time that this and the VMs' processes took, which is
 *              what one core could start. What kernel threads did is not in it.
 *   new+build, start, free    one VM's calls, of all rounds together
 *   memory     private pages of this and the VMs' processes, after all have started less before the
 *              first; KVM's own is not in it, nor are page tables
 *   left       descriptors, threads and mappings after the last round less before the first
 *
 * Prints minimum, median, 90th percentile and maximum. It is a measurement, not a test: only
 * failing calls fail it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

#define VMS_MAX     1000u
#define ROUNDS_MAX  100u
#define PATIENCE_MS 60000
#define SKIPPED     77

static const uint8_t report_then_halt[] = {GUEST_OUT(0xf5, 1), GUEST_HALT};

struct one {
    struct husk_vm *vm;
    int pid; /* of its process */
};

struct bench {
    enum husk_mode mode;
    const char *vmm_path;
    unsigned vms, rounds;
    int kernel_fd;
    struct one *ones;
    /* By VM and round. */
    double *build_ms, *start_ms, *free_ms;
    unsigned calls;
    /* By round. */
    double wall_ms[ROUNDS_MAX], cpu_ms[ROUNDS_MAX], rate[ROUNDS_MAX], private_kib[ROUNDS_MAX];
};

struct census {
    long fds, threads, mappings;
};

static double clock_ms(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static long entries(const char *path)
{
    DIR *dir = opendir(path);
    long count = -2; /* . and .. */

    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static struct census take_census(void)
{
    struct census census = {.fds = entries("/proc/self/fd"), .threads = entries("/proc/self/task")};
    FILE *maps = fopen("/proc/self/maps", "re");
    int byte;

    while (maps && (byte = getc(maps)) != EOF)
        census.mappings += byte == '\n';
    if (maps)
        fclose(maps);
    return census;
}

static long private_kib_of(int pid)
{
    char path[64], line[256];
    long sum = 0, kib;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Private_Clean: %ld", &kib) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &kib) == 1)
            sum += kib;
    }
    if (file)
        fclose(file);
    return sum;
}

/* Processor time of a process so far, its ended threads included. */
static double cpu_ms_of(int pid)
{
    clockid_t clock;

    return clock_getcpuclockid(pid, &clock) ? 0 : clock_ms(clock);
}

/* Of this process and those of the VMs that live. */
static double sum_over_processes(const struct bench *bench, bool memory)
{
    double sum = memory ? (double)private_kib_of(getpid()) : clock_ms(CLOCK_PROCESS_CPUTIME_ID);

    for (unsigned n = 0; bench->mode == HUSK_MODE_JAILED && n < bench->vms; n++) {
        if (bench->ones[n].vm)
            sum +=
                memory ? (double)private_kib_of(bench->ones[n].pid) : cpu_ms_of(bench->ones[n].pid);
    }
    return sum;
}

static int say(unsigned number, const struct husk_error *err)
{
    char text[640];

    fprintf(stderr, "bench_density: VM %u: %s\n", number, error_format(err, text, sizeof(text)));
    return -1;
}

static int start_one(struct bench *bench, unsigned number)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_vm_info info = {.size = sizeof(info)};
    struct one *one = &bench->ones[number];
    double begin = clock_ms(CLOCK_MONOTONIC), built;
    struct husk_error err;

    options.mode = bench->mode;
    options.vmm_path = bench->vmm_path;
    options.kernel_fd = bench->kernel_fd;
    if (husk_vm_new(&options, &one->vm, &err) || husk_vm_build(one->vm, &err))
        return say(number, &err);
    built = clock_ms(CLOCK_MONOTONIC);
    if (husk_vm_start(one->vm, &err))
        return say(number, &err);
    bench->build_ms[bench->calls] = built - begin;
    bench->start_ms[bench->calls++] = clock_ms(CLOCK_MONOTONIC) - built;
    husk_vm_info(one->vm, &info);
    one->pid = info.pid;
    return 0;
}

static int wait_until_ready(struct bench *bench, unsigned number)
{
    struct husk_event event;

    if (husk_vm_wait_event(bench->ones[number].vm, PATIENCE_MS, &event) == 1 &&
        event.type == HUSK_EVENT_READY)
        return 0;
    fprintf(stderr, "bench_density: VM %u: its guest does not run\n", number);
    return -1;
}

static void free_all(struct bench *bench, unsigned round)
{
    for (unsigned n = 0; n < bench->vms; n++) {
        double begin = clock_ms(CLOCK_MONOTONIC);

        husk_vm_free(bench->ones[n].vm);
        bench->ones[n].vm = NULL;
        bench->free_ms[round * bench->vms + n] = clock_ms(CLOCK_MONOTONIC) - begin;
    }
}

static int run_round(struct bench *bench, unsigned round, double memory_before)
{
    double wall = clock_ms(CLOCK_MONOTONIC), cpu = sum_over_processes(bench, false);
    int ret = 0;

    for (unsigned n = 0; !ret && n < bench->vms; n++)
        ret = start_one(bench, n);
    for (unsigned n = 0; !ret && n < bench->vms; n++)
        ret = wait_until_ready(bench, n);
    bench->wall_ms[round] = clock_ms(CLOCK_MONOTONIC) - wall;
    bench->cpu_ms[round] = (sum_over_processes(bench, false) - cpu) / bench->vms;
    bench->rate[round] = 1e3 / bench->cpu_ms[round];
    bench->private_kib[round] = (sum_over_processes(bench, true) - memory_before) / bench->vms;
    free_all(bench, round);
    return ret;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void print_row(const char *name, double *values, unsigned count)
{
    qsort(values, count, sizeof(values[0]), compare);
    printf("%-34s %9.3f %9.3f %9.3f %9.3f\n", name, values[0], values[count / 2],
           values[count * 9 / 10], values[count - 1]);
}

static void print_results(struct bench *bench, const struct census *before)
{
    struct census after = take_census();

    printf("%-34s %9s %9s %9s %9s   (%u VMs, %u rounds)\n",
           bench->mode == HUSK_MODE_JAILED ? "jailed" : "in-process", "min", "median", "p90", "max",
           bench->vms, bench->rounds);
    print_row("all VMs running, ms", bench->wall_ms, bench->rounds);
    print_row("processor time of a start, ms", bench->cpu_ms, bench->rounds);
    print_row("VMs a second, one core", bench->rate, bench->rounds);
    print_row("new and build, ms", bench->build_ms, bench->calls);
    print_row("start, ms", bench->start_ms, bench->calls);
    print_row("free, ms", bench->free_ms, bench->vms * bench->rounds);
    print_row("private memory of a VM, KiB", bench->private_kib, bench->rounds);
    printf("%-34s descriptors %+ld, threads %+ld, mappings %+ld\n", "left behind",
           after.fds - before->fds, after.threads - before->threads,
           after.mappings - before->mappings);
}

/* Many VMs take many descriptors. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(struct bench *bench)
{
    double memory_before = sum_over_processes(bench, true);
    struct census before = take_census();
    int ret = 0;

    for (unsigned round = 0; !ret && round < bench->rounds; round++)
        ret = run_round(bench, round, memory_before);
    if (!ret)
        print_results(bench, &before);
    return ret;
}

static bool parse(struct bench *bench, int argc, char **argv)
{
    unsigned long vms = argc > 2 ? strtoul(argv[2], NULL, 10) : 100;
    unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 5;

    if (argc < 2 || argc > 5 || vms < 1 || vms > VMS_MAX || rounds < 1 || rounds > ROUNDS_MAX)
        return false;
    if (!strcmp(argv[1], "jailed"))
        bench->mode = HUSK_MODE_JAILED;
    else if (!strcmp(argv[1], "in-process"))
        bench->mode = HUSK_MODE_IN_PROCESS;
    else
        return false;
    bench->vmm_path = argc > 4 ? argv[4] : NULL;
    bench->vms = (unsigned)vms;
    bench->rounds = (unsigned)rounds;
    return true;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    size_t calls;
    int ret = 1;

    if (!parse(&bench, argc, argv)) {
        fprintf(stderr,
                "usage: bench_density in-process|jailed [VMS(1..%u) [ROUNDS(1..%u) "
                "[HUSK-VMM]]]\n",
                VMS_MAX, ROUNDS_MAX);
        return 2;
    }
    if (!tiny_guest_can_run())
        return SKIPPED;
    raise_descriptor_limit();
    calls = (size_t)bench.vms * bench.rounds;
    bench.ones = calloc(bench.vms, sizeof(*bench.ones));
    bench.build_ms = calloc(calls, sizeof(double));
    bench.start_ms = calloc(calls, sizeof(double));
    bench.free_ms = calloc(calls, sizeof(double));
    bench.kernel_fd = tiny_guest_fd(report_then_halt, sizeof(report_then_halt));
    if (bench.ones && bench.build_ms && bench.start_ms && bench.free_ms && bench.kernel_fd >= 0)
        ret = run(&bench) ? 1 : 0;
    close(bench.kernel_fd);
    free(bench.free_ms);
    free(bench.start_ms);
    free(bench.build_ms);
    free(bench.ones);
    return ret;
}
