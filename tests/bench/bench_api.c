// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket of a monitor, beside a peer's, in one run:
 *
 *   exec to API ready    from just before the process is made until GET / is answered: wall clock
 *                        time, and the CPU time that the process has used by then
 *   InstanceStart        from sending the request until the guest's first byte on standard output
 *   private memory       of the process, all but guest memory: idle, and with a running guest
 *
 *   bench_api RUNS GUEST NAME COMMAND [-- NAME COMMAND]...
 *
 * GUEST is a kernel that prints something first and then halts when its command line says do=halt.
 * COMMAND is run by execvp, words separated by blanks (no quoting), with "--api-sock PATH" added.
 * The monitors take turns. Prints minimum, median, 90th percentile and maximum.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_MONITORS 4
#define MAX_RUNS     1000
#define MAX_WORDS    64
#define MEMORY_MIB   128
#define PATIENCE_MS  30000.0

enum figure { READY_MS, READY_CPU_MS, FIRST_BYTE_MS, IDLE_KIB, RUNNING_KIB, FIGURES };

static const char *const figure_names[FIGURES] = {
    [READY_MS] = "exec to API ready, ms",          [READY_CPU_MS] = "CPU time until ready, ms",
    [FIRST_BYTE_MS] = "InstanceStart to byte, ms", [IDLE_KIB] = "private, idle, KiB",
    [RUNNING_KIB] = "private, running, KiB",
};

struct monitor {
    const char *name;
    char *words[MAX_WORDS]; /* ends with "--api-sock", the path, NULL */
    double values[FIGURES][MAX_RUNS];
};

static double clock_ms(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now))
        return 0;
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

static void pause_us(long microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
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

static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* As soon as somebody listens; -1 when the process ends or takes too long. */
static int connect_when_there(pid_t pid, const char *path)
{
    double deadline = now_ms() + PATIENCE_MS;
    siginfo_t ended;

    while (now_ms() < deadline) {
        int fd = try_connect(path);

        if (fd >= 0)
            return fd;
        ended.si_pid = 0;
        if (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) || ended.si_pid)
            return -1;
        pause_us(50);
    }
    return -1;
}

/* Send a request and read its answer. Returns the status, or -1. */
static int request(int fd, const char *verb, const char *path, const char *body)
{
    char text[2048];
    ssize_t len;
    int status;

    len = snprintf(text, sizeof(text),
                   "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   verb, path, strlen(body), body);
    if (!*body)
        len = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", verb, path);
    if (len < 0 || (size_t)len >= sizeof(text) || write(fd, text, (size_t)len) != len)
        return -1;
    len = read(fd, text, sizeof(text) - 1); /* answers are short, and come in one piece */
    if (len <= 0)
        return -1;
    text[len] = '\0';
    return sscanf(text, "HTTP/1.1 %d", &status) == 1 ? status : -1;
}

/* Private pages of all mappings but the large ones, which are the guest's. */
static double private_kib(pid_t pid)
{
    char path[64], line[512];
    long size = 0, value, total = 0;
    FILE *smaps;

    snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
    smaps = fopen(path, "re");
    if (!smaps)
        return -1;
    while (fgets(line, sizeof(line), smaps)) {
        if (sscanf(line, "Size: %ld kB", &value) == 1)
            size = value;
        else if (size < MEMORY_MIB * 1024 / 16 &&
                 (sscanf(line, "Private_Clean: %ld kB", &value) == 1 ||
                  sscanf(line, "Private_Dirty: %ld kB", &value) == 1))
            total += value;
    }
    fclose(smaps);
    return (double)total;
}

/* From an idle server to a running guest. */
static int start_guest(struct monitor *monitor, unsigned run, int api, int out, const char *guest)
{
    struct pollfd byte = {.fd = out, .events = POLLIN};
    char boot[1024], machine[128];
    double begin;

    snprintf(boot, sizeof(boot), "{\"kernel_image_path\": \"%s\", \"boot_args\": \"do=halt\"}",
             guest);
    snprintf(machine, sizeof(machine), "{\"vcpu_count\": 1, \"mem_size_mib\": %d}", MEMORY_MIB);
    if (request(api, "PUT", "/machine-config", machine) != 204 ||
        request(api, "PUT", "/boot-source", boot) != 204)
        return -1;
    begin = now_ms();
    if (request(api, "PUT", "/actions", "{\"action_type\": \"InstanceStart\"}") != 204 ||
        poll(&byte, 1, (int)PATIENCE_MS) != 1)
        return -1;
    monitor->values[FIRST_BYTE_MS][run] = now_ms() - begin;
    return 0;
}

static int measure(struct monitor *monitor, unsigned run, pid_t pid, int out, double begin,
                   const char *socket_path, const char *guest)
{
    clockid_t cpu_clock;
    int api = connect_when_there(pid, socket_path);
    int result = -1;

    if (api < 0)
        return -1;
    if (request(api, "GET", "/", "") == 200 && clock_getcpuclockid(pid, &cpu_clock) == 0) {
        monitor->values[READY_MS][run] = now_ms() - begin;
        monitor->values[READY_CPU_MS][run] = clock_ms(cpu_clock);
        monitor->values[IDLE_KIB][run] = private_kib(pid);
        result = start_guest(monitor, run, api, out, guest);
        pause_us(200000); /* let it settle */
        monitor->values[RUNNING_KIB][run] = private_kib(pid);
    }
    close(api);
    return result;
}

static int run_once(struct monitor *monitor, unsigned run, const char *socket_path,
                    const char *guest)
{
    int ends[2], result;
    double begin;
    pid_t pid;

    unlink(socket_path);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    begin = now_ms();
    pid = fork();
    if (pid == 0)
        child(monitor, ends[1]);
    close(ends[1]);
    result = pid < 0 ? -1 : measure(monitor, run, pid, ends[0], begin, socket_path, guest);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(ends[0]);
    return result;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void print_monitor(struct monitor *monitor, unsigned runs)
{
    for (unsigned i = 0; i < FIGURES; i++) {
        double *values = monitor->values[i];

        qsort(values, runs, sizeof(values[0]), compare);
        printf("%-14s %-26s %9.3f %9.3f %9.3f %9.3f\n", monitor->name, figure_names[i], values[0],
               values[runs / 2], values[(runs - 1) * 90 / 100], values[runs - 1]);
    }
}

static unsigned parse_monitors(int argc, char **argv, char *socket_path, struct monitor *monitors)
{
    unsigned count = 0;

    for (int i = 3; i < argc && count < MAX_MONITORS; count++) {
        struct monitor *monitor = &monitors[count];
        unsigned words = 0;

        monitor->name = argv[i++];
        for (; i < argc && strcmp(argv[i], "--"); i++) {
            for (char *word = strtok(argv[i], " "); word; word = strtok(NULL, " ")) {
                if (words + 3 < MAX_WORDS)
                    monitor->words[words++] = word;
            }
        }
        i++;
        if (words == 0)
            return 0;
        monitor->words[words] = "--api-sock";
        monitor->words[words + 1] = socket_path;
    }
    return count;
}

/* One start each to warm the page cache, which does not count, then all of them in turn. */
static int run_all(struct monitor *monitors, unsigned count, unsigned runs, const char *socket_path,
                   const char *guest)
{
    for (unsigned run = 0; run <= runs; run++) {
        for (unsigned m = 0; m < count; m++) {
            if (run_once(&monitors[m], run ? run - 1 : 0, socket_path, guest)) {
                fprintf(stderr, "bench_api: %s: run %u failed (BENCH_VERBOSE=1 shows its words)\n",
                        monitors[m].name, run);
                return 1;
            }
        }
    }
    printf("%-14s %-26s %9s %9s %9s %9s   (%u runs)\n", "monitor", "", "min", "median", "p90",
           "max", runs);
    for (unsigned m = 0; m < count; m++)
        print_monitor(&monitors[m], runs);
    return 0;
}

int main(int argc, char **argv)
{
    static struct monitor monitors[MAX_MONITORS];
    char directory[] = "/tmp/husk-bench-XXXXXX";
    char socket_path[sizeof(directory) + 16];
    long runs = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    unsigned count = 0;
    int status;

    if (!mkdtemp(directory)) {
        perror("bench_api: /tmp");
        return 1;
    }
    snprintf(socket_path, sizeof(socket_path), "%s/api.socket", directory);
    signal(SIGPIPE, SIG_IGN);
    if (runs >= 1 && runs <= MAX_RUNS)
        count = parse_monitors(argc, argv, socket_path, monitors);
    if (count > 0) {
        status = run_all(monitors, count, (unsigned)runs, socket_path, argv[2]);
    } else {
        fprintf(stderr, "usage: bench_api RUNS(1..%d) GUEST NAME COMMAND [-- NAME COMMAND]...\n",
                MAX_RUNS);
        status = 2;
    }
    unlink(socket_path);
    rmdir(directory);
    return status;
}
