// SPDX-License-Identifier: Apache-2.0
/*
 * See disk_copy.h. The copy grows in "TO.part", which is also the lock: whoever holds it (flock(2))
 * writes it, and renames it to TO when it is whole. One that a killed process left is begun anew.
 *
 * qemu-img reads what nobody vouches for: it runs in the confinement of jail/tool.h.
 */
#include "cli/disk_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "jail/tool.h"

#define TICK_MS 200

static const char cannot_make[] = "cannot make the raw disk";

/* ---- qemu-img ---- */

static const char *find_qemu_img(void)
{
    static const char *const places[] = {"/usr/bin/qemu-img", "/usr/local/bin/qemu-img"};

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

/* What it says, read as it comes; what is too much is dropped. */
struct listener {
    int *fd;
    char text[512];
    size_t len;
};

static void listen_to(struct listener *listener)
{
    char drop[256];
    size_t room = sizeof(listener->text) - 1 - listener->len;
    ssize_t n = read(*listener->fd, room ? listener->text + listener->len : drop,
                     room ? room : sizeof(drop));

    if (n == 0 || (n < 0 && errno != EINTR))
        close_fd(listener->fd);
    if (n > 0 && room)
        listener->len += (size_t)n;
    listener->text[listener->len] = '\0';
}

/* Until both ends are closed; kills it when asked to stop. */
static bool follow(const struct disk_copy *copy, struct tool *tool, struct listener *errors)
{
    struct listener output = {.fd = &tool->output_fd};
    struct progress progress;
    char what[PATH_MAX + 16];
    bool stopped = false;

    snprintf(what, sizeof(what), "converting %s", copy->from);
    make_printable(what);
    progress_begin(&progress, what);
    while (tool->output_fd >= 0 || tool->error_fd >= 0) {
        struct pollfd fds[] = {{.fd = tool->output_fd, .events = POLLIN},
                               {.fd = tool->error_fd, .events = POLLIN}};

        if (!stopped && copy->should_stop()) {
            stopped = true;
            kill(tool->pid, SIGKILL);
        }
        if (poll(fds, ARRAY_SIZE(fds), TICK_MS) <= 0)
            continue;
        if (fds[0].revents) {
            int per_cent;

            listen_to(&output);
            per_cent = progress_parse(output.text);
            if (per_cent >= 0) {
                progress_show(&progress, (unsigned)per_cent);
                output.len = 0;
            } else if (output.len == sizeof(output.text) - 1) {
                output.len = 0;
            }
        }
        if (fds[1].revents)
            listen_to(errors);
    }
    progress_end(&progress);
    return stopped;
}

static int judge(const struct disk_copy *copy, int status, struct listener *errors,
                 struct husk_error *err)
{
    const char *reason;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    errors->text[strcspn(errors->text, "\n")] = '\0';
    /* "qemu-img: Could not open 'DESCRIPTION': REASON" */
    reason = strstr(errors->text, "': ");
    reason = reason ? reason + 3 : errors->text;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return error_set(err, ETIME, copy->from, cannot_make, "qemu-img took too much time");
    if (WIFSIGNALED(status))
        return error_set(err, EIO, copy->from, cannot_make, "qemu-img was ended by signal %d",
                         WTERMSIG(status));
    return error_set(err, EIO, copy->from, cannot_make, "%s", *reason ? reason : "qemu-img failed");
}

/* An image as qemu-img takes it when nothing is to be guessed: a name is absolute, its commas are
 * doubled, and locking is done here already. */
static int describe(const char *format, const char *path, char *out, size_t size)
{
    char *name = realpath(path, NULL);
    size_t len;

    if (!name)
        return -errno;
    len = (size_t)snprintf(out, size,
                           "driver=%s,file.driver=file,file.locking=off,file.filename=", format);
    for (const char *at = name; *at && len + 2 < size; at++) {
        if (*at == ',')
            out[len++] = ',';
        out[len++] = *at;
    }
    out[len] = '\0';
    free(name);
    return len + 2 < size ? 0 : -ENAMETOOLONG;
}

static int run_qemu_img(const struct disk_copy *copy, int fd, const char *part,
                        struct husk_error *err)
{
    char from[2 * PATH_MAX], to[2 * PATH_MAX];
    const char *program = find_qemu_img();
    const char *const arguments[] = {"qemu-img",
                                     "convert",
                                     "-p",
                                     "-n",
                                     "--target-is-zero",
                                     "--image-opts",
                                     "--target-image-opts",
                                     from,
                                     to,
                                     NULL};
    struct tool_plan plan = {.program = program,
                             .arguments = (char *const *)arguments,
                             .input_fd = copy->from_fd,
                             .output_fd = fd,
                             .file_bytes = copy->size_bytes};
    struct listener errors = {0};
    struct tool tool;
    bool stopped;
    int status = 0, ret;

    if (!program)
        return error_set(err, ENOENT, copy->from, cannot_make,
                         "qemu-img is not installed (Debian: qemu-utils)");
    ret = describe(copy->format, copy->from, from, sizeof(from));
    if (!ret)
        ret = describe("raw", part, to, sizeof(to));
    if (ret)
        return error_set(err, -ret, copy->from, cannot_make, NULL);
    ret = tool_start(&plan, &tool, err);
    if (ret)
        return ret;
    if (!tool.is_confined)
        cli_message("warning: this kernel has no Landlock: qemu-img reads %s with your rights",
                    copy->from);
    errors.fd = &tool.error_fd;
    stopped = follow(copy, &tool, &errors);
    while (waitpid(tool.pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (stopped || copy->should_stop())
        return -ECANCELED;
    return judge(copy, status, &errors, err);
}

/* ---- the file ---- */

/* Whether the file at `path` is still the one that is open. */
static bool is_same(int fd, const char *path)
{
    struct stat open_one, named;

    return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/* The locked TO.part, whoever made it. */
static int open_part(const struct disk_copy *copy, const char *part, struct husk_error *err)
{
    bool said = false;

    for (;;) {
        int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
                      copy->mode);

        if (fd < 0)
            return error_set(err, errno, part, cannot_make, NULL);
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno != EWOULDBLOCK && errno != EINTR) {
                int code = errno;

                close_fd(&fd);
                return error_set(err, code, part, cannot_make, NULL);
            }
            if (!said)
                cli_message("%s: another process makes it: waiting", copy->to);
            said = true;
            poll(NULL, 0, TICK_MS);
            if (copy->should_stop()) {
                close_fd(&fd);
                return -ECANCELED;
            }
        }
        if (is_same(fd, part))
            return fd;
        close_fd(&fd); /* it was finished, or given up, meanwhile */
    }
}

/* Not while a VM writes what is read. */
static int lock_source(const struct disk_copy *copy, struct husk_error *err)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    if (fcntl(copy->from_fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return error_set(err, EBUSY, copy->from, cannot_make, "in use by another virtual machine");
}

static int fill(const struct disk_copy *copy, int fd, const char *part, struct husk_error *err)
{
    int ret = lock_source(copy, err);

    if (ret)
        return ret;
    if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)copy->size_bytes) < 0)
        return error_set(err, errno, part, cannot_make, NULL);
    ret = run_qemu_img(copy, fd, part, err);
    if (ret)
        return ret;
    if (fdatasync(fd) < 0 || renameat2(AT_FDCWD, part, AT_FDCWD, copy->to, RENAME_NOREPLACE) < 0)
        return error_set(err, errno, copy->to, cannot_make, NULL);
    return 0;
}

int disk_copy_make(const struct disk_copy *copy, struct husk_error *err)
{
    char part[PATH_MAX];
    int fd, ret = 0;

    if (access(copy->to, F_OK) == 0)
        return 0;
    if ((size_t)snprintf(part, sizeof(part), "%s.part", copy->to) >= sizeof(part))
        return error_set(err, ENAMETOOLONG, copy->to, cannot_make, NULL);
    fd = open_part(copy, part, err);
    if (fd < 0)
        return fd;
    /* Another process may have been faster. */
    if (access(copy->to, F_OK) != 0)
        ret = fill(copy, fd, part, err);
    else
        unlink(part);
    if (ret)
        unlink(part);
    close_fd(&fd);
    return ret;
}
