// SPDX-License-Identifier: Apache-2.0
/*
 * husk run: boot one microVM with its console on this terminal, and end with a status that says how
 * it ended.
 *
 * One thread, one poll loop: the VM's events, signals (through a signalfd, so that nothing happens
 * in handlers), a control socket if one is asked for, and, when standard input is a terminal, its
 * keys, which go through the escape filter into a pipe that the guest's console reads. A standard
 * input that is not a terminal is given to the guest as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/timeline.h"
#include "cli/cli.h"
#include "cli/disk_kernel.h"
#include "cli/disk_source.h"
#include "cli/run_api.h"
#include "cli/run_form.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "cli/timeline.h"

struct run {
    struct run_options options;
    struct disk_kernel disk_kernel;
    struct husk_vm *vm;
    struct run_api api;
    struct timeline_file picture;
    struct terminal_filter filter;
    int signal_fd;
    int keys_read; /* pipe to the guest's console, when on a terminal */
    int keys_write;
    uint64_t started_ns;
    uint64_t parsed_ns;
    bool on_terminal;
    struct timeline_moments moments;
};

static void on_log(void *arg, enum husk_log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    cli_message("%s: %s", names[level], line);
}

/* Linux on a KVM that emulates ring 0 works, but hundreds of times slower: say so at once. */
static void warn_slow_host(const struct run *run)
{
    struct husk_vm_info info = {.size = sizeof(info)};

    if (access("/sys/module/kvm_pvm", F_OK) == 0 && husk_vm_info(run->vm, &info) == 0 &&
        info.kernel_is_linux)
        cli_message("warning: this host's KVM is of the PVM kind and emulates ordinary kernels "
                    "instruction by instruction: expect minutes (see: husk doctor)");
}

static int setup_signals(struct run *run)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd < 0 ? -errno : 0;
}

static int setup_console(struct run *run)
{
    struct husk_vm_options *vm = &run->options.vm;

    if (vm->console == HUSK_CONSOLE_NONE)
        return 0;
    vm->console_out_fd = STDOUT_FILENO;
    terminal_size(&vm->console_columns, &vm->console_rows);
    if (isatty(STDIN_FILENO)) {
        int ends[2];

        /* In the background the terminal's keys belong to somebody else. */
        if (!terminal_usable())
            return 0;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
            return -errno;
        run->keys_read = ends[0];
        run->keys_write = ends[1];
        run->on_terminal = true;
        vm->console_in_fd = run->keys_read;
    } else {
        vm->console_in_fd = STDIN_FILENO;
    }
    return 0;
}

/* What the options ask for as a VM; asks the host nothing. */
static int configure_vm(struct run *run, struct husk_error *err)
{
    const struct run_options *options = &run->options;
    int ret = husk_vm_new(&options->vm, &run->vm, err);

    /* First: on the PCI bus that they bring there is room for more of the others. */
    for (unsigned i = 0; !ret && i < options->vfio_count; i++)
        ret = husk_vm_add_vfio(run->vm, &options->vfios[i], err);
    for (unsigned i = 0; !ret && i < options->drive_count; i++)
        ret = husk_vm_add_drive(run->vm, &options->drives[i], err);
    for (unsigned i = 0; !ret && i < options->net_count; i++)
        ret = husk_vm_add_net(run->vm, &options->nets[i], err);
    if (!ret && options->vsock.path)
        ret = husk_vm_set_vsock(run->vm, &options->vsock, err);
    return ret;
}

/* A signal that asks for the end before there is a guest that could be stopped. */
static bool stop_requested(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
            sigismember(&pending, SIGHUP) || sigismember(&pending, SIGQUIT));
}

static void handle_keys(struct run *run)
{
    uint8_t keys[256];
    enum terminal_key key;
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

    if (n <= 0) {
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        /* The terminal hung up; SIGHUP tells what to do. The guest sees the end of input. */
        close_fd(&run->keys_write);
        return;
    }
    n = (ssize_t)terminal_filter(&run->filter, keys, (size_t)n, &key);
    /* A guest that does not read loses keys; the escape key must work all the same. */
    if (n > 0 && write(run->keys_write, keys, (size_t)n) < 0 && errno != EAGAIN)
        close_fd(&run->keys_write);
    switch (key) {
    case TERMINAL_QUIT:
        husk_vm_stop(run->vm, NULL);
        break;
    case TERMINAL_POWER_BUTTON:
        husk_vm_power_button(run->vm, NULL);
        break;
    case TERMINAL_CTRL_ALT_DEL:
        husk_vm_ctrl_alt_del(run->vm, NULL);
        break;
    case TERMINAL_HELP:
        cli_message("Ctrl-A x: stop; p: power button; d: Ctrl-Alt-Del; Ctrl-A: one Ctrl-A");
        break;
    case TERMINAL_NONE:
        break;
    }
}

static void handle_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        uint16_t columns, rows;

        switch (info.ssi_signo) {
        case SIGWINCH:
            terminal_size(&columns, &rows);
            husk_vm_console_resize(run->vm, columns, rows);
            break;
        case SIGTSTP:
            terminal_suspend();
            break;
        default:
            husk_vm_stop(run->vm, NULL);
            break;
        }
    }
}

/* Returns when the VM has stopped, with the event that says how. */
static int wait_for_end(struct run *run, struct husk_event *event)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = husk_vm_event_fd(run->vm), .events = POLLIN},
            {.fd = run->signal_fd, .events = POLLIN},
            {.fd = run->keys_write >= 0 ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = -1},
        };

        run_api_poll(&run->api, &fds[3]);
        if (poll(fds, ARRAY_SIZE(fds), run_api_timeout_ms(&run->api)) < 0 && errno != EINTR)
            return -errno;
        if (fds[1].revents)
            handle_signals(run);
        if (fds[2].revents)
            handle_keys(run);
        run_api_run(&run->api);
        while (husk_vm_next_event(run->vm, event) == 1) {
            run_api_note_event(&run->api, event);
            if (event->type == HUSK_EVENT_STOPPED)
                return 0;
        }
    }
}

static int status_of(const struct husk_event *event)
{
    switch (event->reason) {
    case HUSK_STOP_POWER_OFF:
        return STATUS_OK;
    case HUSK_STOP_GUEST_EXIT:
        return (int)min_u64(event->guest_status, STATUS_GUEST_MAX);
    case HUSK_STOP_RESET:
        cli_message("the guest asked for a reset");
        return STATUS_RESET;
    case HUSK_STOP_PANIC:
        cli_message("the guest's kernel panicked");
        return STATUS_PANIC;
    case HUSK_STOP_TRIPLE_FAULT:
        cli_message("the guest ended in a triple fault");
        return STATUS_TRIPLE_FAULT;
    case HUSK_STOP_HOST_REQUEST:
        cli_message("stopped from the host");
        return STATUS_HOST_REQUEST;
    default:
        cli_error(&event->error);
        return STATUS_MONITOR_ERROR;
    }
}

/* The VM's moments die with it; its pending console output must come out before our messages. */
static void collect_and_free(struct run *run)
{
    struct timeline_moments *moments = &run->moments;
    struct husk_vm_stats stats = {.size = sizeof(stats)};

    moments->at[0] = (struct husk_moment){timeline_name(TIMELINE_EXEC), run->started_ns};
    moments->at[1] = (struct husk_moment){timeline_name(TIMELINE_PARSED), run->parsed_ns};
    run_api_close(&run->api);
    moments->count = 2 + husk_vm_timeline(run->vm, moments->at + 2, TIMELINE_POINTS - 2);
    if (run->options.timeline && husk_vm_stats(run->vm, &stats, NULL) == 0)
        moments->pinned_bytes = stats.memory_pinned_bytes;
    husk_vm_free(run->vm);
    run->vm = NULL;
}

static int show_timeline(struct run *run)
{
    struct husk_error err;

    if (!run->picture.stream) {
        timeline_print(stderr, &run->moments);
        return STATUS_OK;
    }
    if (timeline_file_commit(&run->picture, &run->moments, &err)) {
        cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    return STATUS_OK;
}

/* From options to the guest's end. Returns an exit status. */
static int run_vm(struct run *run)
{
    struct husk_error err = {0};
    struct husk_event event;
    int status = STATUS_MONITOR_ERROR;
    int ret;

    ret = setup_signals(run);
    if (!ret)
        ret = setup_console(run);
    if (ret) {
        error_set(&err, -ret, "", "cannot set up signals and console", NULL);
        goto failed;
    }
    for (unsigned i = 0; i < run->options.drive_count; i++) {
        ret = disk_source_prepare(&run->options.sources[i], &run->options.drives[i],
                                  &run->options.texts, stop_requested);
        if (ret)
            return ret;
    }
    if (run->options.kernel_from_disk) {
        ret = disk_kernel_use(&run->disk_kernel, &run->options);
        if (ret)
            return ret;
    }
    ret = configure_vm(run, &err);
    if (ret) {
        if (ret != -ENOMEM)
            status = STATUS_USAGE;
        goto failed;
    }
    if (run->options.api_socket) {
        ret = run_api_listen(&run->api, run->options.api_socket, &err);
        if (ret)
            goto failed;
    }
    if (run->options.timeline_svg) {
        ret = timeline_file_open(&run->picture, run->options.timeline_svg, &err);
        if (ret)
            goto failed;
    }
    ret = husk_vm_build(run->vm, &err);
    if (ret)
        goto failed;
    if (stop_requested()) {
        cli_message("stopped from the host");
        return STATUS_HOST_REQUEST;
    }
    warn_slow_host(run);
    if (run->on_terminal) {
        ret = terminal_enter_raw();
        if (ret) {
            error_set(&err, -ret, "stdin", "cannot set the terminal to raw mode", NULL);
            goto failed;
        }
    }
    ret = husk_vm_start(run->vm, &err);
    if (!ret && run->options.api_socket)
        ret = run_api_serve(&run->api, run->vm, &run->options, &err);
    if (ret)
        goto failed;
    ret = wait_for_end(run, &event);
    if (ret) {
        error_set(&err, -ret, "", "cannot wait for events", NULL);
        goto failed;
    }
    collect_and_free(run);
    terminal_restore();
    status = status_of(&event);
    if (run->options.timeline) {
        ret = show_timeline(run);
        if (ret)
            status = ret;
    }
    return status;

failed:
    terminal_restore();
    cli_error(&err);
    return status;
}

/* Both forms' help, one after the other. */
static int show_help(void)
{
    command_print_help(&cmd_run);
    printf("\n");
    fflush(stdout);
    return pod_program_run(2, (char *[]){"run", "--help", NULL});
}

/* `run -d WORD` is a disk; who wanted an image learns how that is said. */
static int check_doubt(const struct run_doubt *doubt)
{
    bool detached = doubt->option && !strcmp(doubt->option, "-d");

    if (!doubt->option || doubt->value[strcspn(doubt->value, ",")] ||
        access(doubt->value, F_OK) == 0 || errno != ENOENT)
        return 0;
    return cli_usage_error(&cmd_run,
                           "%s %s: there is no such file for a machine; a container of that image "
                           "is `husk run %s %s`",
                           doubt->option, doubt->value, detached ? "--detach" : "--interactive",
                           doubt->value);
}

static int run_machine(int argc, char **argv, uint64_t started_ns)
{
    struct run run = {.signal_fd = -1,
                      .keys_read = -1,
                      .keys_write = -1,
                      .started_ns = started_ns,
                      .api = RUN_API_INIT,
                      .disk_kernel.found = HUSK_IMAGE_KERNEL_INIT};
    int status = run_options_parse(&run.options, argc, argv);

    if (!status && run.options.help) {
        status = show_help();
    } else if (!status) {
        run.options.vm.log = on_log;
        run.parsed_ns = monotonic_ns();
        status = run_vm(&run);
        run_api_close(&run.api);
        husk_vm_free(run.vm); /* drains the console, so before the terminal's pipe closes */
        disk_kernel_release(&run.disk_kernel);
        timeline_file_abandon(&run.picture);
        close_fd(&run.keys_write);
        close_fd(&run.keys_read);
        close_fd(&run.signal_fd);
    }
    run_options_release(&run.options);
    return status;
}

static int cmd_run_main(int argc, char **argv, uint64_t started_ns)
{
    struct run_doubt doubt;
    int status;

    if (run_form_of(argc, argv, &doubt) == RUN_CONTAINER)
        return pod_program_run(argc, argv);
    status = check_doubt(&doubt);
    return status ? status : run_machine(argc, argv, started_ns);
}

const struct command cmd_run = {
    .name = "run",
    .summary = "run a container of an image, or boot a microVM",
    .synopsis = "run [-k KERNEL] [-i INITRD] [-a APPEND] [-m SIZE] [-c N] [-d DISK]... [-n NET]... "
                "[OPTION...]",
    .help =
        "  -k, --kernel FILE    vmlinux (ELF, also gzip or zstd) or bzImage; without it what "
        "the\n"
        "                       first disk brings along; without a disk, the kernel built by\n"
        "                       guest/kernel/build\n"
        "  -i, --initrd FILE    initial RAM disk\n"
        "  -a, --append TEXT    words added to the default kernel command line\n"
        "  -m, --memory SIZE[,shared][,hugepages][,free-page-reporting]\n"
        "                       guest memory, default 256M; shared: a memfd that peers can map;\n"
        "                       hugepages: in 2 MiB pages that the host has reserved\n"
        "                       free-page-reporting: the guest gives back what it does not use\n"
        "  -c, --cpus N[,threads=2]\n"
        "                       virtual CPUs, default 1; threads: how many make a core\n"
        "  -d, --disk FILE[,id=ID][,ro][,engine=uring|threads][,queues=N][,iops=N][,bw=SIZE]\n"
        "                       a raw file or block device as /dev/vda, vdb, ...; locked while in\n"
        "                       use; iops and bw (bytes) limit it per second. ',,' is a comma\n"
        "     ...[,format=raw|qcow2][,overlay=FILE]\n"
        "                       a qcow2 image is read-only (ro), or FILE is made of it, once, and "
        "is\n"
        "                       the disk\n"
        "  -n, --net tap=NAME[,id=ID][,mac=MAC][,vhost=on|off][,queues=N][,mtu=N][,bw=SIZE]\n"
        "                       an existing tap interface as eth0, eth1, ...\n"
        "      --vsock cid=N,path=FILE\n"
        "                       virtio sockets: host programs connect to the unix socket FILE, "
        "the\n"
        "                       guest's connections to host port N go to FILE_N\n"
        "      --vfio ADDRESS[,id=ID][,iommu=auto|iommufd|group][,fd=N][,group-fd=N][,iommu-fd=N]\n"
        "                       a PCI device of the host, bound to vfio-pci (see husk vf), opened "
        "by\n"
        "                       its address, or by whoever left these descriptors open\n"
        "      --console serial|virtio|none\n"
        "                       where the guest's console is, default serial (ttyS0)\n"
        "      --transport auto|mmio|pci\n"
        "                       how the guest finds its virtio devices, default auto: mmio "
        "without\n"
        "                       --vfio; pci: on a PCI bus with MSI-X, as distribution kernels "
        "expect\n"
        "      --api-sock PATH  serve Firecracker's API there, for `husk vm` and others\n"
        "      --no-rng         without the entropy device\n"
        "      --no-jail        run the VM in this process, not in a jailed one of its own\n"
        "      --timeline[=FILE.svg]\n"
        "                       say where the time went, on standard error or as a picture\n"
        "  -v, --verbose        more messages; twice for debugging\n"
        "\n"
        "On a terminal, Ctrl-A x stops the VM, Ctrl-A p presses its power button, Ctrl-A d its\n"
        "Ctrl-Alt-Del, Ctrl-A Ctrl-A sends one Ctrl-A, Ctrl-A h says so.\n"
        "\n"
        "Exit status: 0 the guest powered off; 0..118 what it wrote to the debug-exit port "
        "(0xf4);\n"
        "119 usage error; 120 reset; 121 kernel panic; 122 triple fault; 123 stopped from the\n"
        "host; 125 monitor, host or file error.\n",
    .run = cmd_run_main,
};
