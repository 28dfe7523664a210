// SPDX-License-Identifier: Apache-2.0
/* The shapes of what clients configure: see settings.h. Constant data and pure functions. */
#include "vmm/api/settings.h"

#include <ctype.h>
#include <string.h>

#include "base/checked.h"

#define NUMBER_MAX ((uint64_t)INT64_MAX) /* of a JSON integer */
#define ANY_LENGTH (1u << 20)            /* bodies are shorter */

#define TEXT(type, member, ...)                                                           \
    {                                                                                     \
        .name = #member, .kind = JSON_TEXT, .offset = offsetof(type, member), __VA_ARGS__ \
    }
#define NUMBER(type, member, ...)                                                           \
    {                                                                                       \
        .name = #member, .kind = JSON_NUMBER, .offset = offsetof(type, member), __VA_ARGS__ \
    }
#define FLAG(type, member, ...)                                                           \
    {                                                                                     \
        .name = #member, .kind = JSON_FLAG, .offset = offsetof(type, member), __VA_ARGS__ \
    }
#define CHOICE(type, member, ...)                                                           \
    {                                                                                       \
        .name = #member, .kind = JSON_CHOICE, .offset = offsetof(type, member), __VA_ARGS__ \
    }
#define PART(type, member, ...)                                                           \
    {                                                                                     \
        .name = #member, .kind = JSON_PART, .offset = offsetof(type, member), __VA_ARGS__ \
    }

#define REQUIRED  .required = true
#define PATH      .min = 1, .max = API_PATH_MAX
#define DEVICE_ID .min = 0, .max = ANY_LENGTH /* check_device_id() has the better words */
#define FREE_TEXT .min = 0, .max = ANY_LENGTH

static const struct json_field bucket_fields[] = {
    NUMBER(struct bucket_settings, size, REQUIRED, .max = NUMBER_MAX),
    NUMBER(struct bucket_settings, one_time_burst, .max = NUMBER_MAX),
    NUMBER(struct bucket_settings, refill_time, REQUIRED, .max = NUMBER_MAX),
};
static const struct json_shape bucket_shape = JSON_SHAPE(bucket_fields);

static const struct json_field limiter_fields[] = {
    PART(struct limiter_settings, bandwidth, .shape = &bucket_shape),
    PART(struct limiter_settings, ops, .shape = &bucket_shape),
};
static const struct json_shape limiter_shape = JSON_SHAPE(limiter_fields);

static const char *const huge_pages[] = {"None", "Transparent", "2M", NULL};
static const char *const cpu_templates[] = {"C3", "T2", "T2S", "T2CL", "T2A", "V1N1", "None", NULL};

/* vcpu_count and mem_size_mib have further limits, with words of their own: machine.c. */
#define MACHINE_FIELDS(needed)                                                                    \
    {                                                                                             \
        NUMBER(struct machine_settings, vcpu_count, .required = needed, .max = 255),              \
            NUMBER(struct machine_settings, mem_size_mib, .required = needed, .max = NUMBER_MAX), \
            FLAG(struct machine_settings, smt),                                                   \
            CHOICE(struct machine_settings, cpu_template, .choices = cpu_templates,               \
                   .quiet = true),                                                                \
            FLAG(struct machine_settings, track_dirty_pages),                                     \
            CHOICE(struct machine_settings, huge_pages, .choices = huge_pages),                   \
    }
static const struct json_field machine_fields[] = MACHINE_FIELDS(true);
const struct json_shape machine_shape = JSON_SHAPE(machine_fields);
static const struct json_field machine_patch_fields[] = MACHINE_FIELDS(false);
const struct json_shape machine_patch_shape = JSON_SHAPE(machine_patch_fields);

static const struct json_field boot_fields[] = {
    TEXT(struct boot_settings, kernel_image_path, REQUIRED, PATH),
    TEXT(struct boot_settings, initrd_path, PATH),
    TEXT(struct boot_settings, boot_args, FREE_TEXT),
};
const struct json_shape boot_shape = JSON_SHAPE(boot_fields);

static const char *const cache_types[] = {"Unsafe", "Writeback", NULL};
static const char *const io_engines[] = {"Sync", "Async", NULL};

static const struct json_field drive_fields[] = {
    TEXT(struct drive_settings, drive_id, REQUIRED, DEVICE_ID),
    TEXT(struct drive_settings, partuuid, FREE_TEXT),
    FLAG(struct drive_settings, is_root_device, REQUIRED),
    CHOICE(struct drive_settings, cache_type, .choices = cache_types),
    FLAG(struct drive_settings, is_read_only),
    TEXT(struct drive_settings, path_on_host, PATH),
    PART(struct drive_settings, rate_limiter, .shape = &limiter_shape),
    CHOICE(struct drive_settings, io_engine, .choices = io_engines),
    TEXT(struct drive_settings, socket, FREE_TEXT),
};
const struct json_shape drive_shape = JSON_SHAPE(drive_fields);

static const struct json_field drive_patch_fields[] = {
    TEXT(struct drive_patch, drive_id, REQUIRED, DEVICE_ID),
    TEXT(struct drive_patch, path_on_host, PATH),
    PART(struct drive_patch, rate_limiter, .shape = &limiter_shape),
};
const struct json_shape drive_patch_shape = JSON_SHAPE(drive_patch_fields);

static const struct json_field net_fields[] = {
    TEXT(struct net_settings, iface_id, REQUIRED, DEVICE_ID),
    TEXT(struct net_settings, host_dev_name, REQUIRED, .min = 1, .max = 15),
    TEXT(struct net_settings, guest_mac, FREE_TEXT),
    NUMBER(struct net_settings, mtu, .min = 68, .max = UINT16_MAX),
    PART(struct net_settings, rx_rate_limiter, .shape = &limiter_shape),
    PART(struct net_settings, tx_rate_limiter, .shape = &limiter_shape),
};
const struct json_shape net_shape = JSON_SHAPE(net_fields);

static const struct json_field net_patch_fields[] = {
    TEXT(struct net_patch, iface_id, REQUIRED, DEVICE_ID),
    PART(struct net_patch, rx_rate_limiter, .shape = &limiter_shape),
    PART(struct net_patch, tx_rate_limiter, .shape = &limiter_shape),
};
const struct json_shape net_patch_shape = JSON_SHAPE(net_patch_fields);

static const char *const iommus[] = {"Auto", "Iommufd", "Group", NULL};

static const struct json_field vfio_fields[] = {
    TEXT(struct vfio_settings, vfio_id, REQUIRED, DEVICE_ID),
    TEXT(struct vfio_settings, address, REQUIRED, FREE_TEXT),
    CHOICE(struct vfio_settings, iommu, .choices = iommus),
};
const struct json_shape vfio_shape = JSON_SHAPE(vfio_fields);

static const struct json_field vsock_fields[] = {
    TEXT(struct vsock_settings, vsock_id, FREE_TEXT, .quiet = true),
    NUMBER(struct vsock_settings, guest_cid, REQUIRED, .min = 3, .max = UINT32_MAX - 1),
    TEXT(struct vsock_settings, uds_path, REQUIRED, .min = 1, .max = 107),
};
const struct json_shape vsock_shape = JSON_SHAPE(vsock_fields);

static const struct json_field entropy_fields[] = {
    PART(struct entropy_settings, rate_limiter, .shape = &limiter_shape),
};
const struct json_shape entropy_shape = JSON_SHAPE(entropy_fields);

static const struct json_field serial_fields[] = {
    TEXT(struct serial_settings, serial_out_path, PATH),
    PART(struct serial_settings, rate_limiter, .shape = &bucket_shape),
};
const struct json_shape serial_shape = JSON_SHAPE(serial_fields);

const char *const log_levels[] = {"Off",  "Error", "Warning", "Warn",
                                  "Info", "Debug", "Trace",   NULL};
const unsigned char log_level_of[] = {LOG_CHOICE_OFF,  LOG_CHOICE_ERROR, LOG_CHOICE_WARN,
                                      LOG_CHOICE_WARN, LOG_CHOICE_INFO,  LOG_CHOICE_DEBUG,
                                      LOG_CHOICE_DEBUG};

static const struct json_field logger_fields[] = {
    TEXT(struct logger_settings, log_path, PATH),
    CHOICE(struct logger_settings, level, .choices = log_levels, .any_case = true),
    FLAG(struct logger_settings, show_level),
    FLAG(struct logger_settings, show_log_origin),
    TEXT(struct logger_settings, module, FREE_TEXT),
};
const struct json_shape logger_shape = JSON_SHAPE(logger_fields);

static const struct json_field metrics_fields[] = {
    TEXT(struct metrics_settings, metrics_path, REQUIRED, PATH),
    FLAG(struct metrics_settings, emit_id),
    {.name = "properties",
     .kind = JSON_VALUE,
     .offset = offsetof(struct metrics_settings, properties)},
};
const struct json_shape metrics_shape = JSON_SHAPE(metrics_fields);

struct husk_rate rate_of_bucket(const struct bucket_settings *bucket)
{
    struct husk_rate rate = {0};
    uint64_t size = bucket->size.value, time_ms = bucket->refill_time.value;
    unsigned __int128 per_second;

    if (!bucket->given || size == 0 || time_ms == 0)
        return rate;
    per_second = ((unsigned __int128)size * 1000 + time_ms - 1) / time_ms;
    rate.per_second = per_second > UINT64_MAX ? UINT64_MAX : (uint64_t)per_second;
    rate.burst = size;
    return rate;
}

int check_device_id(const char *id, struct api_fault *fault)
{
    size_t len = strlen(id);

    if (len == 0)
        return api_fault_set(fault, "The ID cannot be empty.");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)id[i];

        if (c > 0x7f || (!isalnum(c) && c != '_'))
            return api_fault_set(
                fault,
                "API Resource IDs can only contain alphanumeric characters and underscores.");
    }
    if (len > API_ID_MAX)
        return api_fault_set(fault, "API Resource IDs can only have %u characters.", API_ID_MAX);
    return 0;
}
