// SPDX-License-Identifier: Apache-2.0
/* /boot-source: kernel, initial RAM disk, command line. The files are looked at now, so that the
 * client hears what is wrong with them, and opened when the VM is built. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/api/state.h"

#define PREFIX             "Boot source error: "
#define COMMAND_LINE_BYTES 2048u /* x86: COMMAND_LINE_SIZE, with the final NUL */

static int check_file(const char *path, const char *what, struct api_fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    bool regular;

    if (fd < 0)
        return api_fault_set(fault, PREFIX "%s %s (%s)", what, strerror(errno), path);
    regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    close(fd);
    return regular ? 0
                   : api_fault_set(fault, PREFIX "%s it is not a regular file (%s)", what, path);
}

static int check(const struct boot_settings *boot, struct api_fault *fault)
{
    int ret = check_file(boot->kernel_image_path,
                         "kernel_image_path: The kernel file cannot be opened:", fault);

    if (!ret && boot->initrd_path)
        ret = check_file(boot->initrd_path,
                         "initrd_path: The initrd file cannot be opened due to invalid path or "
                         "invalid permissions.",
                         fault);
    if (ret || !boot->boot_args)
        return ret;
    if (strlen(boot->boot_args) >= COMMAND_LINE_BYTES)
        return api_fault_set(fault,
                             PREFIX "boot_args: The kernel command line is invalid: it has "
                                    "more than %u bytes.",
                             COMMAND_LINE_BYTES - 1);
    for (const char *c = boot->boot_args; *c; c++) {
        if (*c < 0x20 || *c > 0x7e)
            return api_fault_set(fault, PREFIX "boot_args: The kernel command line is invalid: "
                                               "it has a character that is not printable ASCII.");
    }
    return 0;
}

int boot_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct boot_settings boot = {0};
    int ret = read_body(call, &boot_shape, &boot, fault);

    if (ret)
        return ret;
    ret = need_not_started(api, fault);
    if (!ret)
        ret = check(&boot, fault);
    if (ret) {
        json_release(&boot_shape, &boot);
        return ret;
    }
    json_release(&boot_shape, &api->boot);
    api->boot = boot;
    return 0;
}
