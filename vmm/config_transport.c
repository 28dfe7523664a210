// SPDX-License-Identifier: Apache-2.0
/*
 * How virtio devices reach the guest: how many fit, which transport it is when the caller leaves it
 * to us, and the default command line, one word of which depends on it.
 *
 * Runs on the configuring thread; holds no state.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "boot/boot.h"
#include "boot/cmdline.h"
#include "vmm/arch/arch.h"
#include "vmm/config.h"

#define CANNOT_CONFIGURE "cannot configure the VM"

/* A device of the host is a function on the PCI bus, and there is no other place for it. */
static bool has_pci(const struct machine_config *config)
{
    return config->transport == HUSK_TRANSPORT_PCI || config->vfio_count > 0;
}

static unsigned count_devices(const struct machine_config *config)
{
    return config->drive_count + config->net_count + config->vfio_count + config->vsock.present +
           (config->console == HUSK_CONSOLE_VIRTIO) + config->rng + config->free_page_reporting;
}

/* Whether as many devices fit, beside each other on a PCI bus or behind windows. */
static int check_count(unsigned count, bool on_pci, const char *name, struct husk_error *err)
{
    unsigned most = on_pci ? arch_virtio_pci_max : arch_virtio_mmio_max;

    if (count <= most)
        return 0;
    return error_set(
        err, ENOSPC, name, CANNOT_CONFIGURE,
        "at most %u devices fit: drives, networks, %svsock, virtio console, rng and balloon", most,
        on_pci ? "devices of the host, " : "");
}

int config_check_room(const struct machine_config *config, unsigned of_kind, const char *name,
                      struct husk_error *err)
{
    unsigned count = of_kind == CONFIG_DEVICES_MAX ? UINT_MAX : count_devices(config) + 1;

    return check_count(count, has_pci(config), name, err);
}

int config_check_vfio_room(const struct machine_config *config, const char *name,
                           struct husk_error *err)
{
    return check_count(count_devices(config) + 1, true, name, err);
}

int config_build_command_line(const char *whole, const char *append, enum husk_console console,
                              bool with_pci, char **out, struct husk_error *err)
{
    static const enum cmdline_console consoles[] = {
        [HUSK_CONSOLE_SERIAL] = CMDLINE_CONSOLE_SERIAL,
        [HUSK_CONSOLE_VIRTIO] = CMDLINE_CONSOLE_VIRTIO,
        [HUSK_CONSOLE_NONE] = CMDLINE_CONSOLE_NONE,
    };
    char line[BOOT_COMMAND_LINE_MAX];
    int ret = whole ? cmdline_join(whole, append, line, sizeof(line))
                    : cmdline_build(consoles[console], with_pci, append, line, sizeof(line));

    if (ret == -EINVAL)
        return error_set(err, EINVAL, "command line", CANNOT_CONFIGURE,
                         "it holds a control character, such as a newline");
    if (ret)
        return error_set(err, -ret, "command line", CANNOT_CONFIGURE,
                         "%sit is longer than %u bytes", whole ? "" : "with the default words ",
                         BOOT_COMMAND_LINE_MAX - 1);
    *out = strdup(line);
    return *out ? 0 : error_set(err, ENOMEM, "command line", CANNOT_CONFIGURE, NULL);
}

int machine_config_settle(struct machine_config *config, struct husk_error *err)
{
    char *command_line = NULL;
    int ret;

    /* A device that made it a PCI bus may have been taken away again. */
    ret = check_count(count_devices(config), has_pci(config), "devices", err);
    if (ret)
        return ret;
    if (config->transport != HUSK_TRANSPORT_AUTO)
        return 0;
    if (!has_pci(config)) {
        config->transport = HUSK_TRANSPORT_MMIO;
        return 0;
    }
    if (config->append) {
        ret = config_build_command_line(NULL, config->append, config->console, true, &command_line,
                                        err);
        if (ret)
            return ret;
        free(config->command_line);
        config->command_line = command_line;
    }
    config->transport = HUSK_TRANSPORT_PCI;
    return 0;
}
