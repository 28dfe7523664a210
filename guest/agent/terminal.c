// SPDX-License-Identifier: Apache-2.0
/* Pseudo-terminals: see terminal.h. No state. */
#include "guest/agent/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/inroot.h"
#include "guest/agent/mounts.h"

static const char field[] = "process.terminal";

int terminal_resize(int master, uint16_t columns, uint16_t rows)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};

    return ioctl(master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* config-linux.md, "Default Devices": /dev/console is the terminal, if there is one. */
static int show_console(int slave, struct husk_error *err)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int target = root < 0 ? -errno : inroot_file(root, "/dev/console");
    int ret = target < 0 ? target : mount_bind(slave, target, false, 0);

    close_fd(&target);
    close_fd(&root);
    return ret ? error_set(err, -ret, "/dev/console", "cannot be made", NULL) : 0;
}

/* A stranger may have put anything at /dev/pts: only a devpts answers. */
static int open_master(struct husk_error *err)
{
    struct statfs info;
    int zero = 0, fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return error_set(err, errno, field, "cannot be opened", "/dev/pts/ptmx: %s",
                         error_text(errno));
    if (fstatfs(fd, &info) < 0 || info.f_type != DEVPTS_SUPER_MAGIC ||
        ioctl(fd, TIOCSPTLCK, &zero) < 0) {
        close(fd);
        return error_set(err, ENOTTY, field, "cannot be opened", "/dev/pts is no devpts");
    }
    return fd;
}

int terminal_open(const struct oci_process *process, bool console, struct husk_error *err)
{
    int master = open_master(err), slave, ret = 0;

    if (master < 0)
        return master;
    slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        ret = error_set(err, errno, field, "cannot be opened", NULL);
    if (!ret && process->rows && process->columns)
        (void)terminal_resize(master, process->columns, process->rows);
    if (!ret && (fchown(slave, process->uid, (gid_t)-1) < 0 || ioctl(slave, TIOCSCTTY, 0) < 0))
        ret = error_set(err, errno, field, "cannot be taken", NULL);
    if (!ret && console)
        ret = show_console(slave, err);
    for (int i = 0; i < 3 && !ret; i++) {
        if (dup2(slave, i) < 0)
            ret = error_set(err, errno, field, "cannot be taken", NULL);
    }
    if (slave > 2)
        close(slave);
    if (ret) {
        close(master);
        return ret;
    }
    return master;
}
