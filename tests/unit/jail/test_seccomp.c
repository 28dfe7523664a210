// SPDX-License-Identifier: Apache-2.0
/*
 * The seccomp filters: what each kind of thread may do and what kills its process. Every try is a
 * child of its own, which puts a thread under the filter as husk does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/iommufd.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/thread.h"
#include "jail/seccomp.h"

#define V (1u << SECCOMP_VCPU)
#define I (1u << SECCOMP_IO)
#define D (1u << SECCOMP_DISK)
#define C (1u << SECCOMP_CONTROL)
#define B (1u << SECCOMP_BUILD)
#define A (1u << SECCOMP_API)
#define R (1u << SECCOMP_IMAGE)
#define P (1u << SECCOMP_PROBE)

#define NOBODY   0u
#define EVERYONE (V | I | D | C | B | A)
#define MAKERS   (C | B | A) /* of threads, and all that is shared with BUILD */

static const char *const kind_names[] = {"vcpu",  "io",  "disk",  "control",
                                         "build", "api", "image", "probe"};

/* What a try works with; made before the filter is on. */
struct room {
    int file, directory, event, epoll, timer, socket, terminal;
    int pair[2];
    pid_t parent;
    void *page;
    pthread_t other; /* a thread that waits */
    pid_t other_tid;
};

/* ---- tries. Each returns whether the call did what it is for; most kill. ---- */

static bool try_open(struct room *room)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno == ENOENT;
}

static bool try_openat2(struct room *room)
{
    return syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0) >= 0 || errno == EINVAL;
}

static bool try_execve(struct room *room)
{
    char *const arguments[] = {"true", NULL};

    execve("/bin/true", arguments, NULL);
    return false;
}

static bool try_fork(struct room *room)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

static bool try_vfork(struct room *room)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) >= 0;
}

static bool try_plain_fork(struct room *room)
{
    return syscall(SYS_fork) >= 0;
}

/* Told that it does not exist; what else it could do, no filter could tell. */
static bool try_clone3(struct room *room)
{
    return syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static bool try_thread(struct room *room)
{
    pthread_t thread;
    void *result;

    return thread_start(&thread, "test", 0, do_nothing, room) == 0 &&
           pthread_join(thread, &result) == 0 && result == room;
}

static bool try_narrower_filter(struct room *room)
{
    return seccomp_install(SECCOMP_DISK) == 0;
}

static bool try_inet(struct room *room)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool try_netlink(struct room *room)
{
    return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static bool try_packet(struct room *room)
{
    return socket(AF_PACKET, SOCK_RAW, 0) >= 0;
}

static bool try_unix(struct room *room)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0;
}

static bool try_ptrace(struct room *room)
{
    return ptrace(PTRACE_ATTACH, room->parent, 0, 0) == 0;
}

static bool try_read_other_memory(struct room *room)
{
    struct iovec iov = {room->page, 1};

    return process_vm_readv(room->parent, &iov, 1, &iov, 1, 0) >= 0;
}

static bool try_write_other_memory(struct room *room)
{
    struct iovec iov = {room->page, 1};

    return process_vm_writev(room->parent, &iov, 1, &iov, 1, 0) >= 0;
}

static bool try_mount(struct room *room)
{
    return mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0;
}

static bool try_unshare(struct room *room)
{
    return unshare(CLONE_NEWUSER) == 0;
}

static bool try_setns(struct room *room)
{
    return setns(room->file, 0) == 0;
}

static bool try_chroot(struct room *room)
{
    return chroot("/") == 0;
}

static bool try_kill(struct room *room)
{
    return kill(room->parent, 0) == 0;
}

static bool try_kill_self(struct room *room)
{
    return kill(getpid(), 0) == 0;
}

static bool try_tgkill_other(struct room *room)
{
    return syscall(SYS_tgkill, room->parent, room->parent, SIGRTMAX) == 0;
}

static bool try_kick(struct room *room)
{
    return pthread_kill(room->other, SIGRTMAX) == 0;
}

static bool try_other_signal(struct room *room)
{
    return pthread_kill(room->other, SIGCONT) == 0;
}

static bool try_queue_signal(struct room *room)
{
    return sigqueue(room->parent, 0, (union sigval){0}) == 0;
}

static bool try_executable_memory(struct room *room)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool try_make_executable(struct room *room)
{
    return mprotect(room->page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool try_pkey_mprotect(struct room *room)
{
    return syscall(SYS_pkey_mprotect, room->page, 4096, PROT_EXEC, -1) == 0;
}

static bool try_map_file(struct room *room)
{
    return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, room->file, 0) != MAP_FAILED;
}

static bool try_map_file_executable(struct room *room)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, room->file, 0) != MAP_FAILED;
}

static bool try_terminal_input(struct room *room)
{
    return ioctl(room->terminal, TIOCSTI, "x") == 0;
}

static bool try_unknown_ioctl(struct room *room)
{
    return ioctl(room->file, 0x12345678, 0) == 0;
}

static bool try_device_interrupts(struct room *room)
{
    return ioctl(room->file, VFIO_DEVICE_SET_IRQS, 0) < 0 && errno == ENOTTY;
}

static bool try_device_registers(struct room *room)
{
    uint32_t value = 7;

    return pwrite(room->file, &value, 4, 0) == 4 && pread(room->file, &value, 4, 0) == 4 &&
           ioctl(room->file, VFIO_DEVICE_RESET, 0) < 0 && errno == ENOTTY;
}

static bool try_map_dma(struct room *room)
{
    return ioctl(room->file, VFIO_IOMMU_MAP_DMA, 0) < 0 && errno == ENOTTY &&
           ioctl(room->file, IOMMU_IOAS_MAP, 0) < 0 && errno == ENOTTY;
}

static bool try_create_vm(struct room *room)
{
    return ioctl(room->file, KVM_CREATE_VM, 0) < 0 && errno == ENOTTY;
}

static bool try_run_vm(struct room *room)
{
    return ioctl(room->file, KVM_RUN, 0) < 0 && errno == ENOTTY;
}

/* The kernel reads 32 bits of a request, and so does the filter. */
static bool try_run_vm_extended(struct room *room)
{
    return syscall(SYS_ioctl, room->file, 0xffffffff00000000ull | KVM_RUN, 0) < 0 &&
           errno == ENOTTY;
}

static bool try_ring(struct room *room)
{
    struct io_uring_params params = {0};

    return syscall(SYS_io_uring_setup, 4, &params) >= 0 || errno == EPERM || errno == ENOSYS;
}

static bool try_ring_refused(struct room *room)
{
    struct io_uring_params params = {0};

    return syscall(SYS_io_uring_setup, 4, &params) < 0 && errno == EPERM;
}

static bool try_ring_register(struct room *room)
{
    return syscall(SYS_io_uring_register, room->file, IORING_REGISTER_BUFFERS, NULL, 0) < 0;
}

static bool try_bpf(struct room *room)
{
    return syscall(SYS_bpf, 0, NULL, 0) == 0;
}

static bool try_userfaultfd(struct room *room)
{
    return syscall(SYS_userfaultfd, 0) >= 0;
}

static bool try_perf(struct room *room)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0;
}

static bool try_keyctl(struct room *room)
{
    return syscall(SYS_keyctl, 0, -3, 0) >= 0;
}

static bool try_priority_futex(struct room *room)
{
    uint32_t word = 0;

    return syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0;
}

static bool try_requeue_futex(struct room *room)
{
    uint32_t word = 0;

    return syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PI, 1, NULL, &word, 0) == 0;
}

static bool try_dumpable(struct room *room)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool try_set_limit(struct room *room)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    return setrlimit(RLIMIT_CORE, &limit) == 0 || errno == EPERM;
}

static bool try_setuid(struct room *room)
{
    return setuid(0) == 0;
}

static bool try_other_filter_flags(struct room *room)
{
    return syscall(SYS_seccomp, 1, 1, NULL) == 0;
}

/* x32: the same kernel by other numbers. */
static bool try_foreign_number(struct room *room)
{
    return syscall(0x40000000 + SYS_getpid) > 0;
}

static bool try_unlink(struct room *room)
{
    return unlink("/nothing/there") < 0 && errno == ENOENT;
}

static bool try_stat_path(struct room *room)
{
    struct stat st;

    return stat("/", &st) == 0 || errno == ENOENT; /* IMAGE finds that there is none */
}

static bool try_list(struct room *room)
{
    char entries[1024];

    return syscall(SYS_getdents64, room->directory, entries, sizeof(entries)) > 0;
}

static bool try_capabilities(struct room *room)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    return syscall(SYS_capget, &header, data) == 0;
}

static bool try_drop_capabilities(struct room *room)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capset, &header, data) == 0;
}

static bool try_fstat(struct room *room)
{
    struct stat st;

    return fstat(room->file, &st) == 0;
}

static bool try_work(struct room *room)
{
    uint64_t value = 1;
    struct timespec now;
    char *memory = malloc(4u << 20);
    char *more = realloc(memory, 8u << 20);

    if (!more)
        return false;
    memset(more, 1, 8u << 20);
    free(more);
    return write(room->event, &value, sizeof(value)) == sizeof(value) &&
           read(room->event, &value, sizeof(value)) == sizeof(value) &&
           clock_gettime(CLOCK_MONOTONIC, &now) == 0 &&
           syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0 && getpid() > 0;
}

static bool try_locks(struct room *room)
{
    const struct timespec soon = {0};
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    bool timed_out;

    pthread_mutex_lock(&lock);
    timed_out = pthread_cond_timedwait(&changed, &lock, &soon) == ETIMEDOUT;
    pthread_mutex_unlock(&lock);
    return timed_out && pthread_cond_broadcast(&changed) == 0;
}

static bool try_watch(struct room *room)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct itimerspec when = {.it_value = {.tv_sec = 1000}};
    struct pollfd poll_fd = {.fd = room->event, .events = POLLIN};

    return epoll_ctl(room->epoll, EPOLL_CTL_ADD, room->event, &event) == 0 &&
           timerfd_settime(room->timer, 0, &when, NULL) == 0 && poll(&poll_fd, 1, 0) == 0;
}

static bool try_poll(struct room *room)
{
    struct pollfd poll_fd = {.fd = room->event, .events = POLLOUT};

    return poll(&poll_fd, 1, -1) == 1;
}

static bool try_loop(struct room *room)
{
    struct epoll_event event;

    return epoll_wait(room->epoll, &event, 1, 0) == 0;
}

static bool try_packets(struct room *room)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};

    return writev(room->pair[0], &iov, 1) == 1 && readv(room->pair[1], &iov, 1) == 1 &&
           send(room->pair[0], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 &&
           recv(room->pair[1], &byte, 1, MSG_DONTWAIT) == 1;
}

static bool try_entropy(struct room *room)
{
    char bytes[8];

    return syscall(SYS_getrandom, bytes, sizeof(bytes), 1) == sizeof(bytes);
}

static bool try_disk(struct room *room)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};

    return pwritev2(room->file, &iov, 1, 0, 0) == 1 && preadv(room->file, &iov, 1, 0) == 1 &&
           pwritev(room->file, &iov, 1, 4) == 1 && fdatasync(room->file) == 0 &&
           (fallocate(room->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0 ||
            errno == EOPNOTSUPP);
}

static bool try_statistics(struct room *room)
{
    unsigned char resident;

    return mincore(room->page, 4096, &resident) == 0;
}

static bool try_search(struct room *room)
{
    int fd = memfd_create("uki", MFD_CLOEXEC);
    char byte;
    void *memory = malloc(1u << 20);
    bool worked = fd >= 0 && ftruncate(fd, 1) == 0 && write(fd, "x", 1) == 1 &&
                  lseek(fd, 0, SEEK_SET) == 0 && read(fd, &byte, 1) == 1 &&
                  pread(fd, &byte, 1, 0) == 1 && close(fd) == 0 &&
                  send(room->pair[0], "x", 1, MSG_NOSIGNAL) == 1;

    free(memory);
    return worked;
}

static bool try_log(struct room *room)
{
    struct iovec iov = {"x", 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    return sendmsg(room->pair[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* `may`: the kinds that can do it. The others die of it. */
static const struct
try {
    const char *name;
    bool (*run)(struct room * room);
    unsigned may;
}
tries[] = {
    /* What nobody may. */
    {"execve", try_execve, NOBODY},
    {"fork by clone", try_fork, NOBODY},
    {"vfork by clone", try_vfork, NOBODY},
    {"fork", try_plain_fork, NOBODY},
    {"openat2", try_openat2, NOBODY},
    {"an internet socket", try_inet, NOBODY},
    {"a netlink socket", try_netlink, NOBODY},
    {"a packet socket", try_packet, NOBODY},
    {"ptrace", try_ptrace, NOBODY},
    {"reading another process", try_read_other_memory, NOBODY},
    {"writing another process", try_write_other_memory, NOBODY},
    {"mount", try_mount, NOBODY},
    {"unshare", try_unshare, NOBODY},
    {"setns", try_setns, NOBODY},
    {"chroot", try_chroot, NOBODY},
    {"kill", try_kill, NOBODY},
    {"kill itself", try_kill_self, NOBODY},
    {"a signal to another process's thread", try_tgkill_other, NOBODY},
    {"another signal to an own thread", try_other_signal, NOBODY},
    {"sigqueue", try_queue_signal, NOBODY},
    {"executable memory", try_executable_memory, NOBODY},
    {"memory made executable", try_make_executable, NOBODY},
    {"memory made executable with a key", try_pkey_mprotect, NOBODY},
    {"an executable file mapping", try_map_file_executable, NOBODY},
    {"typing into a terminal", try_terminal_input, NOBODY},
    {"an unknown ioctl", try_unknown_ioctl, NOBODY},
    {"bpf", try_bpf, NOBODY},
    {"userfaultfd", try_userfaultfd, NOBODY},
    {"perf_event_open", try_perf, NOBODY},
    {"keyctl", try_keyctl, NOBODY},
    {"a futex with priority inheritance", try_priority_futex, NOBODY},
    {"requeueing to such a futex", try_requeue_futex, NOBODY},
    {"becoming dumpable", try_dumpable, NOBODY},
    {"raising limits", try_set_limit, NOBODY},
    {"setuid", try_setuid, NOBODY},
    {"other capabilities", try_drop_capabilities, NOBODY},
    {"a filter with flags", try_other_filter_flags, NOBODY},
    {"an x32 number", try_foreign_number, NOBODY},

    /* What everyone does. */
    {"memory, eventfds, clocks", try_work, EVERYONE | R | P},
    {"locks", try_locks, EVERYONE},
    {"a line of log by message", try_log, EVERYONE},

    /* What some do. */
    {"opening a file", try_open, B | A | R}, /* BUILD and IMAGE find that there is none */
    {"removing a file", try_unlink, A},
    {"listing a directory", try_list, A},
    {"asking for capabilities", try_capabilities, A},
    {"stat of a path", try_stat_path, A | R},
    {"fstat", try_fstat, MAKERS | R},
    {"clone3", try_clone3, MAKERS},
    {"a thread", try_thread, MAKERS},
    {"a narrower filter", try_narrower_filter, MAKERS},
    {"a unix socket", try_unix, I | B | A},
    {"a kick", try_kick, V | I | MAKERS},
    {"mapping a file", try_map_file, MAKERS},
    {"interrupts of a device of the host", try_device_interrupts, V | I | MAKERS},
    {"registers of a device of the host", try_device_registers, V | MAKERS},
    {"memory for DMA", try_map_dma, MAKERS},
    {"a ring's restrictions", try_ring_register, B | A},
    {"KVM_RUN", try_run_vm, V | B | A},
    {"KVM_RUN, sign-extended", try_run_vm_extended, V | B | A},
    {"KVM_CREATE_VM", try_create_vm, B | A},
    {"a ring", try_ring, MAKERS},
    {"watching and timing", try_watch, V | I | MAKERS},
    {"the event loop", try_loop, I | MAKERS},
    {"packets", try_packets, I | MAKERS},
    {"entropy", try_entropy, I | B | A | P},
    {"disk requests", try_disk, D | MAKERS},
    {"statistics", try_statistics, MAKERS},
};

/* ---- running a try ---- */

static void *wait_for_ever(void *arg)
{
    struct room *room = arg;
    uint64_t one = 1;

    __atomic_store_n(&room->other_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    if (write(room->event, &one, sizeof(one)) != sizeof(one))
        return NULL;
    for (;;)
        pause();
}

static void furnish(struct room *room)
{
    char path[] = "/tmp/husk-seccomp-XXXXXX";
    uint64_t count;

    room->parent = getppid();
    room->file = mkstemp(path);
    unlink(path);
    if (ftruncate(room->file, 8192) < 0)
        _exit(EXIT_FAILURE);
    room->directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    room->event = eventfd(0, EFD_CLOEXEC);
    room->epoll = epoll_create1(EPOLL_CLOEXEC);
    room->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    room->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    room->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, room->pair) < 0 ||
        thread_start(&room->other, "waits", 0, wait_for_ever, room) < 0 ||
        read(room->event, &count, sizeof(count)) != sizeof(count))
        _exit(EXIT_FAILURE);
}

struct attempt {
    const struct try *try;
    struct room *room;
    enum seccomp_thread kind;
    int done;
};

static int go_under_filter(void *arg)
{
    const struct attempt *attempt = arg;

    return seccomp_install(attempt->kind);
}

static void *make_attempt(void *arg)
{
    struct attempt *attempt = arg;
    bool worked = attempt->try->run(attempt->room);
    uint64_t one = 1;

    __atomic_store_n(&attempt->done, worked ? 1 : 2, __ATOMIC_SEQ_CST);
    return write(attempt->room->event, &one, sizeof(one)) == sizeof(one) ? arg : NULL;
}

/* The child: does the attempt on a thread, as husk does, and tells by its exit status. The thread
 * ends under its filter, too. */
static void attempt_in_child(const struct try *try, enum seccomp_thread kind)
{
    struct room room = {0};
    struct attempt attempt = {.try = try, .room = &room, .kind = kind};
    const struct thread_prologue prologue = {.run = go_under_filter, .arg = &attempt};
    const struct rlimit no_core = {0, 0};
    pthread_t thread;

    setrlimit(RLIMIT_CORE, &no_core);
    furnish(&room);
    if (thread_start_with(&thread, "tries", 0, &prologue, make_attempt, &attempt) < 0)
        _exit(EXIT_FAILURE);
    pthread_join(thread, NULL);
    _exit(attempt.done == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Its process has one thread, and can end none. */
static void attempt_alone(const struct try *try, enum seccomp_thread kind)
{
    const struct rlimit no_core = {0, 0};
    struct room room = {0};

    setrlimit(RLIMIT_CORE, &no_core);
    furnish(&room);
    if (seccomp_install(kind))
        _exit(EXIT_FAILURE);
    _exit(try->run(&room) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Returns the wait status. */
static int run_try(const struct try *try, enum seccomp_thread kind)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (kind == SECCOMP_IMAGE || kind == SECCOMP_PROBE)
            attempt_alone(try, kind);
        attempt_in_child(try, kind);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void check_kind(enum seccomp_thread kind)
{
    unsigned wrong = 0;

    if (!seccomp_built_in()) {
        print_message(
            "skipped: seccomp: this build has sanitizers or coverage, hence no filters\n");
        skip();
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
        bool may = tries[i].may >> kind & 1;
        int status = run_try(&tries[i], kind);
        bool right = may ? status == 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;

        if (!right) {
            print_error("%s thread, %s: %s expected, wait status %#x\n", kind_names[kind],
                        tries[i].name, may ? "success" : "death by SIGSYS", (unsigned)status);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_vcpu(void **state)
{
    check_kind(SECCOMP_VCPU);
}

static void test_io(void **state)
{
    check_kind(SECCOMP_IO);
}

static void test_disk(void **state)
{
    check_kind(SECCOMP_DISK);
}

static void test_control(void **state)
{
    check_kind(SECCOMP_CONTROL);
}

/* Through a ring of its own it could make the calls that its filter forbids. */
static void test_control_has_no_ring(void **state)
{
    static const struct try try = {"no ring", try_ring_refused, C};

    if (!seccomp_built_in())
        skip();
    assert_int_equal(run_try(&try, SECCOMP_CONTROL), 0);
}

static void test_build(void **state)
{
    check_kind(SECCOMP_BUILD);
}

static void test_api(void **state)
{
    check_kind(SECCOMP_API);
}

static void test_probe(void **state)
{
    static const struct try wait = {"waiting", try_poll, P};

    check_kind(SECCOMP_PROBE);
    assert_int_equal(run_try(&wait, SECCOMP_PROBE), 0);
}

static void test_image(void **state)
{
    static const struct try tries_of_its_own[] = {
        {"what a search does", try_search, R},
    };

    check_kind(SECCOMP_IMAGE);
    for (unsigned i = 0; i < ARRAY_SIZE(tries_of_its_own); i++)
        assert_int_equal(run_try(&tries_of_its_own[i], SECCOMP_IMAGE), 0);
}

/* ---- what holds beyond single calls ---- */

static int status_of(void (*body)(void))
{
    const struct rlimit no_core = {0, 0};
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        body();
        _exit(EXIT_SUCCESS);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void need_filters(void)
{
    if (!seccomp_built_in())
        skip();
}

/* Threads of a thread in jail can be put under each kind's filter in turn, and work. */
static void threads_of_builder(void)
{
    static const enum seccomp_thread kinds[] = {SECCOMP_VCPU, SECCOMP_IO, SECCOMP_DISK};
    struct room room = {0};
    const struct try work = {.run = try_work};

    furnish(&room);
    if (seccomp_install(SECCOMP_BUILD))
        _exit(EXIT_FAILURE);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct attempt attempt = {.try = &work, .room = &room, .kind = kinds[i]};
        const struct thread_prologue prologue = {.run = go_under_filter, .arg = &attempt};
        uint64_t count;
        pthread_t thread;

        if (thread_start_with(&thread, "inherits", 0, &prologue, make_attempt, &attempt) ||
            pthread_join(thread, NULL) || attempt.done != 1 ||
            read(room.event, &count, sizeof(count)) != sizeof(count))
            _exit(EXIT_FAILURE);
    }
    if (seccomp_install(SECCOMP_CONTROL))
        _exit(EXIT_FAILURE);
}

static void test_inheritance(void **state)
{
    need_filters();
    assert_int_equal(status_of(threads_of_builder), 0);
}

static void give_up(void)
{
    if (seccomp_install(SECCOMP_CONTROL))
        _exit(EXIT_FAILURE);
    abort();
}

/* A program that finds itself broken is reported as such, not as an intruder. */
static void test_abort(void **state)
{
    int status;

    need_filters();
    status = status_of(give_up);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void wait_under_filter(void)
{
    struct pollfd nothing = {.fd = -1};

    if (seccomp_install(SECCOMP_CONTROL))
        _exit(EXIT_FAILURE);
    poll(&nothing, 1, 500);
}

/* A wait with a timeout that is stopped and continued goes on by another system call. */
static void test_stop_and_continue(void **state)
{
    int status = -1;
    pid_t pid;

    need_filters();
    pid = fork();
    if (pid == 0) {
        wait_under_filter();
        _exit(EXIT_SUCCESS);
    }
    usleep(100000); /* too early is harmless: nothing to continue then */
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_unknown_kind(void **state)
{
    assert_int_equal(seccomp_install(SECCOMP_THREADS), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vcpu),
        cmocka_unit_test(test_io),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_control_has_no_ring),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_api),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_stop_and_continue),
        cmocka_unit_test(test_unknown_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
