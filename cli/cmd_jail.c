// SPDX-License-Identifier: Apache-2.0
/*
 * husk jail: start a program, husk itself in the first place, in a jail of files, with the flags of
 * Firecracker's jailer. jail/jailer.h does the work; this is its command line and its end.
 *
 * A program from outside is copied into the jail and executed there. husk itself may need shared
 * libraries that no jail has, but it is in memory already: it goes inside and on with `serve`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "cli/cli.h"
#include "cli/jail_options.h"
#include "jail/jailer.h"

/* What the program is told in front of the user's arguments. */
struct told {
    const char **argv; /* owned; argv[0] is left free */
    int argc;
    char start_us[24], start_cpu_us[24], parent_cpu_us[24];
};

static uint64_t cpu_time_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void format_number(char text[24], uint64_t number)
{
    snprintf(text, 24, "%" PRIu64, number);
}

static int make_arguments(struct told *told, const struct jail_options *options, int argc,
                          char **argv)
{
    const char *const first[] = {"--id",
                                 options->id,
                                 "--start-time-us",
                                 told->start_us,
                                 "--start-time-cpu-us",
                                 told->start_cpu_us,
                                 "--parent-cpu-time-us",
                                 told->parent_cpu_us};

    told->argv =
        calloc(1 + ARRAY_SIZE(first) + (size_t)(argc - options->rest) + 1, sizeof(told->argv[0]));
    if (!told->argv) {
        cli_message("out of memory");
        return STATUS_MONITOR_ERROR;
    }
    told->argc = 1;
    for (unsigned i = 0; i < ARRAY_SIZE(first); i++)
        told->argv[told->argc++] = first[i];
    for (int i = options->rest; i < argc; i++)
        told->argv[told->argc++] = argv[i];
    return 0;
}

/* Inside, without rights. */
static int run_program(struct jailer *jailer, struct told *told, uint64_t started_ns)
{
    struct husk_error err;

    if (!jailer_runs_itself(jailer)) {
        jailer_exec(jailer, told->argv, &err);
        if (!jailer_is_child(jailer)) /* else the parent says it */
            cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    jailer_leave(jailer);
    clearenv();
    told->argv[0] = "serve";
    /* getopt() and its users do not write to the texts, whatever their type says. */
    return command_find("serve")->run(told->argc, (char **)told->argv, started_ns);
}

/* Returns as jailer_enter() does. */
static int go_inside(struct jailer *jailer, struct told *told, uint64_t started_ns,
                     struct husk_error *err)
{
    uint64_t cpu_us = cpu_time_us();
    int ret = jailer_enter(jailer, err);

    format_number(told->start_us, started_ns / 1000);
    /* A child's CPU time begins with it: what came before was its parent's. */
    format_number(told->start_cpu_us, jailer_is_child(jailer) ? cpu_time_us() : 0);
    format_number(told->parent_cpu_us, jailer_is_child(jailer) ? cpu_us : 0);
    return ret;
}

static int jail_program(const struct jailer_plan *plan, struct told *told, uint64_t started_ns)
{
    struct jailer *jailer;
    struct husk_error err;
    int ret = jailer_open(plan, &jailer, &err), status = STATUS_MONITOR_ERROR;

    if (ret) {
        cli_error(&err);
        return status;
    }
    if (jailer_runs_itself(jailer) && !command_find("serve")) {
        cli_message("jail: %s: this husk was built without `husk serve`", plan->program_path);
        jailer_free(jailer);
        return status;
    }
    ret = go_inside(jailer, told, started_ns, &err);
    if (ret == 0)
        status = run_program(jailer, told, started_ns);
    else if (ret > 0)
        status = STATUS_OK;
    else if (!jailer_is_child(jailer)) /* else the parent says it */
        cli_error(&err);
    jailer_free(jailer);
    return status;
}

static int run_with_options(const struct jail_options *options, int argc, char **argv,
                            uint64_t started_ns)
{
    struct jailer_cgroup_value values[JAIL_CGROUP_VALUES_MAX];
    const struct jailer_plan plan = {
        .id = options->id,
        .program_path = options->exec_file,
        .base_dir = options->base_dir,
        .uid = options->uid,
        .gid = options->gid,
        .netns_path = options->netns,
        .new_pid_ns = options->new_pid_ns,
        .daemonize = options->daemonize,
        .parent_cgroup = options->parent_cgroup,
        .cgroup_values = values,
        .cgroup_value_count = options->cgroup_count,
        .nofile = options->nofile,
        .fsize_bytes = options->fsize_bytes,
    };
    struct told told;
    int status = make_arguments(&told, options, argc, argv);

    if (status)
        return status;
    for (unsigned i = 0; i < options->cgroup_count; i++)
        values[i] =
            (struct jailer_cgroup_value){options->cgroup_files[i], options->cgroup_values[i]};
    status = jail_program(&plan, &told, started_ns);
    free(told.argv);
    return status;
}

static int run_jail(int argc, char **argv, uint64_t started_ns)
{
    struct jail_options options;
    int status;

    /* Whatever our caller had open is none of the program's business. */
    close_range(STDERR_FILENO + 1, ~0u, 0);
    status = jail_options_parse(&options, argc, argv);
    if (!status) {
        if (options.help)
            command_print_help(&cmd_jail);
        else
            status = run_with_options(&options, argc, argv, started_ns);
    }
    jail_options_release(&options);
    return status;
}

const struct command cmd_jail = {
    .name = "jail",
    .summary = "start a program in a jail of files, as Firecracker's jailer does",
    .synopsis = "jail --id ID --exec-file FILE --uid N --gid N [OPTION...] [-- ARGUMENT...]",
    .help =
        "  --id ID                   names the jail: A-Z a-z 0-9 -, at most 64\n"
        "  --exec-file FILE          the program: husk or husk-firecracker, which then serves its\n"
        "                            control socket; or any statically linked program\n"
        "  --uid N, --gid N          whom it runs as; not root\n"
        "  --chroot-base-dir DIR     where jails are (/srv/jailer): its root directory becomes\n"
        "                            DIR/NAME OF FILE/ID/root\n"
        "  --netns FILE              run in this network namespace\n"
        "  --new-pid-ns              run in a new pid namespace\n"
        "  --daemonize               run in the background, standard streams at /dev/null\n"
        "  --cgroup FILE=VALUE       run in a cgroup PARENT/ID with this setting, such as\n"
        "                            memory.max=1G; may be repeated\n"
        "  --parent-cgroup PARENT    below /sys/fs/cgroup (the file's name); without --cgroup the\n"
        "                            program joins this one\n"
        "  --cgroup-version 2        the only one\n"
        "  --resource-limit LIMIT    fsize=BYTES, no-file=NUMBER (2048); may be repeated\n"
        "\n"
        "Only root can do this. The program is given --id ID, the times of its start, and the\n"
        "arguments; its process id is in NAME.pid in its root directory, which stays when it "
        "ends.\n",
    .run = run_jail,
};
