// SPDX-License-Identifier: Apache-2.0
/*
 * What clients configure before the start, as C structs whose shapes (json.h) are in settings.c.
 * Names and defaults are Firecracker's.
 */
#ifndef HUSK_VMM_API_SETTINGS_H
#define HUSK_VMM_API_SETTINGS_H

#include "husk/husk.h"
#include "vmm/api/json.h"

#define API_PATH_MAX    4095u
#define API_ID_MAX      64u
#define API_DEVICES_MAX 32u /* drives; network interfaces; devices of the host */

struct bucket_settings {
    bool given;
    struct json_number size;        /* tokens; of bandwidth: bytes */
    struct json_number refill_time; /* milliseconds for the whole bucket */
    struct json_number one_time_burst;
};

struct limiter_settings {
    bool given;
    struct bucket_settings bandwidth, ops;
};

enum { HUGE_PAGES_NONE, HUGE_PAGES_TRANSPARENT, HUGE_PAGES_2M };

struct machine_settings {
    bool given;
    struct json_number vcpu_count, mem_size_mib;
    struct json_flag smt, track_dirty_pages;
    struct json_choice huge_pages, cpu_template;
};

struct boot_settings {
    bool given;
    char *kernel_image_path, *initrd_path, *boot_args;
};

enum { CACHE_UNSAFE, CACHE_WRITEBACK };
enum { IO_ENGINE_SYNC, IO_ENGINE_ASYNC };

struct drive_settings {
    bool given;
    char *drive_id, *path_on_host, *partuuid, *socket;
    struct json_flag is_root_device, is_read_only;
    struct json_choice cache_type, io_engine;
    struct limiter_settings rate_limiter;
};

struct drive_patch {
    bool given;
    char *drive_id, *path_on_host;
    struct limiter_settings rate_limiter;
};

struct net_settings {
    bool given;
    char *iface_id, *host_dev_name, *guest_mac;
    struct json_number mtu;
    struct limiter_settings rx_rate_limiter, tx_rate_limiter;
};

struct net_patch {
    bool given;
    char *iface_id;
    struct limiter_settings rx_rate_limiter, tx_rate_limiter;
};

struct vfio_settings {
    bool given;
    char *vfio_id, *address;  /* the address as sysfs spells it */
    struct json_choice iommu; /* index: enum husk_vfio_iommu */
};

struct vsock_settings {
    bool given;
    char *vsock_id, *uds_path;
    struct json_number guest_cid;
};

struct entropy_settings {
    bool given;
    struct limiter_settings rate_limiter;
};

struct serial_settings {
    bool given;
    char *serial_out_path;
    struct bucket_settings rate_limiter;
};

enum { LOG_CHOICE_OFF, LOG_CHOICE_ERROR, LOG_CHOICE_WARN, LOG_CHOICE_INFO, LOG_CHOICE_DEBUG };

struct logger_settings {
    bool given;
    char *log_path, *module;
    struct json_choice level; /* index into log_levels */
    struct json_flag show_level, show_log_origin;
};

struct metrics_settings {
    bool given;
    char *metrics_path;
    struct json_flag emit_id;
    json_t *properties;
};

extern const char *const log_levels[]; /* NULL-terminated; log_level_of[] says what each means */
extern const unsigned char log_level_of[];

extern const struct json_shape machine_shape, machine_patch_shape, boot_shape, drive_shape,
    drive_patch_shape, net_shape, net_patch_shape, vfio_shape, vsock_shape, entropy_shape,
    serial_shape, logger_shape, metrics_shape;

/*
 * A token bucket as a rate. The bucket refills at size / refill_time; a size or a time of 0 does
 * not limit. What is kept is rate and size; one_time_burst is not (docs/api.md says why).
 */
struct husk_rate rate_of_bucket(const struct bucket_settings *bucket);

/* 1..64 of A-Z a-z 0-9 _, as ids of devices are. */
int check_device_id(const char *id, struct api_fault *fault);

#endif
