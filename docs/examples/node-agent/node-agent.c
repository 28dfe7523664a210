// SPDX-License-Identifier: Apache-2.0
/*
 * An example of a node agent: keeps some microVMs running from one thread and one poll loop.
 *
 *     node-agent [--count N] [--append TEXT] [--in-process] [--vmm PATH] KERNEL
 *
 * Each VM lives in a jailed process of its own, or with --in-process on threads of this one; not
 * another line differs. A VM that powers off (or exits with status 0) has done its work. One that
 * ends in any other way is started again, after a pause that doubles each time. SIGUSR1 prints
 * statistics; SIGTERM and SIGINT press the power buttons, give the guests time, and end the agent.
 *
 * What an agent waits for are descriptors: signals come from a signalfd, pauses end by a timerfd,
 * and each VM has one descriptor for all that happens to it. Nothing here needs a thread or a lock.
 */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <husk/husk.h>

#define COUNT_MAX      1000u
#define GRACE_MS       5000u
#define PAUSE_FIRST_MS 100u
#define PAUSE_MAX_MS   10000u
#define RAN_WELL_MS    60000u /* after so long a run the next pause is a short one again */
#define DESCRIPTORS    2u     /* polled beside the VMs' */

struct member {
    char id[16];
    struct husk_vm *vm;  /* NULL: not running */
    uint64_t started_ms; /* when it was */
    uint64_t due_ms;     /* when to start it (again); 0: not at all */
    unsigned pause_ms;   /* before the next start */
};

struct agent {
    struct husk_vm_options options; /* of every VM, but for the id */
    struct member *members;
    unsigned count;
    int signals, timer; /* descriptors */
    bool ending;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The library's log. Called from any of its threads: it may write, and nothing else. */
static void log_line(void *arg, enum husk_log_level level, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

/* Where, if there is one file or field at fault; what could not be done; and why. */
static void report(const struct member *member, const struct husk_error *err)
{
    char text[600];

    printf("%s: error: %s\n", member->id, husk_error_format(err, text, sizeof(text)));
}

/* A member ended, or could not be started: have it started after its pause. */
static void start_later(struct member *member)
{
    printf("%s: starts again in %u ms\n", member->id, member->pause_ms);
    member->due_ms = now_ms() + member->pause_ms;
    member->pause_ms = member->pause_ms < PAUSE_MAX_MS / 2 ? member->pause_ms * 2 : PAUSE_MAX_MS;
}

/*
 * Build and start one VM. The build opens files and reads the kernel, so that an agent with slow
 * storage does it on another thread: calls on different VMs never disturb each other.
 */
static void start(struct agent *agent, struct member *member)
{
    struct husk_vm_options options = agent->options;
    struct husk_vm_info info = {.size = sizeof(info)};
    struct husk_error err;

    options.id = member->id;
    member->due_ms = 0;
    if (husk_vm_new(&options, &member->vm, &err)) {
        report(member, &err);
        start_later(member);
        return;
    }
    /* Drives, network devices and the vsock would be added here. */
    if (husk_vm_build(member->vm, &err) || husk_vm_start(member->vm, &err)) {
        report(member, &err);
        husk_vm_free(member->vm);
        member->vm = NULL;
        start_later(member);
        return;
    }
    member->started_ms = now_ms();
    husk_vm_info(member->vm, &info);
    printf("%s: started in process %d\n", member->id, info.pid);
}

/* The last event of a VM. Its object is of no more use. */
static void stopped(struct agent *agent, struct member *member, const struct husk_event *event)
{
    bool done = event->reason == HUSK_STOP_POWER_OFF ||
                (event->reason == HUSK_STOP_GUEST_EXIT && event->guest_status == 0);

    printf("%s: stopped: %s", member->id, husk_stop_reason_name(event->reason));
    if (event->reason == HUSK_STOP_GUEST_EXIT)
        printf(", status %u", event->guest_status);
    printf("\n");
    if (event->reason == HUSK_STOP_MONITOR_ERROR)
        report(member, &event->error);
    husk_vm_free(member->vm);
    member->vm = NULL;
    if (now_ms() - member->started_ms >= RAN_WELL_MS)
        member->pause_ms = PAUSE_FIRST_MS;
    if (!done && !agent->ending)
        start_later(member);
}

/* Take every event that waits: the descriptor is readable as long as there are any. */
static void take_events(struct agent *agent, struct member *member)
{
    struct husk_event event;

    while (member->vm && husk_vm_next_event(member->vm, &event) == 1) {
        if (event.type == HUSK_EVENT_STOPPED)
            stopped(agent, member, &event);
        else if (event.type == HUSK_EVENT_READY)
            printf("%s: ready after %llu ms\n", member->id,
                   (unsigned long long)(now_ms() - member->started_ms));
    }
}

static void print_statistics(const struct member *member)
{
    struct husk_vm_stats stats = {.size = sizeof(stats)};
    struct husk_error err;

    if (husk_vm_stats(member->vm, &stats, &err)) {
        report(member, &err);
        return;
    }
    printf("%s: statistics: cpu %llu ms, memory %llu KiB, exits %llu\n", member->id,
           (unsigned long long)(stats.vcpu_cpu_ns + stats.io_cpu_ns) / 1000000,
           (unsigned long long)stats.memory_resident_bytes / 1024,
           (unsigned long long)stats.vcpu_exits);
}

static void end(struct agent *agent)
{
    agent->ending = true;
    for (unsigned i = 0; i < agent->count; i++) {
        struct member *member = &agent->members[i];

        member->due_ms = 0;
        if (member->vm)
            husk_vm_shutdown(member->vm, GRACE_MS, NULL); /* fails for one that has just stopped */
    }
}

static void take_signal(struct agent *agent)
{
    struct signalfd_siginfo signal;

    if (read(agent->signals, &signal, sizeof(signal)) != sizeof(signal))
        return;
    if (signal.ssi_signo != SIGUSR1) {
        end(agent);
        return;
    }
    for (unsigned i = 0; i < agent->count; i++) {
        if (agent->members[i].vm)
            print_statistics(&agent->members[i]);
    }
}

/* Start what is due, and set the timer for what comes next. Returns whether anything is left to
 * wait for. */
static bool start_due(struct agent *agent)
{
    uint64_t next_ms = 0;
    bool busy = false;

    for (unsigned i = 0; i < agent->count; i++) {
        struct member *member = &agent->members[i];

        if (member->due_ms && member->due_ms <= now_ms())
            start(agent, member);
        if (member->due_ms && (!next_ms || member->due_ms < next_ms))
            next_ms = member->due_ms;
        busy |= member->vm || member->due_ms;
    }
    /* A time of zero disarms. */
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(next_ms / 1000),
                                         .tv_nsec = (long)(next_ms % 1000) * 1000000}};

    timerfd_settime(agent->timer, TFD_TIMER_ABSTIME, &at, NULL);
    return busy;
}

static int run(struct agent *agent)
{
    struct pollfd *fds = calloc(DESCRIPTORS + agent->count, sizeof(*fds));

    if (!fds)
        return 1;
    fds[0] = (struct pollfd){.fd = agent->signals, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = agent->timer, .events = POLLIN};
    while (start_due(agent)) {
        for (unsigned i = 0; i < agent->count; i++) {
            struct husk_vm *vm = agent->members[i].vm;

            /* poll() passes over a negative descriptor */
            fds[DESCRIPTORS + i] =
                (struct pollfd){.fd = vm ? husk_vm_event_fd(vm) : -1, .events = POLLIN};
        }
        if (poll(fds, DESCRIPTORS + agent->count, -1) < 0)
            continue; /* interrupted: by a debugger, say */
        if (fds[0].revents)
            take_signal(agent);
        for (unsigned i = 0; i < agent->count; i++)
            take_events(agent, &agent->members[i]);
    }
    free(fds);
    printf("all VMs have ended\n");
    return 0;
}

/* Signals are blocked before there is any VM, and read from a descriptor. */
static int open_descriptors(struct agent *agent)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    agent->signals = signalfd(-1, &signals, SFD_CLOEXEC);
    agent->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return agent->signals < 0 || agent->timer < 0;
}

static int parse(struct agent *agent, int argc, char **argv)
{
    static const struct option options[] = {
        {"append", required_argument, NULL, 'a'},
        {"count", required_argument, NULL, 'c'},
        {"in-process", no_argument, NULL, 'i'},
        {"vmm", required_argument, NULL, 'v'},
        {0},
    };
    int c;

    agent->options = (struct husk_vm_options)HUSK_VM_OPTIONS_INIT;
    agent->options.log = log_line;
    agent->count = 3;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'a')
            agent->options.command_line_append = optarg;
        else if (c == 'c')
            agent->count = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'i')
            agent->options.mode = HUSK_MODE_IN_PROCESS;
        else if (c == 'v')
            agent->options.vmm_path = optarg;
        else
            return 1;
    }
    agent->options.kernel_path = argv[optind];
    return optind + 1 != argc || agent->count < 1 || agent->count > COUNT_MAX;
}

int main(int argc, char **argv)
{
    struct agent agent = {0};
    int status;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (parse(&agent, argc, argv)) {
        fprintf(stderr, "usage: node-agent [--count N] [--append TEXT] [--in-process] [--vmm PATH] "
                        "KERNEL\n");
        return 2;
    }
    agent.members = calloc(agent.count, sizeof(*agent.members));
    if (!agent.members || open_descriptors(&agent)) {
        perror("node-agent");
        return 1;
    }
    for (unsigned i = 0; i < agent.count; i++) {
        struct member *member = &agent.members[i];

        snprintf(member->id, sizeof(member->id), "vm%u", i + 1);
        member->pause_ms = PAUSE_FIRST_MS;
        member->due_ms = now_ms(); /* start_due() starts it */
    }
    status = run(&agent);
    free(agent.members);
    return status;
}
