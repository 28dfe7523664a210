// SPDX-License-Identifier: Apache-2.0
/*
 * From root on the host to a user in a jail: see jailer.h. Owns what is being built until the
 * program runs; from then on it stays, as with Firecracker's jailer, for whoever started it to
 * remove.
 *
 * Invariants: whatever is made is registered before and undone by jailer_free(), by the one process
 * that owns it (the parent, once there is a child). All that is likely to fail comes before the
 * process gives up root; executing the program, which does not, was checked.
 *
 * The parent waits for its child over a pair of sockets: "go" to the child when its pid is written
 * down; from the child "inside", then nothing more (the program runs: the socket closed) or what
 * failed.
 */
#include "jail/jailer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "jail/cgroup.h"
#include "jail/chroot.h"
#include "jail/program.h"
#include "jail/registry.h"
#include "jail/walls.h"

struct jailer {
    const struct jailer_plan *plan;
    struct program program;
    struct registry *registry;
    struct chroot *chroot;
    struct cgroup *cgroup;
    int cgroup_slot;
    int netns_fd;
    int null_fd;
    int peer_fd; /* parent's or child's end; -1 without a fork */
    bool is_child;
    bool joined; /* this process is in the cgroup */
    bool kept;   /* what was made stays */
};

/* Linux, Documentation/admin-guide/devices.txt. */
static const struct {
    const char *path;
    unsigned major, minor;
} devices[] = {{"dev/kvm", 10, 232}, {"dev/net/tun", 10, 200}, {"dev/urandom", 1, 9}};

static int add_devices(struct jailer *jailer, struct husk_error *err)
{
    struct stat st;
    int ret = 0;

    for (unsigned i = 0; !ret && i < ARRAY_SIZE(devices); i++)
        ret = chroot_add_device(jailer->chroot, devices[i].path,
                                makedev(devices[i].major, devices[i].minor), err);
    /* Its number is given when the module is loaded. */
    if (!ret && lstat("/dev/userfaultfd", &st) == 0 && S_ISCHR(st.st_mode))
        ret = chroot_add_device(jailer->chroot, "dev/userfaultfd", st.st_rdev, err);
    return ret;
}

/* One of its own, for the values. */
static int make_cgroup(struct jailer *jailer, struct husk_error *err)
{
    const struct jailer_plan *plan = jailer->plan;
    int ret = cgroup_new(NULL, plan->parent_cgroup ? plan->parent_cgroup : jailer->program.name,
                         plan->id, &jailer->cgroup, err);

    if (ret)
        return ret;
    jailer->cgroup_slot =
        registry_record(jailer->registry, REGISTRY_CGROUP, cgroup_path(jailer->cgroup), err);
    if (jailer->cgroup_slot < 0)
        return jailer->cgroup_slot;
    ret = cgroup_make(jailer->cgroup, err);
    if (ret) {
        registry_forget(jailer->registry, jailer->cgroup_slot);
        return ret;
    }
    ret = registry_made(jailer->registry, jailer->cgroup_slot, cgroup_fd(jailer->cgroup), err);
    for (unsigned i = 0; !ret && i < plan->cgroup_value_count; i++)
        ret = cgroup_set(jailer->cgroup, plan->cgroup_values[i].file, plan->cgroup_values[i].value,
                         err);
    return ret;
}

/* One that is there. */
static int find_cgroup(struct jailer *jailer, struct husk_error *err)
{
    const char *path = jailer->plan->parent_cgroup;
    const char *slash = strrchr(path, '/');
    char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
    int ret;

    if (!above)
        return error_set(err, ENOMEM, path, "cannot open the cgroup", NULL);
    ret = cgroup_new(NULL, above, slash ? slash + 1 : path, &jailer->cgroup, err);
    free(above);
    return ret ? ret : cgroup_open(jailer->cgroup, err);
}

/* What is only looked for, before anything is made. */
static int find_things(struct jailer *jailer, struct husk_error *err)
{
    const struct jailer_plan *plan = jailer->plan;
    int ret = program_open(plan->program_path, &jailer->program, err);

    if (ret)
        return ret;
    if (plan->netns_path) {
        jailer->netns_fd = open(plan->netns_path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (jailer->netns_fd < 0)
            return error_set(err, errno, plan->netns_path, "cannot open the network namespace",
                             NULL);
    }
    jailer->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (jailer->null_fd < 0)
        return error_set(err, errno, "/dev/null", "cannot open", NULL);
    return plan->parent_cgroup && !plan->cgroup_value_count ? find_cgroup(jailer, err) : 0;
}

static int make_things(struct jailer *jailer, struct husk_error *err)
{
    const struct jailer_plan *plan = jailer->plan;
    const char *name = jailer->program.name;
    int ret;

    /* Whatever cannot be swept away now is in nobody's way but its own id's. */
    registry_sweep(NULL, NULL, NULL);
    ret = registry_open(NULL, plan->id, &jailer->registry, err);
    if (!ret)
        ret = chroot_create(plan->base_dir, name, plan->id, plan->uid, plan->gid, jailer->registry,
                            &jailer->chroot, err);
    if (!ret && !jailer->program.own)
        ret = chroot_add_program(jailer->chroot, name, jailer->program.fd, err);
    if (!ret)
        ret = add_devices(jailer, err);
    if (!ret && plan->cgroup_value_count)
        ret = make_cgroup(jailer, err);
    return ret;
}

int jailer_open(const struct jailer_plan *plan, struct jailer **out, struct husk_error *err)
{
    struct jailer *jailer;
    int ret;

    if (geteuid() != 0)
        return error_set(
            err, EPERM, "jail", "only root can make one",
            "it makes device nodes and becomes another user; `husk run` needs no root");
    jailer = calloc(1, sizeof(*jailer));
    if (!jailer)
        return error_set(err, ENOMEM, plan->id, "cannot make the jail", NULL);
    jailer->plan = plan;
    jailer->program.fd = jailer->netns_fd = jailer->null_fd = jailer->peer_fd = -1;
    jailer->cgroup_slot = -1;
    ret = find_things(jailer, err);
    if (!ret)
        ret = make_things(jailer, err);
    if (ret) {
        jailer_free(jailer);
        return ret;
    }
    *out = jailer;
    return 0;
}

bool jailer_runs_itself(const struct jailer *jailer)
{
    return jailer->program.own;
}

bool jailer_is_child(const struct jailer *jailer)
{
    return jailer->is_child;
}

/* Namespaces: those of mounts and of the network for this process, of processes for its child. */
static int enter_namespaces(struct jailer *jailer, struct husk_error *err)
{
    int ret;

    if (jailer->netns_fd >= 0 && setns(jailer->netns_fd, CLONE_NEWNET) < 0)
        return error_set(err, errno, jailer->plan->netns_path, "cannot enter the network namespace",
                         errno == EINVAL ? "it is not one" : NULL);
    ret = chroot_enter(jailer->chroot, err);
    if (ret)
        return ret;
    if (jailer->plan->new_pid_ns && unshare(CLONE_NEWPID) < 0)
        return error_set(err, errno, "--new-pid-ns", "cannot make a pid namespace", NULL);
    return 0;
}

static int set_limit(int resource, uint64_t value, const char *flag, struct husk_error *err)
{
    const struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

    return setrlimit((__rlimit_resource_t)resource, &limit) < 0
               ? error_set(err, errno, flag, "cannot set the limit", NULL)
               : 0;
}

/* The last things that root does for the program, in the program's process. */
static int prepare_process(struct jailer *jailer, bool leads_session, struct husk_error *err)
{
    const struct jailer_plan *plan = jailer->plan;
    int ret;

    /* A session's leader that ends, as our parent will, sends SIGHUP to the rest of it. */
    if ((plan->daemonize || leads_session) && setsid() < 0 && errno != EPERM)
        return error_set(err, errno, "jail", "cannot start a session", NULL);
    for (int fd = STDIN_FILENO; plan->daemonize && fd <= STDERR_FILENO; fd++) {
        if (dup2(jailer->null_fd, fd) < 0)
            return error_set(err, errno, "/dev/null", "cannot become a standard stream", NULL);
    }
    ret = set_limit(RLIMIT_NOFILE, plan->nofile, "--resource-limit no-file", err);
    if (!ret && plan->fsize_bytes != UINT64_MAX)
        ret = set_limit(RLIMIT_FSIZE, plan->fsize_bytes, "--resource-limit fsize", err);
    return ret;
}

static int join_cgroup(struct jailer *jailer, struct husk_error *err)
{
    int ret = jailer->cgroup ? cgroup_attach(jailer->cgroup, 0, err) : 0;

    jailer->joined = !ret && jailer->cgroup;
    return ret;
}

/* The walls of jail.h that concern rights, for good. */
static int give_up_rights(const struct jailer *jailer, struct husk_error *err)
{
    static const struct {
        const char *name;
        int (*put_up)(struct jail_progress *progress);
    } walls[] = {
        {"capability bounding set", wall_bounding_set},
        {"secure bits", wall_securebits},
        {"user", wall_user},
        {"capabilities", wall_capabilities},
        {"no_new_privs", wall_no_new_privs},
    };
    const struct jail_plan plan = {.uid = jailer->plan->uid, .gid = jailer->plan->gid};
    struct jail_progress progress = {.plan = &plan};

    for (unsigned i = 0; i < ARRAY_SIZE(walls); i++) {
        int ret = walls[i].put_up(&progress);

        if (ret)
            return error_set(err, -ret, walls[i].name, "cannot give up root's rights", NULL);
    }
    return 0;
}

static void close_things(struct jailer *jailer)
{
    registry_close(jailer->registry);
    chroot_free(jailer->chroot);
    cgroup_free(jailer->cgroup);
    jailer->registry = NULL;
    jailer->chroot = NULL;
    jailer->cgroup = NULL;
    program_close(&jailer->program);
    close_fd(&jailer->netns_fd);
    close_fd(&jailer->null_fd);
}

static void undo_things(struct jailer *jailer)
{
    if (jailer->joined)
        cgroup_leave(jailer->cgroup, NULL);
    if (jailer->cgroup && !cgroup_remove(jailer->cgroup, NULL) && jailer->registry)
        registry_forget(jailer->registry, jailer->cgroup_slot);
    if (jailer->chroot)
        chroot_remove(jailer->chroot, NULL);
}

void jailer_free(struct jailer *jailer)
{
    if (!jailer)
        return;
    if (!jailer->kept && !jailer->is_child)
        undo_things(jailer);
    close_things(jailer);
    close_fd(&jailer->peer_fd);
    free(jailer);
}

/* NAME.pid, for whoever looks after the program, and the directories for the program. */
static int finish_files(struct jailer *jailer, pid_t pid, struct husk_error *err)
{
    char name[NAME_MAX + 8];
    int ret;

    snprintf(name, sizeof(name), "%s.pid", jailer->program.name);
    ret = chroot_add_number(jailer->chroot, name, pid, err);
    return ret ? ret : chroot_hand_over(jailer->chroot, err);
}

static int keep_things(struct jailer *jailer, struct husk_error *err)
{
    int ret = registry_keep(jailer->registry);

    if (ret)
        return error_set(err, -ret, chroot_path(jailer->chroot),
                         "cannot take the jail off the registry", NULL);
    jailer->kept = true;
    return 0;
}

static int enter_alone(struct jailer *jailer, struct husk_error *err)
{
    int ret = finish_files(jailer, getpid(), err);

    if (!ret)
        ret = prepare_process(jailer, false, err);
    /* Without a parent this has to come before the rights are gone; what fails is still undone. */
    if (!ret)
        ret = keep_things(jailer, err);
    if (!ret)
        ret = join_cgroup(jailer, err);
    if (!ret)
        ret = give_up_rights(jailer, err);
    if (ret) {
        jailer->kept = false;
        return ret;
    }
    close_things(jailer);
    return 0;
}

/* What parent and child tell each other. */
struct message {
    enum { MESSAGE_GO, MESSAGE_INSIDE, MESSAGE_FAILED } kind;
    struct husk_error error;
};

static void tell(struct jailer *jailer, int kind, const struct husk_error *error)
{
    struct message message = {.kind = kind};

    if (error)
        message.error = *error;
    /* Nobody there to hear it is what the other side's recv() tells. */
    if (send(jailer->peer_fd, &message, sizeof(message), MSG_NOSIGNAL) < 0)
        close_fd(&jailer->peer_fd);
}

/* False when the other side has gone. */
static bool hear(struct jailer *jailer, struct message *message)
{
    ssize_t n;

    do {
        n = recv(jailer->peer_fd, message, sizeof(*message), 0);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*message);
}

static int child_goes_inside(struct jailer *jailer, bool leads_session, struct husk_error *err)
{
    struct message message;
    struct husk_error why;
    int ret;

    if (!hear(jailer, &message))
        return error_set(err, ECANCELED, "jail", "the process that makes it has gone",
                         "it was killed");
    ret = prepare_process(jailer, leads_session, &why);
    if (!ret)
        ret = join_cgroup(jailer, &why);
    close_things(jailer);
    if (!ret)
        ret = give_up_rights(jailer, &why);
    if (ret) {
        tell(jailer, MESSAGE_FAILED, &why);
    } else {
        /* Once the parent has heard this, it takes the jail off the registry: only then may there
         * be something in it that counts. */
        tell(jailer, MESSAGE_INSIDE, NULL);
        if (hear(jailer, &message))
            return 0;
        ret = error_set(&why, ECANCELED, "jail", "the process that makes it has gone",
                        "it was killed");
    }
    if (err)
        *err = why;
    return ret;
}

/* Returns 0 when the program runs. */
static int watch_child(struct jailer *jailer, pid_t pid, struct husk_error *err)
{
    static const char what[] = "the program was not started";
    struct message message;
    int ret = finish_files(jailer, pid, err);

    if (ret)
        return ret;
    tell(jailer, MESSAGE_GO, NULL);
    if (!hear(jailer, &message))
        return error_set(err, ECHILD, chroot_path(jailer->chroot), what, "its process was killed");
    if (message.kind == MESSAGE_INSIDE) {
        ret = keep_things(jailer, err);
        if (ret)
            return ret;
        tell(jailer, MESSAGE_GO, NULL);
        if (!hear(jailer, &message))
            return 0;
        jailer->kept = false;
    }
    if (err)
        *err = message.error;
    return -message.error.code;
}

static int enter_as_child(struct jailer *jailer, bool leads_session, struct husk_error *err)
{
    int ends[2], ret;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set(err, errno, "jail", "cannot make a pair of sockets", NULL);
    pid = fork();
    if (pid < 0) {
        ret = error_set(err, errno, "jail", "cannot make a process for the program", NULL);
        close_fd(&ends[0]);
        close_fd(&ends[1]);
        return ret;
    }
    jailer->peer_fd = ends[pid == 0];
    close_fd(&ends[pid != 0]);
    jailer->is_child = pid == 0;
    if (jailer->is_child)
        return child_goes_inside(jailer, leads_session, err);
    ret = watch_child(jailer, pid, err);
    if (!ret)
        return 1;
    close_fd(&jailer->peer_fd);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return ret;
}

int jailer_enter(struct jailer *jailer, struct husk_error *err)
{
    bool leads_session = getsid(0) == getpid();
    int ret = enter_namespaces(jailer, err);

    if (ret)
        return ret;
    if (jailer->plan->daemonize || jailer->plan->new_pid_ns)
        return enter_as_child(jailer, leads_session, err);
    return enter_alone(jailer, err);
}

int jailer_exec(struct jailer *jailer, const char **argv, struct husk_error *err)
{
    char *no_environment[] = {NULL}, path[NAME_MAX + 2];
    struct husk_error why;
    sigset_t none;
    int ret;

    snprintf(path, sizeof(path), "/%s", jailer->program.name);
    argv[0] = path;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execve(path, (char *const *)argv, no_environment); /* it changes none of the texts */
    ret = error_set(&why, errno, path, "cannot execute the program", NULL);
    if (jailer->is_child)
        tell(jailer, MESSAGE_FAILED, &why);
    if (err)
        *err = why;
    return ret;
}

void jailer_leave(struct jailer *jailer)
{
    close_fd(&jailer->peer_fd);
}
