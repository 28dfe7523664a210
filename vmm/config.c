// SPDX-License-Identifier: Apache-2.0
/* Checking options: see config.h. Nothing here opens or asks the host anything. */
#include "vmm/config.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "vmm/arch/arch.h"

#define CANNOT_CONFIGURE     "cannot configure the VM"
#define DEFAULT_MEMORY_BYTES (256ull << 20)
#define OPTIONS_MAX_BYTES    65536u /* of any release to come */
#define MTU_MIN              68u
#define VCPUS_SANE           4096u /* KVM's own limit is checked when the VM is built */

int config_copy_options(void *out, size_t out_size, const void *options, const char *where,
                        struct husk_error *err)
{
    size_t size;

    if (!options)
        return error_set(err, EINVAL, where, CANNOT_CONFIGURE, "no options were given");
    memcpy(&size, options, sizeof(size));
    /* A size out of all proportion is no size: nobody initialised the struct. */
    if (size < sizeof(size) || size > OPTIONS_MAX_BYTES)
        return error_set(err, EINVAL, where, CANNOT_CONFIGURE,
                         "the options do not say their size: initialise them with the _INIT macro");
    for (size_t i = out_size; i < size; i++) {
        if (((const uint8_t *)options)[i])
            return error_set(err, E2BIG, where, CANNOT_CONFIGURE,
                             "options of a newer release are set: this is husk %s", husk_version());
    }
    memcpy(out, options, min_u64(size, out_size));
    memcpy(out, &out_size, sizeof(out_size));
    return 0;
}

int config_copy_results(void *out, const void *results, size_t results_size, const char *what,
                        struct husk_error *err)
{
    size_t size;

    if (!out)
        return error_set(err, EINVAL, "", what, "there is no place for the result");
    memcpy(&size, out, sizeof(size));
    if (size < sizeof(size) || size > OPTIONS_MAX_BYTES)
        return error_set(err, EINVAL, "", what, "the struct does not say its size");
    memcpy(out, results, min_u64(size, results_size));
    memcpy(out, &size, sizeof(size));
    return 0;
}

static int given_fd(int fd)
{
    return fd < 0 ? -1 : fd;
}

/* NULL stays NULL. False when there is no memory. */
static bool copy_string(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

static int check_memory(uint64_t bytes, enum husk_pages pages, struct husk_error *err)
{
    if (bytes < arch_memory_min_bytes || bytes > arch_memory_max_bytes)
        return error_set(err, ERANGE, "memory", CANNOT_CONFIGURE,
                         "%llu bytes is not between %llu MiB and %llu GiB",
                         (unsigned long long)bytes,
                         (unsigned long long)(arch_memory_min_bytes >> 20),
                         (unsigned long long)(arch_memory_max_bytes >> 30));
    if (!is_aligned(bytes, GUEST_PAGE_SIZE))
        return error_set(err, EINVAL, "memory", CANNOT_CONFIGURE,
                         "%llu bytes is not a multiple of %u", (unsigned long long)bytes,
                         GUEST_PAGE_SIZE);
    if (pages == HUSK_PAGES_2M && !is_aligned(bytes, GUEST_HUGE_PAGE_SIZE))
        return error_set(err, EINVAL, "memory", CANNOT_CONFIGURE,
                         "%llu bytes is not a multiple of 2 MiB, the size of its pages",
                         (unsigned long long)bytes);
    return 0;
}

int config_check_rate(const struct husk_rate *rate, const char *device, const char *name,
                      struct husk_error *err)
{
    char where[64];

    if (rate->per_second || !rate->burst)
        return 0;
    snprintf(where, sizeof(where), "%s: %s", device, name);
    return error_set(err, EINVAL, where, CANNOT_CONFIGURE, "there is a burst but no rate");
}

static uint64_t memory_of(const struct husk_vm_options *options)
{
    return options->memory_bytes ? options->memory_bytes : DEFAULT_MEMORY_BYTES;
}

static int check_vm(const struct husk_vm_options *options, struct husk_error *err)
{
    int ret;

    if (!options->kernel_path && options->kernel_fd < 0)
        return error_set(err, EINVAL, "kernel", CANNOT_CONFIGURE, "no kernel was given");
    if (options->kernel_path && !options->kernel_path[0])
        return error_set(err, EINVAL, "kernel", CANNOT_CONFIGURE, "the path is empty");
    if (options->initrd_path && !options->initrd_path[0])
        return error_set(err, EINVAL, "initrd", CANNOT_CONFIGURE, "the path is empty");
    if (options->vcpus > VCPUS_SANE)
        return error_set(err, ERANGE, "vcpus", CANNOT_CONFIGURE, "%u is more than %u",
                         options->vcpus, VCPUS_SANE);
    if ((unsigned)options->console > HUSK_CONSOLE_NONE)
        return error_set(err, EINVAL, "console", CANNOT_CONFIGURE, "there is no kind %u",
                         (unsigned)options->console);
    if ((unsigned)options->transport > HUSK_TRANSPORT_MMIO)
        return error_set(err, EINVAL, "transport", CANNOT_CONFIGURE, "there is no kind %u",
                         (unsigned)options->transport);
    if (options->console_write && (options->console_in_fd >= 0 || options->console_out_fd >= 0))
        return error_set(err, EINVAL, "console", CANNOT_CONFIGURE,
                         "both descriptors and a callback are given");
    if ((unsigned)options->log_level > HUSK_LOG_DEBUG)
        return error_set(err, EINVAL, "log level", CANNOT_CONFIGURE, "there is no level %u",
                         (unsigned)options->log_level);
    if ((unsigned)options->pages > HUSK_PAGES_2M)
        return error_set(err, EINVAL, "pages", CANNOT_CONFIGURE, "there is no kind %u",
                         (unsigned)options->pages);
    if (options->free_page_reporting &&
        (options->memory_shared || options->pages != HUSK_PAGES_DEFAULT))
        return error_set(err, EINVAL, "free page reporting", CANNOT_CONFIGURE,
                         "it wants private memory of ordinary pages");
    ret = check_memory(memory_of(options), options->pages, err);
    if (!ret)
        ret = config_check_rate(&options->rng_rate, "rng", "rate", err);
    return ret ? ret : config_check_cpu(options, err);
}

int machine_config_init(struct machine_config *config, const struct husk_vm_options *given,
                        struct husk_error *err)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    char *command_line = NULL;
    int ret = config_copy_options(&options, sizeof(options), given, "", err);
    bool copied;

    if (!ret)
        ret = check_vm(&options, err);
    if (!ret)
        ret = config_build_command_line(options.command_line, options.command_line_append,
                                        options.console, options.transport == HUSK_TRANSPORT_PCI,
                                        &command_line, err);
    if (ret)
        return ret;
    memset(config, 0, sizeof(*config));
    pthread_mutex_init(&config->devices_lock, NULL);
    config->vsock.listen_fd = config->vfio_iommu_fd = -1;
    config->kernel = (struct boot_file){.callers_fd = given_fd(options.kernel_fd), .fd = -1};
    config->initrd = (struct boot_file){.callers_fd = given_fd(options.initrd_fd), .fd = -1};
    config->callers_kvm_fd = given_fd(options.kvm_fd);
    config->kvm_fd = -1;
    config->confine_threads = options.confine_threads != 0;
    config->memory_bytes = memory_of(&options);
    config->memory_shared = options.memory_shared != 0;
    config->pages = options.pages;
    config->vcpus = options.vcpus ? options.vcpus : 1;
    config->console = options.console;
    config->console_in_fd = given_fd(options.console_in_fd);
    config->console_out_fd = given_fd(options.console_out_fd);
    config->console_columns = options.console_columns;
    config->console_rows = options.console_rows;
    config->rng = !options.no_rng;
    config->rng_rate = options.rng_rate;
    config->free_page_reporting = options.free_page_reporting != 0;
    config->transport = options.transport;
    config->command_line = command_line;
    copied = copy_string(&config->kernel.path, options.kernel_path);
    copied &= copy_string(&config->initrd.path, options.initrd_path);
    if (!options.command_line)
        copied &= copy_string(&config->append,
                              options.command_line_append ? options.command_line_append : "");
    copied &= config_copy_cpu(config, &options);
    if (!copied) {
        machine_config_release(config);
        return error_set(err, ENOMEM, "", CANNOT_CONFIGURE, NULL);
    }
    return 0;
}

static int check_queues(unsigned queues, const char *device, const char *name,
                        struct husk_error *err)
{
    char where[64];

    if (queues <= CONFIG_QUEUES_MAX)
        return 0;
    snprintf(where, sizeof(where), "%s: %s", device, name);
    return error_set(err, ERANGE, where, CANNOT_CONFIGURE, "%u is not between 1 and %u", queues,
                     CONFIG_QUEUES_MAX);
}

static int check_parts(const struct husk_drive_options *options, const char *name,
                       struct husk_error *err)
{
    if (options->more_fd_count > CONFIG_PARTS_MAX)
        return error_set(err, E2BIG, name, CANNOT_CONFIGURE, "of more than %u files",
                         CONFIG_PARTS_MAX + 1);
    if (options->more_fd_count && (!options->read_only || !options->more_fds))
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                         "a disk of several files can be read only");
    for (unsigned i = 0; i < options->more_fd_count; i++) {
        if (options->more_fds[i] < 0)
            return error_set(err, EBADF, name, CANNOT_CONFIGURE, "the descriptor of file %u is %d",
                             i + 2, options->more_fds[i]);
    }
    return 0;
}

/* NULL when there are none; false without memory. */
static bool copy_parts(struct drive_part **out, const int *fds, unsigned count)
{
    *out = count ? calloc(count, sizeof(**out)) : NULL;
    for (unsigned i = 0; *out && i < count; i++)
        (*out)[i].fd = fds[i];
    return !count || *out;
}

static int check_drive(const struct husk_drive_options *options, const char *name,
                       struct husk_error *err)
{
    int ret;

    if (options->fd < 0 && (!options->path || !options->path[0]))
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "no file was given");
    if ((unsigned)options->engine > HUSK_BLOCK_ENGINE_THREADS)
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "there is no engine %u",
                         (unsigned)options->engine);
    ret = check_queues(options->queues, name, "queues", err);
    if (!ret)
        ret = check_parts(options, name, err);
    if (!ret)
        ret = config_check_rate(&options->operations, name, "operations", err);
    if (!ret)
        ret = config_check_rate(&options->bandwidth, name, "bandwidth", err);
    return ret;
}

int config_make_drive(const struct machine_config *config, const struct husk_drive_options *given,
                      struct drive_config *drive, struct husk_error *err)
{
    struct husk_drive_options options = HUSK_DRIVE_OPTIONS_INIT;
    char name[CONFIG_NAME_MAX], id[CONFIG_ID_MAX + 1];
    struct drive_part *more;
    char *path;
    int ret;

    snprintf(name, sizeof(name), "drive %u", config->drive_count + 1);
    ret = config_check_room(config, config->drive_count, name, err);
    if (!ret)
        ret = config_copy_options(&options, sizeof(options), given, name, err);
    if (!ret)
        ret = check_drive(&options, name, err);
    if (!ret)
        ret = config_choose_drive_id(config, options.id, id, err);
    if (ret)
        return ret;
    if (!copy_parts(&more, options.more_fds, options.more_fd_count) ||
        !copy_string(&path, options.path)) {
        free(more);
        return error_set(err, ENOMEM, name, CANNOT_CONFIGURE, NULL);
    }
    *drive = (struct drive_config){
        .path = path,
        .fd = given_fd(options.fd),
        .more = more,
        .more_count = options.more_fd_count,
        .read_only = options.read_only != 0,
        .engine = options.engine,
        .queues = options.queues ? options.queues : 1,
        .operations = options.operations,
        .bandwidth = options.bandwidth,
    };
    memcpy(drive->id, id, sizeof(drive->id));
    return 0; /* NOLINT(clang-analyzer-unix.Malloc): path is the drive's */
}

int machine_config_add_drive(struct machine_config *config,
                             const struct husk_drive_options *options, struct husk_error *err)
{
    struct drive_config drive;
    int ret = config_make_drive(config, options, &drive, err);

    if (!ret)
        config->drives[config->drive_count++] = drive;
    return ret;
}

static bool has_rates(const struct husk_net_options *options)
{
    return options->rx_bandwidth.per_second || options->tx_bandwidth.per_second ||
           options->rx_operations.per_second || options->tx_operations.per_second;
}

static unsigned pairs_of(const struct husk_net_options *options)
{
    return options->queue_pairs ? options->queue_pairs : 1;
}

/* Descriptors of the kernel's data path: then it is wanted. */
static int check_vhost_fds(const struct husk_net_options *options, const char *name,
                           struct husk_error *err)
{
    for (unsigned i = 0; options->vhost_fds && i < pairs_of(options); i++) {
        if (options->vhost_fds[i] < 0)
            return error_set(err, EBADF, name, CANNOT_CONFIGURE,
                             "the vhost descriptor of queue pair %u is %d", i + 1,
                             options->vhost_fds[i]);
    }
    if (options->vhost_fds && options->vhost == HUSK_VHOST_OFF)
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                         "vhost descriptors are given, and vhost is off");
    return 0;
}

static int check_tap(const struct husk_net_options *options, const char *name,
                     struct husk_error *err)
{
    for (unsigned i = 0; options->tap_fds && i < pairs_of(options); i++) {
        if (options->tap_fds[i] < 0)
            return error_set(err, EBADF, name, CANNOT_CONFIGURE,
                             "the tap's descriptor of queue pair %u is %d", i + 1,
                             options->tap_fds[i]);
    }
    if (options->tap_fds)
        return 0;
    if (!options->tap_name || !options->tap_name[0])
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "no tap interface was given");
    if (strlen(options->tap_name) >= IFNAMSIZ)
        return error_set(err, ENAMETOOLONG, name, CANNOT_CONFIGURE,
                         "an interface name has at most %d characters", IFNAMSIZ - 1);
    return 0;
}

/* The second device would find the tap in use, and blame another process. */
static int check_tap_is_free(const struct machine_config *config,
                             const struct husk_net_options *options, const char *name,
                             struct husk_error *err)
{
    for (unsigned i = 0; !options->tap_fds && i < config->net_count; i++) {
        const char *taken = config->nets[i].tap_name;

        if (taken && options->tap_name && !strcmp(taken, options->tap_name))
            return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "%s is given to net %u already",
                             taken, i + 1);
    }
    return 0;
}

static int check_net(const struct machine_config *config, const struct husk_net_options *options,
                     const char *name, struct husk_error *err)
{
    int ret = check_queues(options->queue_pairs, name, "queue pairs", err);

    if (!ret)
        ret = check_tap(options, name, err);
    if (!ret)
        ret = check_tap_is_free(config, options, name, err);
    if (!ret)
        ret = check_vhost_fds(options, name, err);
    if (ret)
        return ret;
    if (options->mac[0] & 1)
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "the MAC address is a group's");
    if (options->mtu && options->mtu < MTU_MIN)
        return error_set(err, ERANGE, name, CANNOT_CONFIGURE, "an MTU of %u is less than %u",
                         options->mtu, MTU_MIN);
    if ((unsigned)options->vhost > HUSK_VHOST_OFF)
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE, "there is no vhost mode %u",
                         (unsigned)options->vhost);
    ret = config_check_rate(&options->rx_bandwidth, name, "receive bandwidth", err);
    if (!ret)
        ret = config_check_rate(&options->tx_bandwidth, name, "transmit bandwidth", err);
    if (!ret)
        ret = config_check_rate(&options->rx_operations, name, "receive operations", err);
    if (!ret)
        ret = config_check_rate(&options->tx_operations, name, "transmit operations", err);
    if (!ret && (options->vhost == HUSK_VHOST_ON || options->vhost_fds) && has_rates(options))
        return error_set(err, EINVAL, name, CANNOT_CONFIGURE,
                         "the kernel's data path (vhost=on) has no rate limits (bw)");
    return ret;
}

int config_make_net(const struct machine_config *config, const struct husk_net_options *given,
                    struct net_config *net, struct husk_error *err)
{
    struct husk_net_options options = HUSK_NET_OPTIONS_INIT;
    char name[CONFIG_NAME_MAX], id[CONFIG_ID_MAX + 1];
    char *tap_name;
    int ret;

    snprintf(name, sizeof(name), "net %u", config->net_count + 1);
    ret = config_check_room(config, config->net_count, name, err);
    if (!ret)
        ret = config_copy_options(&options, sizeof(options), given, name, err);
    if (!ret)
        ret = check_net(config, &options, name, err);
    if (!ret)
        ret = config_choose_net_id(config, options.id, id, err);
    if (ret)
        return ret;
    if (!copy_string(&tap_name, options.tap_fds ? NULL : options.tap_name))
        return error_set(err, ENOMEM, name, CANNOT_CONFIGURE, NULL);
    *net = (struct net_config){
        .tap_name = tap_name,
        .mtu = options.mtu,
        .queue_pairs = pairs_of(&options),
        .vhost = has_rates(&options) ? HUSK_VHOST_OFF : options.vhost,
        .rx_bandwidth = options.rx_bandwidth,
        .tx_bandwidth = options.tx_bandwidth,
        .rx_operations = options.rx_operations,
        .tx_operations = options.tx_operations,
    };
    memcpy(net->id, id, sizeof(net->id));
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): tap_name is net's */
    memcpy(net->mac, options.mac, sizeof(net->mac));
    for (unsigned i = 0; i < CONFIG_QUEUES_MAX; i++) {
        net->tap_fds[i] = options.tap_fds && i < net->queue_pairs ? options.tap_fds[i] : -1;
        net->vhost_fds[i] = options.vhost_fds && i < net->queue_pairs ? options.vhost_fds[i] : -1;
    }
    return 0;
}

int machine_config_add_net(struct machine_config *config, const struct husk_net_options *options,
                           struct husk_error *err)
{
    struct net_config net;
    int ret = config_make_net(config, options, &net, err);

    if (!ret)
        config->nets[config->net_count++] = net;
    return ret;
}

void drive_config_close(struct drive_config *drive)
{
    close_fd(&drive->fd);
    for (unsigned i = 0; i < drive->more_count; i++)
        close_fd(&drive->more[i].fd);
}

void drive_config_release(struct drive_config *drive)
{
    free(drive->path);
    drive->path = NULL;
    drive_config_close(drive);
    free(drive->more);
    drive->more = NULL;
    drive->more_count = 0;
}

void net_config_close(struct net_config *net)
{
    for (unsigned queue = 0; queue < CONFIG_QUEUES_MAX; queue++) {
        close_fd(&net->tap_fds[queue]);
        close_fd(&net->vhost_fds[queue]);
    }
}

void net_config_release(struct net_config *net)
{
    free(net->tap_name);
    net->tap_name = NULL;
    net_config_close(net);
}

void machine_config_close(struct machine_config *config)
{
    close_fd(&config->kernel.fd);
    close_fd(&config->initrd.fd);
    close_fd(&config->kvm_fd);
    for (unsigned i = 0; i < config->drive_count; i++)
        drive_config_close(&config->drives[i]);
    for (unsigned i = 0; i < config->net_count; i++)
        net_config_close(&config->nets[i]);
    for (unsigned i = 0; i < config->vfio_count; i++)
        vfio_config_release(&config->vfios[i]);
    close_fd(&config->vfio_iommu_fd);
    close_fd(&config->vsock.listen_fd);
}

void machine_config_release(struct machine_config *config)
{
    machine_config_close(config);
    free(config->kernel.path);
    free(config->initrd.path);
    free(config->command_line);
    free(config->append);
    free(config->cpuid_changes);
    free(config->msr_changes);
    for (unsigned i = 0; i < config->drive_count; i++)
        drive_config_release(&config->drives[i]);
    for (unsigned i = 0; i < config->net_count; i++)
        net_config_release(&config->nets[i]);
    vsock_config_release(&config->vsock);
    pthread_mutex_destroy(&config->devices_lock);
    memset(config, 0, sizeof(*config));
    config->vsock.listen_fd = config->vfio_iommu_fd = -1;
    config->kernel.fd = config->kernel.callers_fd = -1;
    config->initrd.fd = config->initrd.callers_fd = -1;
    config->kvm_fd = config->callers_kvm_fd = -1;
    config->console_in_fd = config->console_out_fd = -1;
}
