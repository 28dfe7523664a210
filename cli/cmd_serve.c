// SPDX-License-Identifier: Apache-2.0
/*
 * husk serve: one microVM behind a control socket, as a program that replaces Firecracker's.
 *
 * One thread and one poll loop for the socket, signals (through a signalfd), the VM's events, the
 * metrics' period and the serial port's output; the VM runs on threads of its own in this process.
 * The process ends with its guest, or when a signal asks for it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "http/api_socket.h"
#include "cli/cli.h"
#include "cli/serve_options.h"
#include "cli/terminal.h"
#include "jail/seccomp.h"

struct serve {
    struct serve_options options;
    struct api *api;
    struct api_server *server; /* NULL: --no-api */
    struct api_socket socket;
    int signal_fd;
    bool raw; /* the terminal is the guest's */
};

static int setup_signals(struct serve *serve)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    /* A limit on the size of files is an error of the write that met it, not the guest's end. */
    signal(SIGXFSZ, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    serve->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return serve->signal_fd < 0 ? -errno : 0;
}

/* The guest's serial port is on standard input and output. A terminal in the background belongs to
 * somebody else. */
static void choose_console(struct serve *serve)
{
    struct api_options *options = &serve->options.api;

    options->console_out_fd = STDOUT_FILENO;
    if (!isatty(STDIN_FILENO) || terminal_usable())
        options->console_in_fd = STDIN_FILENO;
}

/* From the start on, keys are the guest's, Ctrl-C too. */
static void own_terminal(struct serve *serve)
{
    if (!serve->raw && api_vm(serve->api) && terminal_usable())
        serve->raw = terminal_enter_raw() == 0;
}

static int shorter(int a_ms, int b_ms)
{
    if (a_ms < 0 || b_ms < 0)
        return a_ms < 0 ? b_ms : a_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

/* Fetch the VM's events. True when it has stopped, with the event that says how. */
static bool take_events(struct serve *serve, struct husk_event *event)
{
    struct husk_vm *vm = api_vm(serve->api);

    while (vm && husk_vm_next_event(vm, event) == 1) {
        api_note_event(serve->api, event);
        if (event->type == HUSK_EVENT_STOPPED)
            return true;
    }
    return false;
}

/* A signal that asks for the end has come. */
static bool take_signals(struct serve *serve)
{
    struct signalfd_siginfo info;

    if (read(serve->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    api_log_info(serve->api, "Ended by signal %u.", info.ssi_signo);
    return true;
}

static int status_of(const struct husk_event *event)
{
    if (event->reason != HUSK_STOP_MONITOR_ERROR)
        return SERVE_OK;
    cli_error(&event->error);
    return SERVE_ERROR;
}

/* Until the guest's end or a signal. Returns an exit status. */
static int loop(struct serve *serve)
{
    for (;;) {
        struct husk_vm *vm = api_vm(serve->api);
        struct husk_event event;
        struct pollfd fds[] = {
            {.fd = serve->signal_fd, .events = POLLIN},
            {.fd = serve->server ? api_server_fd(serve->server) : -1, .events = POLLIN},
            {.fd = vm ? husk_vm_event_fd(vm) : -1, .events = POLLIN},
            {.fd = -1},
        };
        int timeout_ms =
            shorter(api_metrics_timeout_ms(serve->api), api_console_timeout_ms(serve->api));

        api_console_poll(serve->api, &fds[3]);
        if (serve->server)
            timeout_ms = shorter(timeout_ms, api_server_timeout_ms(serve->server));
        if (poll(fds, ARRAY_SIZE(fds), timeout_ms) < 0 && errno != EINTR) {
            cli_message("cannot wait for events: %s", strerror(errno));
            return SERVE_ERROR;
        }
        if (take_signals(serve))
            return SERVE_OK;
        if (serve->server)
            api_server_run(serve->server);
        own_terminal(serve);
        api_console_run(serve->api);
        api_metrics_run(serve->api);
        if (take_events(serve, &event))
            return status_of(&event);
    }
}

static int set_up_api(struct serve *serve, struct husk_error *err)
{
    const struct serve_options *options = &serve->options;
    int ret = api_create(&options->api, &serve->api, err);

    if (!ret && options->log_given)
        ret = api_set_log(serve->api, &options->log, err);
    if (!ret)
        api_log_info(serve->api, "Running husk v%s", husk_version());
    if (!ret && options->metrics_path)
        ret = api_set_metrics_path(serve->api, options->metrics_path, err);
    /* The socket is there before a VM is built, so that clients can queue up. */
    if (!ret && !options->no_api)
        ret = api_socket_open(&serve->socket, options->socket_path, err);
    if (!ret && options->config_path)
        ret = api_load_config_file(serve->api, options->config_path, err);
    if (!ret && !options->no_api)
        ret = api_server_create(serve->api, serve->socket.fd, options->payload_max_bytes,
                                &serve->server, err);
    return ret;
}

/* Returns an exit status. */
static int serve_vm(struct serve *serve)
{
    struct husk_error err = {0};
    char text[600];
    int ret = setup_signals(serve);

    if (ret) {
        cli_message("cannot set up signals: %s", strerror(-ret));
        return SERVE_ERROR;
    }
    /* The VM's threads inherit this filter and get narrower ones of their own. */
    ret = serve->options.api.no_seccomp ? 0 : seccomp_install(SECCOMP_API);
    if (ret) {
        cli_message("cannot install the filter of system calls: %s (--no-seccomp goes without)",
                    strerror(-ret));
        return SERVE_ERROR;
    }
    choose_console(serve);
    if (set_up_api(serve, &err)) {
        cli_error(&err);
        if (serve->api)
            api_log_error(serve->api, "%s", error_format(&err, text, sizeof(text)));
        return SERVE_ERROR;
    }
    api_note_ready(serve->api);
    if (serve->server)
        api_log_info(serve->api, "API server started.");
    own_terminal(serve);
    return loop(serve);
}

static int cmd_serve_main(int argc, char **argv, uint64_t started_ns)
{
    struct serve serve = {.signal_fd = -1, .socket.fd = -1};
    int status = serve_options_parse(&serve.options, argc, argv);

    if (status)
        return status;
    if (serve.options.help) {
        command_print_help(&cmd_serve);
        return SERVE_OK;
    }
    if (serve.options.version) {
        printf("husk v%s\n", husk_version());
        return SERVE_OK;
    }
    status = serve_vm(&serve);
    /* No more requests, then the VM and what it still has to say, then the file: who sees it gone
     * knows that everything is. */
    api_server_destroy(serve.server);
    if (serve.api)
        api_log_info(serve.api, "husk exiting. exit_code=%d", status);
    api_destroy(serve.api);
    api_socket_close(&serve.socket);
    if (serve.raw)
        terminal_restore();
    close_fd(&serve.signal_fd);
    return status;
}

const struct command cmd_serve = {
    .name = "serve",
    .summary = "one microVM behind a control socket with Firecracker's API",
    .synopsis = "serve [--api-sock PATH] [--id ID] [--config-file FILE [--no-api]] [OPTION...]",
    .help =
        "  --api-sock PATH      the unix socket, default /run/firecracker.socket; a stale one is\n"
        "                       replaced\n"
        "  --id ID              names the VM: letters, digits and -\n"
        "  --config-file FILE   configure and start from JSON, as GET /vm/config gives it\n"
        "  --no-api             without a socket; wants --config-file\n"
        "  --log-path FILE      a file or FIFO, default standard error\n"
        "  --level LEVEL        Off, Error, Warning, Info or Debug; --show-level shows it\n"
        "  --module NAME        log only this part of the program; --show-log-origin shows it\n"
        "  --metrics-path FILE  a line of JSON every minute to a file or FIFO\n"
        "  --boot-timer         log how long the guest took to its init\n"
        "  --enable-pci         devices on a PCI bus, not in virtio-mmio windows\n"
        "  --no-seccomp         without filters of system calls; not recommended\n"
        "  --http-api-max-payload-size N\n"
        "                       bytes of a request's body, default 51200\n"
        "  --start-time-us, --start-time-cpu-us, --parent-cpu-time-us N\n"
        "                       for the start-up times among the metrics\n"
        "  --version            print the version\n"
        "\n"
        "The guest's serial port is on standard input and output. Exit status: 0 the guest or a\n"
        "signal ended it; 1 an error; 152 a bad configuration of the log; 153 a bad command line.\n"
        "Called as husk-firecracker, husk is `husk serve`.\n",
    .run = cmd_serve_main,
};
