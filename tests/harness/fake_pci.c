// SPDX-License-Identifier: Apache-2.0
/* The fake sysfs: see fake_pci.h. A failure to make it ends the test. */
#include "tests/harness/fake_pci.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VF_FORMAT "0000:01:10.%u"

static void check(bool good, const char *what)
{
    if (!good) {
        perror(what);
        abort();
    }
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
    char command[PATH_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    check(system(command) == 0, command);
}

__attribute__((format(printf, 3, 0))) static void
below(const struct fake_pci *fake, char path[PATH_MAX], const char *format, va_list args)
{
    int len = snprintf(path, PATH_MAX, "%s/", fake->sysfs);

    vsnprintf(path + len, (size_t)(PATH_MAX - len), format, args);
}

void fake_pci_directory(const struct fake_pci *fake, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    below(fake, path, format, args);
    va_end(args);
    for (char *at = path + strlen(fake->root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(path, 0755);
        *at = '/';
    }
    check(mkdir(path, 0755) == 0 || errno == EEXIST, path);
}

void fake_pci_file(const struct fake_pci *fake, const char *text, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    FILE *file;

    va_start(args, format);
    below(fake, path, format, args);
    va_end(args);
    file = fopen(path, "we");
    check(file && fputs(text, file) >= 0 && fclose(file) == 0, path);
}

static void set_link(const struct fake_pci *fake, const char *address, const char *name,
                     const char *target)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", fake->sysfs, address, name);
    unlink(path);
    check(!target || symlink(target, path) == 0, path);
}

void fake_pci_set_driver(const struct fake_pci *fake, const char *address, const char *driver)
{
    char target[128];

    snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver ? driver : "");
    set_link(fake, address, "driver", driver ? target : NULL);
}

void fake_pci_function(const struct fake_pci *fake, const char *address, const char *class,
                       const char *driver, int group)
{
    char target[64];

    fake_pci_directory(fake, "bus/pci/devices/%s", address);
    fake_pci_file(fake, class, "bus/pci/devices/%s/class", address);
    fake_pci_file(fake, "(null)\n", "bus/pci/devices/%s/driver_override", address);
    fake_pci_set_driver(fake, address, driver);
    if (group < 0)
        return;
    fake_pci_directory(fake, "kernel/iommu_groups/%d/devices/%s", group, address);
    snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
    set_link(fake, address, "iommu_group", target);
}

static void make_interface(const struct fake_pci *fake, const char *name, const char *address,
                           unsigned number)
{
    char path[PATH_MAX], target[PATH_MAX];

    fake_pci_directory(fake, "bus/pci/devices/%s/net/%s", address, name);
    fake_pci_directory(fake, "class/net/%s", name);
    fake_pci_file(fake, "down\n", "class/net/%s/operstate", name);
    fake_pci_file(fake, "0x1002\n", "class/net/%s/flags", name);
    fake_pci_file(fake, "02:00:00:00:01:00\n", "class/net/%s/address", name);
    snprintf(target, sizeof(target), "%u\n", number);
    fake_pci_file(fake, target, "class/net/%s/ifindex", name);
    snprintf(path, sizeof(path), "%s/class/net/%s/device", fake->sysfs, name);
    snprintf(target, sizeof(target), "../../../%s", address);
    check(symlink(target, path) == 0, path);
}

static void make_vf(const struct fake_pci *fake, unsigned number)
{
    char address[32], name[16], link[32], target[64];

    snprintf(address, sizeof(address), VF_FORMAT, number);
    snprintf(name, sizeof(name), "vf%u", number);
    fake_pci_function(fake, address, "0x020000\n", "igbvf", 10 + (int)number);
    make_interface(fake, name, address, 20 + number);
    set_link(fake, address, "physfn", "../" FAKE_PF);
    snprintf(link, sizeof(link), "virtfn%u", number);
    snprintf(target, sizeof(target), "../%s", address);
    set_link(fake, FAKE_PF, link, target);
}

static int store_numvfs(struct fake_pci *fake, const char *text)
{
    unsigned count = (unsigned)strtoul(text, NULL, 10);
    char number[16];

    if (fake->create_result)
        return fake->create_result;
    if (count == 0)
        run("rm -rf %s/bus/pci/devices/0000:01:10.* %s/bus/pci/devices/" FAKE_PF
            "/virtfn* %s/class/net/vf*",
            fake->sysfs, fake->sysfs, fake->sysfs);
    else
        count -= fake->short_by;
    for (unsigned i = 0; i < count; i++)
        make_vf(fake, i);
    snprintf(number, sizeof(number), "%u\n", count);
    fake_pci_file(fake, number, "bus/pci/devices/" FAKE_PF "/sriov_numvfs");
    return 0;
}

static int store_probe(struct fake_pci *fake, const char *address)
{
    char override[64], driver[64];

    if (sysfs_read(fake->host.sysfs, override, sizeof(override),
                   "bus/pci/devices/%s/driver_override", address))
        return -ENODEV;
    fake_pci_driver(fake, address, driver);
    if (driver[0])
        return 0;
    if (strcmp(override, "(null)") != 0 && override[0])
        fake_pci_set_driver(fake, address,
                            fake->vfio_refuses && !strcmp(override, "vfio-pci") ? NULL : override);
    else
        fake_pci_set_driver(fake, address, strstr(address, ":10.") ? "igbvf" : "nvme");
    return 0;
}

static int store(void *opaque, const char *path, const char *text)
{
    struct fake_pci *fake = opaque;
    const char *name = strrchr(path, '/') + 1;
    FILE *file;

    if (++fake->stores == fake->die_at)
        _exit(9);
    if (!strcmp(name, "sriov_numvfs"))
        return store_numvfs(fake, text);
    if (!strcmp(name, "drivers_probe"))
        return store_probe(fake, text);
    if (!strcmp(name, "unbind")) {
        fake_pci_set_driver(fake, text, NULL);
        return 0;
    }
    if (access(path, F_OK) < 0)
        return -errno;
    file = fopen(path, "we");
    check(file && fputs(text[0] == '\n' ? "(null)\n" : text, file) >= 0 && fclose(file) == 0, path);
    return 0;
}

void fake_pci_make(struct fake_pci *fake)
{
    *fake = (struct fake_pci){.root = "/tmp/husk-fake-XXXXXX"};
    check(mkdtemp(fake->root), fake->root);
    snprintf(fake->sysfs, sizeof(fake->sysfs), "%s/sys", fake->root);
    snprintf(fake->dev, sizeof(fake->dev), "%s/dev", fake->root);
    snprintf(fake->state, sizeof(fake->state), "%s/state", fake->root);
    fake->host = (struct vf_host){.sysfs = fake->sysfs,
                                  .dev = fake->dev,
                                  .state = fake->state,
                                  .store = store,
                                  .opaque = fake};
    for (const char *const *at =
             (const char *const[]){"igb", "igbvf", "vfio-pci", "nvme", "pcieport", NULL};
         *at; at++)
        fake_pci_directory(fake, "bus/pci/drivers/%s", *at);
    fake_pci_function(fake, FAKE_PF, "0x020000\n", "igb", 5);
    fake_pci_file(fake, "7\n", "bus/pci/devices/" FAKE_PF "/sriov_totalvfs");
    fake_pci_file(fake, "0\n", "bus/pci/devices/" FAKE_PF "/sriov_numvfs");
    make_interface(fake, "pf0", FAKE_PF, 3);
    fake_pci_function(fake, "0000:02:00.0", "0x010802\n", "nvme", -1);
    fake_pci_function(fake, "0000:00:01.0", "0x060400\n", "pcieport", 1);
}

void fake_pci_remove(struct fake_pci *fake)
{
    run("rm -rf %s", fake->root);
}

int fake_pci_set_up(void **state)
{
    static struct fake_pci fake;

    fake_pci_make(&fake);
    *state = &fake;
    return 0;
}

int fake_pci_tear_down(void **state)
{
    fake_pci_remove(*state);
    return 0;
}

void fake_pci_driver(const struct fake_pci *fake, const char *address, char out[64])
{
    struct pci_function function;

    check(pci_function_read(&fake->host, address, &function) == 0, address);
    snprintf(out, 64, "%s", function.driver);
}
