// SPDX-License-Identifier: Apache-2.0
/*
 * A config.json of the OCI runtime specification (1.0.2 to 1.2, the parts for Linux), checked.
 *
 * oci_parse() reads every field that the specification knows. What is wrong, or asks for something
 * that this agent does not do, is refused with the field's name; members that the specification
 * does not know are ignored (config.md, "Extensibility"). What remains is data that the files of
 * each concept carry out without looking at JSON again.
 *
 * Texts belong to the document, of which the config holds a reference; lists are its own.
 */
#ifndef HUSK_GUEST_AGENT_OCI_H
#define HUSK_GUEST_AGENT_OCI_H

#include <jansson.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "guest/agent/node.h"

#define OCI_NAMESPACES  7
#define OCI_ID_MAPS_MAX 64
#define OCI_GROUPS_MAX  256
#define OCI_RLIMITS     16
#define OCI_PATH_MAX    4095
#define OCI_MOUNTS_MAX  256
#define OCI_DEVICES_MAX 256
#define OCI_SYSCTLS_MAX 256
#define OCI_STRINGS_MAX 4096

/* capabilities.c: in the order of the bits of capset(2). */
struct oci_capabilities {
    bool given;
    uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct oci_rlimit {
    bool given;
    struct rlimit64 limit;
};

struct oci_process {
    const char **args; /* at least one; NULL-terminated, as env */
    const char **env;
    const char *cwd; /* absolute */
    bool terminal;
    uint16_t columns, rows; /* 0: not said */
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    size_t group_count;
    bool umask_given;
    mode_t umask;
    struct oci_capabilities capabilities;
    struct oci_rlimit rlimits[OCI_RLIMITS]; /* by RLIMIT_… */
    bool no_new_privileges;
    bool oom_score_given;
    int oom_score_adj;
    bool scheduler_given;
    struct oci_scheduler {
        uint32_t policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } scheduler;
    bool io_priority_given;
    int io_priority; /* as ioprio_set(2) takes it */
};

struct oci_mount_options {
    uint64_t attr_set, attr_clear; /* MOUNT_ATTR_… of this mount */
    uint64_t recursive_set, recursive_clear;
    uint64_t propagation; /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, or 0 */
    bool propagation_recursive;
    bool bind, recursive_bind;
    const char **data; /* for the file system: NULL-terminated "key" or "key=value" */
};

struct oci_mount {
    const char *destination;
    const char *type;   /* NULL for a bind mount */
    const char *source; /* may be NULL */
    struct oci_mount_options options;
};

struct oci_namespace {
    bool given;
    const char *path; /* NULL: a new one */
};

/* namespaces.c; the order in which they are joined: user first, mount last. */
enum oci_namespace_type {
    OCI_NS_USER,
    OCI_NS_PID,
    OCI_NS_NETWORK,
    OCI_NS_IPC,
    OCI_NS_UTS,
    OCI_NS_CGROUP,
    OCI_NS_MOUNT,
};

struct oci_id_map {
    uint32_t inside, outside, count;
};

struct oci_device {
    const char *path;
    mode_t type; /* S_IFCHR, S_IFBLK or S_IFIFO */
    unsigned major, minor;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

struct oci_device_rule {
    bool allow;
    char type;            /* 'a', 'b' or 'c' */
    int64_t major, minor; /* -1: all */
    bool read, write, mknod;
};

struct oci_sysctl {
    const char *name, *value;
};

struct oci_io_limit {
    int64_t major, minor;
    bool write, operations; /* else read, bytes */
    uint64_t rate;
};

/* What is given of each is set; cgroup_limits.c. */
struct oci_resources {
    struct oci_device_rule *device_rules;
    size_t device_rule_count;
    bool memory_limit_given, memory_swap_given, memory_reservation_given;
    int64_t memory_limit, memory_swap, memory_reservation; /* -1: no limit; swap includes memory */
    bool cpu_shares_given, cpu_quota_given, cpu_period_given, cpu_burst_given, cpu_idle_given;
    uint64_t cpu_shares, cpu_period, cpu_burst;
    int64_t cpu_quota, cpu_idle;
    const char *cpus, *mems;
    bool pids_given;
    int64_t pids_limit;
    bool io_weight_given;
    uint64_t io_weight; /* 10 to 1000, as version 1 had it */
    struct oci_io_limit *io_limits;
    size_t io_limit_count;
    struct oci_sysctl *unified; /* file names and values */
    size_t unified_count;
};

struct oci_config {
    json_t *document;
    struct oci_process process;
    bool has_process;
    const char *root_path; /* NULL: given otherwise */
    bool root_readonly;
    uint64_t root_propagation; /* MS_…, 0: not said */
    const char *hostname, *domainname;
    struct oci_mount *mounts;
    size_t mount_count;
    struct oci_namespace namespaces[OCI_NAMESPACES];
    struct oci_id_map *uid_maps, *gid_maps;
    size_t uid_map_count, gid_map_count;
    struct oci_device *devices;
    size_t device_count;
    const char *cgroups_path; /* NULL: the agent's choice */
    struct oci_resources resources;
    struct sock_fprog seccomp;                   /* no instructions: no filter; owned */
    unsigned seccomp_flags;                      /* SECCOMP_FILTER_FLAG_… */
    const char **masked_paths, **readonly_paths; /* NULL-terminated, or NULL */
    struct oci_sysctl *sysctls;
    size_t sysctl_count;
};

/* Reads the object `node`. *out is for oci_free() when it succeeds, and nothing stays when not.
 * With need_root, root.path must be there. */
int oci_parse(const struct node *node, bool need_root, struct oci_config *out,
              struct husk_error *err);
void oci_free(struct oci_config *config);

/* A process by itself, for exec; texts belong to the document. */
int oci_parse_process(const struct node *node, struct oci_process *out, struct husk_error *err);
void oci_free_process(struct oci_process *process);

/* linux.resources; `update` refuses device rules. */
int oci_parse_resources(const struct node *node, bool update, struct oci_resources *out,
                        struct husk_error *err);
void oci_free_resources(struct oci_resources *resources);

/* Parts of oci_parse(), in files of their own. They fill what oci_free() frees, also on failure. */
int oci_parse_linux(const struct node *node, struct oci_config *out, struct husk_error *err);
int oci_parse_mounts(const struct node *node, struct oci_config *out, struct husk_error *err);

#endif
