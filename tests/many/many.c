// SPDX-License-Identifier: Apache-2.0
/*
 * Many VMs in one program: rounds in which all of them are built, started, reach their init, are
 * paused and resumed, end each in its own way, and are freed. Between two rounds the program must
 * be what it was before: descriptors, threads, mappings, child processes, memory, files that name a
 * VM on the host, cgroups.
 *
 *     many in-process|jailed VMS ROUNDS [HUSK-VMM [CGROUP-PARENT]]
 *
 * The VMs of a round live at the same time. One loop over their event descriptors drives them all,
 * as an orchestrator would. Exit status: 0 all is well, 1 not, 77 this host cannot.
 *
 * The census before the first round is the measure of everything but memory, which is compared with
 * the end of the first round, by when the C library has made what it makes once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "husk/husk.h"
#include "tests/harness/tiny_guest.h"

#define VMS_MAX     1000u
#define PATIENCE_MS 120000
#define DISK_BYTES  (64 << 10)
#define SKIPPED     77

/* How much more private memory there may be than after the first round, all rounds together: pages
 * of the heap that are half in use, and where glibc is older than 2.34 and knows no
 * stack_cache_size, stacks of threads that ended. One leaked page for each VM makes 4 MiB over the
 * full run. The bytes in use on the heap have no such slack. */
#define PRIVATE_SLACK_KIB 512

/* Their mappings, likewise. One for each VM makes 100 in a round. */
#define MAPPINGS_SLACK 32

/* Without these, chunks in a thread's cache count as in use; and so do the tables of thread-local
 * storage of the stacks that glibc keeps, whose size on the heap is 16 bytes more where the
 * allocator found a gap that it would not split. */
#define TUNABLES "glibc.malloc.tcache_count=0:glibc.pthread.stack_cache_size=0"

#define GUEST(name, ...) static const uint8_t name[] = {__VA_ARGS__}

GUEST(mark_then_halt, GUEST_OUT(0xf5, 1), GUEST_HALT);
GUEST(mark_then_exit, GUEST_OUT(0xf5, 1), GUEST_OUT(0xf4, 42), GUEST_HALT);
GUEST(mark_then_power_off, GUEST_OUT(0xf5, 1), GUEST_OUT_DX(0x600, 0x20 | 5 << 2), GUEST_HALT);
GUEST(mark_then_fault, GUEST_OUT(0xf5, 1), GUEST_UD2);

/* How VM number n ends: fate n % ARRAY_SIZE(fates). */
static const struct fate {
    const uint8_t *code;
    size_t len;
    bool pause; /* once it is ready, and go on */
    bool stop;  /* by the host, then */
    bool kill;  /* as stop; but a jailed VM's process is killed */
    enum husk_stop_reason reason;
} fates[] = {
    {mark_then_halt, sizeof(mark_then_halt), .stop = true, .reason = HUSK_STOP_HOST_REQUEST},
    {mark_then_exit, sizeof(mark_then_exit), .reason = HUSK_STOP_GUEST_EXIT},
    {mark_then_halt, sizeof(mark_then_halt), .pause = true, .stop = true,
     .reason = HUSK_STOP_HOST_REQUEST},
    {mark_then_power_off, sizeof(mark_then_power_off), .reason = HUSK_STOP_POWER_OFF},
    {mark_then_fault, sizeof(mark_then_fault), .reason = HUSK_STOP_TRIPLE_FAULT},
    {mark_then_halt, sizeof(mark_then_halt), .kill = true, .reason = HUSK_STOP_HOST_REQUEST},
    /* Freed as it runs. */
    {mark_then_halt, sizeof(mark_then_halt), .reason = HUSK_STOP_NONE},
};

/* What a program holds, and leaves behind. */
struct census {
    long fds, threads, mappings, children, files, cgroups;
    size_t heap;      /* bytes in use */
    long private_kib; /* -1: the kernel does not tell */
};

struct one {
    struct husk_vm *vm;
    const struct fate *fate;
    enum husk_stop_reason reason; /* that it will have */
    int pid;                      /* its process, or this one */
    bool ready, done;
};

struct test {
    enum husk_mode mode;
    const char *vmm_path, *cgroup_parent; /* NULL: not given */
    unsigned vms, rounds;
    int kernels[ARRAY_SIZE(fates)];
    int disk;
    struct one *ones;
};

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("FAIL: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static _Noreturn void fail_with(const char *what, unsigned number, const struct husk_error *err)
{
    char text[640];

    fail("%s VM %u: %s", what, number, error_format(err, text, sizeof(text)));
}

static _Noreturn void skip(const char *why, const char *error)
{
    printf("skipped: many: %s: %s\n", why, error);
    exit(SKIPPED);
}

/* Entries of a directory but the two that every one has; 0 for one that is not there. */
static long entries(const char *path)
{
    DIR *dir = opendir(path);
    long count = -2;

    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static long lines(const char *path)
{
    FILE *file = fopen(path, "re");
    long count = 0;
    int c;

    if (!file)
        fail("%s: %s", path, strerror(errno));
    while ((c = getc(file)) != EOF)
        count += c == '\n';
    fclose(file);
    return count;
}

/* What every VM of this program is called, before its number. */
static void name_vms(char *out, size_t size)
{
    snprintf(out, size, "many-%d-", getpid());
}

/* Entries of the registry of what VMs leave that are about ours. */
static long registered(void)
{
    DIR *dir = opendir("/run/husk");
    struct dirent *entry;
    char name[32];
    long count = 0;

    if (!dir)
        return 0;
    name_vms(name, sizeof(name));
    while ((entry = readdir(dir))) {
        char text[4096] = "";
        int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
            continue; /* gone since */
        if (read(fd, text, sizeof(text) - 1) > 0 && strstr(text, name))
            count++;
        close(fd);
    }
    closedir(dir);
    return count;
}

/* "Private_Dirty: N kB", what this process has written. Clean pages are of files: they count as
 * private as soon as no other process maps them, which says nothing about this one. */
static long private_kib(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kib = -1;

    if (!file)
        return -1;
    while (kib < 0 && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Private_Dirty: %ld", &kib) != 1)
            kib = -1;
    }
    fclose(file);
    return kib;
}

/* Processes whose parent is this one, zombies too. */
static long children(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    long count = 0;

    if (!dir)
        fail("/proc: %s", strerror(errno));
    while ((entry = readdir(dir))) {
        char path[PATH_MAX], state;
        int parent;
        FILE *file;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        file = fopen(path, "re");
        if (!file)
            continue; /* gone since */
        if (fscanf(file, "%*d (%*[^)]) %c %d", &state, &parent) == 2 && parent == getpid())
            count++;
        fclose(file);
    }
    closedir(dir);
    return count;
}

static struct census take_census(const struct test *test)
{
    struct census census;
    char parent[PATH_MAX];

    malloc_trim(0); /* what is free in the heap is nobody's */
    snprintf(parent, sizeof(parent), "/sys/fs/cgroup/%s", test->cgroup_parent);
    census = (struct census){
        .fds = entries("/proc/self/fd"),
        .threads = entries("/proc/self/task"),
        .mappings = lines("/proc/self/maps"),
        .children = children(),
        .files = registered(),
        .cgroups = test->cgroup_parent ? entries(parent) : 0,
        .heap = mallinfo2().uordblks,
        .private_kib = private_kib(),
    };
    return census;
}

static void print_census(const char *when, const struct census *census)
{
    printf("%-12s fds %ld, threads %ld, mappings %ld, children %ld, files %ld, cgroups %ld, heap "
           "%zu bytes, private memory %ld KiB\n",
           when, census->fds, census->threads, census->mappings, census->children, census->files,
           census->cgroups, census->heap, census->private_kib);
    fflush(stdout);
}

static void compare(const char *what, unsigned round, long is, long was)
{
    if (is > was)
        fail("after round %u: %ld %s, %ld before", round, is, what, was);
}

static void build(const struct test *test, unsigned number, struct one *one)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    struct husk_jail_options jail = HUSK_JAIL_OPTIONS_INIT;
    struct husk_vm_info info = {.size = sizeof(info)};
    unsigned fate = number % (unsigned)ARRAY_SIZE(fates);
    char name[32], id[48];
    struct husk_error err;

    jail.cgroup_parent = test->cgroup_parent;
    name_vms(name, sizeof(name));
    snprintf(id, sizeof(id), "%s%u", name, number);
    options.id = id;
    options.mode = test->mode;
    options.jail = test->mode == HUSK_MODE_JAILED ? &jail : NULL;
    options.vmm_path = test->vmm_path;
    options.kernel_fd = test->kernels[fate];
    options.memory_bytes = 16 << 20;
    drive.read_only = 1;
    drive.fd = fcntl(test->disk, F_DUPFD_CLOEXEC, 0);
    *one = (struct one){.fate = &fates[fate], .reason = fates[fate].reason};
    if (husk_vm_new(&options, &one->vm, &err) || husk_vm_add_drive(one->vm, &drive, &err))
        fail_with("making", number, &err);
    if (husk_vm_build(one->vm, &err))
        fail_with("building", number, &err);
    husk_vm_info(one->vm, &info);
    one->pid = info.pid;
}

/* Also a failed build must leave nothing. */
static void build_badly(const struct test *test)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct husk_error err;
    struct husk_vm *vm;

    options.mode = test->mode;
    options.vmm_path = test->vmm_path;
    options.kernel_fd = test->disk;
    options.memory_bytes = 16 << 20;
    if (husk_vm_new(&options, &vm, &err))
        fail_with("making", 0, &err);
    if (!husk_vm_build(vm, &err))
        fail("a disk of zeroes was taken for a kernel");
    husk_vm_free(vm);
}

static void end_by_force(struct one *one, unsigned number)
{
    struct husk_error err;

    if (one->pid == getpid()) {
        if (husk_vm_stop(one->vm, &err))
            fail_with("stopping", number, &err);
    } else {
        one->reason = HUSK_STOP_MONITOR_ERROR;
        if (one->pid <= 0 || kill(one->pid, SIGKILL))
            fail("cannot kill process %d of VM %u", one->pid, number);
    }
}

/* Only guests that never end by themselves are paused and stopped, so that none of the calls may
 * fail. */
static void on_ready(struct one *one, unsigned number)
{
    struct husk_error err;

    one->ready = true;
    if (one->fate->pause && (husk_vm_pause(one->vm, &err) || husk_vm_resume(one->vm, &err)))
        fail_with("pausing", number, &err);
    if (one->fate->stop && husk_vm_stop(one->vm, &err))
        fail_with("stopping", number, &err);
    if (one->fate->kill)
        end_by_force(one, number);
    one->done = one->reason == HUSK_STOP_NONE;
}

static void on_stopped(struct one *one, unsigned number, const struct husk_event *event)
{
    char text[640];

    if (!one->ready)
        fail("VM %u stopped before it was ready", number);
    if (event->reason != one->reason)
        fail("VM %u ended by %s, not %s: %s", number, husk_stop_reason_name(event->reason),
             husk_stop_reason_name(one->reason), error_format(&event->error, text, sizeof(text)));
    if (event->reason == HUSK_STOP_GUEST_EXIT && event->guest_status != 42)
        fail("VM %u ended with status %u", number, event->guest_status);
    one->done = true;
}

/* Take all events of one VM. Returns whether it is done with now. */
static bool take_events(struct one *one, unsigned number)
{
    struct husk_event event;

    while (!one->done && husk_vm_next_event(one->vm, &event)) {
        if (event.type == HUSK_EVENT_READY)
            on_ready(one, number);
        else if (event.type == HUSK_EVENT_STOPPED)
            on_stopped(one, number, &event);
    }
    return one->done;
}

static void run_all(const struct test *test)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    unsigned running = test->vms;
    struct husk_error err;

    for (unsigned n = 0; n < test->vms; n++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = n};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, husk_vm_event_fd(test->ones[n].vm), &event))
            fail("epoll_ctl: %s", strerror(errno));
        if (husk_vm_start(test->ones[n].vm, &err))
            fail_with("starting", n, &err);
    }
    while (running > 0) {
        struct epoll_event event;
        int count = epoll_wait(epoll, &event, 1, PATIENCE_MS);
        struct one *one;

        if (count < 0 && errno == EINTR)
            continue;
        if (count != 1)
            fail("%u of %u VMs say nothing any more", running, test->vms);
        one = &test->ones[event.data.u32];
        if (take_events(one, event.data.u32)) {
            epoll_ctl(epoll, EPOLL_CTL_DEL, husk_vm_event_fd(one->vm), NULL);
            running--;
        }
    }
    close(epoll);
}

static void check_gone(const struct one *one, unsigned number)
{
    if (one->pid > 0 && one->pid != getpid() && (kill(one->pid, 0) == 0 || errno != ESRCH))
        fail("process %d of VM %u is still there", one->pid, number);
}

static void run_round(const struct test *test, bool show)
{
    for (unsigned n = 0; n < test->vms; n++)
        build(test, n, &test->ones[n]);
    build_badly(test);
    run_all(test);
    if (show) {
        struct census census = take_census(test);

        print_census("all alive", &census);
    }
    for (unsigned n = 0; n < test->vms; n++) {
        husk_vm_free(test->ones[n].vm);
        check_gone(&test->ones[n], n);
    }
}

/* Address and thread sanitizers keep what was freed, so that memory tells nothing. */
static bool memory_counts(const struct census *census)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return false;
#endif
#endif
    return census->private_kib >= 0;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run_rounds(const struct test *test)
{
    struct census before = take_census(test), first = before;

    print_census("before", &before);
    for (unsigned round = 1; round <= test->rounds; round++) {
        double began = seconds();
        struct census after;
        char name[16];

        run_round(test, round == 1);
        after = take_census(test);
        snprintf(name, sizeof(name), "round %u", round);
        print_census(name, &after);
        printf("%-12s %.2f s\n", "", seconds() - began);
        if (round == 1)
            first = after;
        compare("descriptors", round, after.fds, before.fds);
        compare("threads", round, after.threads, before.threads);
        compare("children", round, after.children, before.children);
        compare("files in /run/husk", round, after.files, before.files);
        compare("cgroups", round, after.cgroups, before.cgroups);
        compare("mappings", round, after.mappings, first.mappings + MAPPINGS_SLACK);
        if (!memory_counts(&after))
            continue;
        compare("bytes of heap", round, (long)after.heap, (long)first.heap);
        compare("KiB of private memory", round, after.private_kib,
                first.private_kib + PRIVATE_SLACK_KIB);
    }
}

static void need_descriptors(unsigned vms)
{
    struct rlimit limit;
    rlim_t needed = 200 + (rlim_t)vms * 64;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < needed)
        skip("too few descriptors", "raise the hard limit (ulimit -Hn)");
}

/* What counts in memory is read by the C library before main(). */
static void restart_with_tunables(char **argv)
{
    if (getenv("GLIBC_TUNABLES"))
        return;
    setenv("GLIBC_TUNABLES", TUNABLES, 1);
    execv("/proc/self/exe", argv);
    fail("cannot run itself again: %s", strerror(errno));
}

static void *nothing(void *arg)
{
    return arg;
}

/* With the first thread the thread sanitizer starts one of its own, which stays. */
static void start_a_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
        fail("cannot start a thread");
}

int main(int argc, char **argv)
{
    struct test test = {.vmm_path = argc > 4 ? argv[4] : NULL,
                        .cgroup_parent = argc > 5 ? argv[5] : NULL};

    if (argc < 4 || argc > 6) {
        fputs("usage: many in-process|jailed VMS ROUNDS [HUSK-VMM [CGROUP-PARENT]]\n", stderr);
        return 2;
    }
    test.mode = strcmp(argv[1], "jailed") == 0 ? HUSK_MODE_JAILED : HUSK_MODE_IN_PROCESS;
    test.vms = (unsigned)strtoul(argv[2], NULL, 10);
    test.rounds = (unsigned)strtoul(argv[3], NULL, 10);
    if (test.vms < 1 || test.vms > VMS_MAX || test.rounds < 1)
        fail("VMS is 1 to %u, ROUNDS at least 1", VMS_MAX);
    restart_with_tunables(argv);
    if (!tiny_guest_can_run())
        return SKIPPED;
    need_descriptors(test.vms);
    start_a_thread();
    for (unsigned i = 0; i < ARRAY_SIZE(fates); i++)
        test.kernels[i] = tiny_guest_fd(fates[i].code, fates[i].len);
    test.disk = memfd_create("disk", MFD_CLOEXEC);
    test.ones = calloc(test.vms, sizeof(*test.ones));
    if (test.disk < 0 || ftruncate(test.disk, DISK_BYTES) || !test.ones)
        fail("cannot set the test up: %s", strerror(errno));
    run_rounds(&test);
    free(test.ones);
    return 0;
}
