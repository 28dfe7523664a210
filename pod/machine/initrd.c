// SPDX-License-Identifier: Apache-2.0
/* Initial RAM disks and their cache: see initrd.h. */
#include "pod/machine/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beside.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/machine/cache.h"
#include "pod/machine/module_archive.h"
#include "pod/machine/modules.h"

#define AGENT_FILE    "agent.cpio"
#define AGENT_ALIGN   4u /* archives follow each other at multiples of this */
#define MODULE_FORMAT 1u /* of the part behind the agent; another one has another name */

static const char cannot_make[] = "cannot make the initial RAM disk";

/* What a distribution's kernel has as modules and a container's machine needs. pvpanic tells husk
 * of a kernel that panics; af_packet is for those who look at their network. */
static const char *const basic_modules[] = {
    "virtio_mmio",    "virtio_blk", "virtio-rng", "vmw_vsock_virtio_transport",
    "erofs",          "overlay",    "ext4",       "pvpanic-mmio",
    "virtio_balloon",
};
static const char *const network_modules[] = {"virtio_net", "af_packet"};
/* With a device of the host: of the others, and its own driver. */
static const char *const pci_modules[] = {"virtio_pci"};
#define CHOSEN_MAX \
    (ARRAY_SIZE(basic_modules) + ARRAY_SIZE(network_modules) + ARRAY_SIZE(pci_modules) + 1)

static int open_agent(struct husk_error *err)
{
    const char *given = secure_getenv("HUSK_AGENT");
    char path[PATH_MAX];
    const char *name = given ? given : find_beside(AGENT_FILE, R_OK, path, sizeof(path));
    int fd;

    if (!name)
        name = HUSK_LIBEXEC_DIR "/" AGENT_FILE;
    fd = open(name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_set(err, errno, name, "cannot open the agent's initial RAM disk", NULL)
                  : fd;
}

static void choose_modules(const struct initrd_needs *needs, const char *driver,
                           const char *names[CHOSEN_MAX + 1])
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(basic_modules); i++)
        names[count++] = basic_modules[i];
    for (size_t i = 0; needs->network && i < ARRAY_SIZE(network_modules); i++)
        names[count++] = network_modules[i];
    for (size_t i = 0; needs->device && i < ARRAY_SIZE(pci_modules); i++)
        names[count++] = pci_modules[i];
    if (driver[0])
        names[count++] = driver;
    names[count] = NULL;
}

/* A digest of what goes into it. */
static int identify(const char *tree, int agent, const char *const *names, struct digest *digest)
{
    char path[PATH_MAX], *text = NULL;
    struct stat index, program;
    size_t len = 0;
    FILE *out;
    int ret;

    if ((size_t)snprintf(path, sizeof(path), "%s/modules.dep", tree) >= sizeof(path))
        return -ENAMETOOLONG;
    if (stat(path, &index) || fstat(agent, &program))
        return -errno;
    out = open_memstream(&text, &len);
    if (!out)
        return -ENOMEM;
    fprintf(out, "%u %s\n", MODULE_FORMAT, tree);
    cache_describe(out, "modules", &index);
    cache_describe(out, "agent", &program);
    for (; *names; names++)
        fprintf(out, "%s\n", *names);
    ret = fclose(out) ? -ENOMEM : digest_of(text, len, digest);
    free(text);
    return ret;
}

/* ---- making one ---- */

static int copy_agent(int agent, int out)
{
    static const char zeroes[AGENT_ALIGN];
    struct stat info;
    off_t offset = 0;

    if (fstat(agent, &info))
        return -errno;
    while (offset < info.st_size) {
        ssize_t n = sendfile(out, agent, &offset, (size_t)(info.st_size - offset));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
    }
    return write_full(out, zeroes, (size_t)(-info.st_size & (AGENT_ALIGN - 1)));
}

struct recipe {
    const char *tree;
    int agent;
    const char *names[CHOSEN_MAX + 1];
};

/* A cache_make_fn. */
static int write_initrd(void *arg, int out, struct husk_error *err)
{
    const struct recipe *recipe = arg;
    struct module_list list;
    int ret = module_list_read(recipe->tree, recipe->names, &list, err);

    if (ret)
        return ret;
    ret = copy_agent(recipe->agent, out);
    if (ret)
        error_set(err, -ret, AGENT_FILE, cannot_make, NULL);
    else
        ret = module_archive_write(recipe->tree, &list, out, err);
    module_list_clear(&list);
    return ret;
}

int initrd_open(const struct guest_kernel *kernel, const struct initrd_needs *needs,
                struct husk_error *err)
{
    struct recipe recipe = {.tree = kernel->modules, .agent = open_agent(err)};
    char driver[MODULE_NAME_BYTES] = "";
    struct digest digest;
    int ret = 0;

    if (recipe.agent < 0 || !kernel->modules[0])
        return recipe.agent;
    if (needs->device)
        ret = module_for_device(recipe.tree, needs->device, driver, err);
    if (ret) {
        close_fd(&recipe.agent);
        return ret;
    }
    choose_modules(needs, driver, recipe.names);
    ret = identify(recipe.tree, recipe.agent, recipe.names, &digest);
    if (ret)
        error_set(err, -ret, recipe.tree, cannot_make, NULL);
    else
        ret = cache_file("initrd", &digest, write_initrd, &recipe, err);
    close_fd(&recipe.agent);
    return ret;
}
