// SPDX-License-Identifier: Apache-2.0
/*
 * The validated configuration of a machine: everything bounded, defaults filled in, strings copied.
 * What is here needs no further check but those that only the host can answer.
 *
 * Each function fills err with the field at fault ("memory", "drive 2: queues") and changes nothing
 * when it fails.
 */
#ifndef HUSK_VMM_CONFIG_H
#define HUSK_VMM_CONFIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/pci_address.h"
#include "husk/husk.h"

#define CONFIG_DEVICES_MAX     32u /* of one kind; all together: config_check_room() */
#define CONFIG_QUEUES_MAX      16u
#define CONFIG_CPU_CHANGES_MAX 256u /* of CPUID, and of MSRs */
#define CONFIG_CHANGE_NAME_MAX 40u
#define CONFIG_NAME_MAX        24u  /* of a device in messages: "drive 2" */
#define CONFIG_PARTS_MAX       127u /* of one drive, behind its first file */
#define CONFIG_ID_MAX          64u  /* characters of an id */

/* A file to boot from. */
struct boot_file {
    char *path;     /* NULL: none, or only a descriptor is given */
    int callers_fd; /* -1, or what the caller gave */
    int fd;         /* -1, or owned: machine_open() */
};

/* A file that follows another one on a disk. */
struct drive_part {
    int fd;              /* -1, or owned */
    uint64_t size_bytes; /* machine_open() */
};

struct drive_config {
    char id[CONFIG_ID_MAX + 1];
    char *path;              /* NULL when only fd is given */
    int fd;                  /* -1, or owned */
    uint64_t size_bytes;     /* of all of it; machine_open() */
    struct drive_part *more; /* owned: the files behind that one; NULL: there are none */
    unsigned more_count;
    bool read_only;
    enum husk_block_engine engine;
    unsigned queues;
    struct husk_rate operations, bandwidth;
};

struct net_config {
    char id[CONFIG_ID_MAX + 1];
    char *tap_name;                   /* NULL when tap_fds are given */
    int tap_fds[CONFIG_QUEUES_MAX];   /* -1, or owned: one for each queue pair */
    int vhost_fds[CONFIG_QUEUES_MAX]; /* as tap_fds; -1 throughout: the packets are ours to move */
    uint8_t mac[6];                   /* all zero: machine_open() derives it */
    uint16_t mtu;
    unsigned queue_pairs;
    enum husk_vhost vhost; /* never AUTO or ON together with a rate */
    struct husk_rate rx_bandwidth, tx_bandwidth, rx_operations, tx_operations;
};

/* A device of the host. Exactly one of device_fd and group_fd is open from machine_open() on, but
 * for a device that is plugged and of a group that the VM has already. */
struct vfio_config {
    char id[CONFIG_ID_MAX + 1];
    char address[PCI_ADDRESS_SIZE]; /* "": only device_fd is given */
    enum husk_vfio_iommu iommu;     /* what was asked for */
    int device_fd, group_fd;        /* -1, or owned */
    uint64_t group_rdev;            /* of vfio_device_config; 0 before the build */
};

struct vsock_config {
    bool present;
    uint32_t guest_cid;
    char *path;           /* of the listening socket, in the caller's eyes */
    int listen_fd;        /* -1, or owned: machine_open() */
    char *connect_prefix; /* where the machine finds "PREFIX_N"; `path` unless it is jailed */
    bool socket_made;     /* machine_open() made `path`, which is the file of the next two */
    uint64_t socket_device, socket_inode;
};

struct machine_config {
    struct boot_file kernel, initrd;
    char *command_line; /* whole */
    char *append;       /* what follows the default words; NULL: there are none */
    int callers_kvm_fd; /* -1, or what the caller gave */
    int kvm_fd;         /* -1, or owned: machine_open() */
    bool kvm_is_pvm;    /* machine_open(); see struct kvm */

    bool confine_threads; /* the VM's threads go under seccomp filters */

    uint64_t memory_bytes;
    bool memory_shared;
    enum husk_pages pages;
    unsigned vcpus;
    unsigned threads_per_core;               /* divides vcpus */
    struct husk_cpuid_change *cpuid_changes; /* owned, as the next; applied in order */
    unsigned cpuid_change_count;
    struct husk_msr_change *msr_changes;
    unsigned msr_change_count;

    enum husk_console console;
    int console_in_fd, console_out_fd; /* the caller's */
    uint16_t console_columns, console_rows;
    bool rng;
    bool free_page_reporting;
    struct husk_rate rng_rate;     /* bytes */
    enum husk_transport transport; /* never AUTO after machine_config_settle() */

    pthread_mutex_t devices_lock; /* guards the next four while the machine lives */
    struct drive_config drives[CONFIG_DEVICES_MAX];
    unsigned drive_count;
    struct net_config nets[CONFIG_DEVICES_MAX];
    unsigned net_count;
    struct vfio_config vfios[CONFIG_DEVICES_MAX];
    unsigned vfio_count;
    enum husk_vfio_iommu vfio_iommu; /* of all of them; machine_open() decides */
    int vfio_iommu_fd;               /* -1, or owned: the IOMMU's end of that interface */
    struct vsock_config vsock;
};

/* Initialise from options of this or an earlier release (their size says which). */
int machine_config_init(struct machine_config *config, const struct husk_vm_options *options,
                        struct husk_error *err);

/* Descriptors in the options become the configuration's on success. */
int machine_config_add_drive(struct machine_config *config,
                             const struct husk_drive_options *options, struct husk_error *err);
int machine_config_add_net(struct machine_config *config, const struct husk_net_options *options,
                           struct husk_error *err);

/* config_vfio.c. */
int machine_config_add_vfio(struct machine_config *config, const struct husk_vfio_options *options,
                            struct husk_error *err);

/* The same into a configuration of its own, which the caller releases: what machine_config_add_*()
 * would append. */
int config_make_drive(const struct machine_config *config, const struct husk_drive_options *options,
                      struct drive_config *drive, struct husk_error *err);
int config_make_net(const struct machine_config *config, const struct husk_net_options *options,
                    struct net_config *net, struct husk_error *err);
/* *iommu_fd: as given, or -1. Descriptors stay the caller's here. */
int config_make_vfio(const struct machine_config *config, const struct husk_vfio_options *options,
                     struct vfio_config *vfio, int *iommu_fd, struct husk_error *err);

/* Whether a device that was made before still fits: its id is free, and there is room. */
int config_check_drive(const struct machine_config *config, const struct drive_config *drive,
                       struct husk_error *err);
int config_check_net(const struct machine_config *config, const struct net_config *net,
                     struct husk_error *err);
int config_check_vfio(const struct machine_config *config, const struct vfio_config *vfio,
                      struct husk_error *err);

/* config_vsock.c. -EEXIST when there is one. */
int machine_config_set_vsock(struct machine_config *config,
                             const struct husk_vsock_options *options, struct husk_error *err);

/* config_transport.c. Whether one more device fits, when there are of_kind already: -ENOSPC with
 * err naming it. */
int config_check_room(const struct machine_config *config, unsigned of_kind, const char *name,
                      struct husk_error *err);

/* The same for a device of the host: the first one makes it a PCI bus. */
int config_check_vfio_room(const struct machine_config *config, const char *name,
                           struct husk_error *err);

/* config_transport.c. The whole command line, in memory of the caller's. `whole` is what to begin
 * with; NULL: the default words. What the given kernel takes is known when it is loaded. */
int config_build_command_line(const char *whole, const char *append, enum husk_console console,
                              bool has_pci, char **out, struct husk_error *err);

/* config_transport.c. The device list is complete: choose the transport, if nobody has, and fit the
 * command line to it. */
int machine_config_settle(struct machine_config *config, struct husk_error *err);

/* Take a device away again: -ENOENT when there is no such id. */
int machine_config_remove_drive(struct machine_config *config, const char *id,
                                struct husk_error *err);
int machine_config_remove_net(struct machine_config *config, const char *id,
                              struct husk_error *err);
int machine_config_remove_vfio(struct machine_config *config, const char *id,
                               struct husk_error *err);

/* The index of a device by its id; -ENOENT with err filled (`what` cannot be done). */
int machine_config_find_drive(const struct machine_config *config, const char *id, const char *what,
                              struct husk_error *err);
int machine_config_find_net(const struct machine_config *config, const char *id, const char *what,
                            struct husk_error *err);
int machine_config_find_vfio(const struct machine_config *config, const char *id, const char *what,
                             struct husk_error *err);

/* What any id must look like: 1..CONFIG_ID_MAX of A-Z a-z 0-9 - _. */
int config_check_id(const char *id, const char *where, struct husk_error *err);

/* The id of the next device: a copy of `given`, or for NULL one like "drive1" that is free. */
int config_choose_drive_id(const struct machine_config *config, const char *given,
                           char id[CONFIG_ID_MAX + 1], struct husk_error *err);
int config_choose_net_id(const struct machine_config *config, const char *given,
                         char id[CONFIG_ID_MAX + 1], struct husk_error *err);
int config_choose_vfio_id(const struct machine_config *config, const char *given,
                          char id[CONFIG_ID_MAX + 1], struct husk_error *err);

/* A burst without a rate is a mistake, not a limit: -EINVAL with err naming "device: name". */
int config_check_rate(const struct husk_rate *rate, const char *device, const char *name,
                      struct husk_error *err);

/* config_cpu.c: the processor's part of machine_config_init(). The second returns false without
 * memory; what it copied is the configuration's in any case. */
int config_check_cpu(const struct husk_vm_options *options, struct husk_error *err);
bool config_copy_cpu(struct machine_config *config, const struct husk_vm_options *options);

/* What messages call a change: "cpuid leaf 0x7 subleaf 0x0", "msr 0x10a". */
void config_cpuid_change_name(const struct husk_cpuid_change *change,
                              char name[CONFIG_CHANGE_NAME_MAX]);
void config_msr_change_name(const struct husk_msr_change *change,
                            char name[CONFIG_CHANGE_NAME_MAX]);

/* Closes owned descriptors, when somebody else has duplicates of them. */
void machine_config_close(struct machine_config *config);

/* Frees strings and closes owned descriptors. */
void machine_config_release(struct machine_config *config);
void drive_config_release(struct drive_config *drive);
void drive_config_close(struct drive_config *drive); /* its descriptors only */
void net_config_release(struct net_config *net);
void net_config_close(struct net_config *net);      /* its descriptors only */
void vfio_config_release(struct vfio_config *vfio); /* config_vfio.c */
/* config_vsock.c. Also removes the socket that machine_open() made, if it still is the same. */
void vsock_config_release(struct vsock_config *vsock);

/*
 * Copy an option struct of any release into this release's: `out` holds the defaults, of which a
 * smaller struct replaces its part. A larger one may only hold zeroes in what is unknown here.
 * Returns 0, -EINVAL (no size) or -E2BIG.
 */
int config_copy_options(void *out, size_t out_size, const void *options, const char *where,
                        struct husk_error *err);

/* The other way: results of this release into a struct of any other, as far as both go. The
 * caller's size stays. -EINVAL when there is none. */
int config_copy_results(void *out, const void *results, size_t results_size, const char *what,
                        struct husk_error *err);

#endif
