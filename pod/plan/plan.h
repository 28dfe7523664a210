// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of a pod: from its Pod object, config maps, secrets, the configurations of its
 * images and its addresses, to the machine that it needs, to what the agent is asked before its
 * containers, and for each container to the parameters of the agent's "create". docs/pods.md says
 * what each field becomes.
 *
 * The Pod object is one that pod/manifest has checked and filled with defaults. What only the
 * images, the objects or the host can tell is checked here; an error's `where` is the field's path
 * ("spec.containers[0].env[2].valueFrom"). Nothing is started or changed. Files are only read where
 * a hostPath or a profile of seccomp names one: through the input's host_path, and below
 * seccomp_directory. The same input gives the same plan, byte for byte.
 *
 * What a supervisor does with a plan (requests are {"method": TEXT, "params": {…}}):
 *
 *     plan_build()                     when images are there and the network is up
 *     plan->machine->network = …       then pod_machine_create() with the images in this order
 *     agent: each of plan->pod         "pod.set"
 *     agent: pod_machine_requests()
 *     agent: each of plan->requests    volumes and what is in them, /etc/hosts, …
 *   and whenever a container is to run:
 *     agent: each of container->before
 *     agent: "create" with container->create, and "rootfs" of its image
 *     … start … wait … plan->containers[i].message_path is read ("volume.read") … "delete"
 *     agent: each of container->after, also when "create" failed
 */
#ifndef HUSK_POD_PLAN_PLAN_H
#define HUSK_POD_PLAN_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/image/config.h"
#include "pod/machine/options.h"
#include "pod/spec/spec.h"

#define PLAN_CONTAINERS_MAX    64u /* init containers included */
#define PLAN_CLUSTER_DOMAIN    "cluster.local"
#define PLAN_SECCOMP_DIRECTORY "/var/lib/husk/seccomp"
#define PLAN_MESSAGES          "messages" /* the volume of termination messages */
#define PLAN_MESSAGE_MAX       4096u      /* bytes of one that are read, as kubelets do */

/* An image that a container names. */
struct plan_image {
    const char *reference; /* the text of `image` in the Pod object */
    const struct image_config *config;
};

enum plan_host_kind {
    PLAN_HOST_DISK, /* a file or block device with a file system: a disk of the machine */
    PLAN_HOST_FILE, /* copied into the guest */
};

/* What a hostPath is. */
struct plan_host_path {
    enum plan_host_kind kind;
    char path[PATH_MAX]; /* of a disk, absolute and without links */
    bool held;           /* of a disk: it is `fd`, wherever the path leads by now */
    int fd;              /* O_PATH; given to the plan, which closes it */
    char fstype[32];     /* of a disk */
    bool readonly;       /* of a disk: cannot be written to */
    uint8_t *bytes;      /* of a file: its contents, given to the plan, which frees them */
    size_t len;          /* at most PLAN_HOST_FILE_MAX */
    unsigned mode, uid, gid;
};

#define PLAN_HOST_FILE_MAX (4u << 20)

/* Everything stays the caller's and is used by the call alone. */
struct plan_input {
    const json_t *pod;
    const json_t *objects; /* {"configMaps": {…}, "secrets": {…}}, as in a pod's record */
    const char *uid;       /* metadata.uid */
    const struct plan_image *images; /* each reference of the pod once, in any order */
    unsigned image_count;
    struct spec_words addresses; /* the pod's, without prefixes: status.podIPs */
    struct spec_words nameservers, searches, resolver_options; /* of the network, or the host */
    struct spec_words host_addresses;                          /* status.hostIPs */
    const char *node_name;                                     /* spec.nodeName; NULL: "" */
    const char *cluster_domain;                                /* NULL: PLAN_CLUSTER_DOMAIN */
    const char *seccomp_directory;                             /* NULL: PLAN_SECCOMP_DIRECTORY */
    const char *kernel;                  /* the guest's, absolute; NULL or "": it is searched for */
    unsigned kernel_major, kernel_minor; /* as in struct spec_options */
    /* What there is to be had; 0: not known. */
    uint64_t host_memory_bytes;
    unsigned host_cpus;
    /* The machine runs, and has this: the plan has to fit. 0: it is sized. */
    uint64_t memory_bytes;
    unsigned vcpus;
    /* Looks at a path of the host, for a hostPath of this type ("" or NULL: none is given); `where`
     * is the field's. NULL: plan_host_path(). */
    int (*host_path)(void *arg, const char *path, const char *type, const char *where,
                     struct plan_host_path *out, struct husk_error *err);
    void *arg;
};

enum plan_kind {
    PLAN_INIT,
    PLAN_SIDECAR, /* an init container that is restarted always */
    PLAN_MAIN,
};

struct plan_container {
    char name[HUSK_AGENT_NAME_MAX + 1]; /* the agent's "container", too */
    char field[40];                     /* "spec.containers[0]" */
    enum plan_kind kind;
    unsigned image;    /* index into the input's images */
    json_t *create;    /* parameters of "create" but for "rootfs" */
    json_t *before;    /* requests before each "create" */
    json_t *after;     /* requests after each "delete", and after a "create" that failed */
    json_t *resources; /* linux.resources as "update" takes them */
    int stop_signal;
    bool tty, stdin_open, stdin_once;
    /* In the volume PLAN_MESSAGES; empty before each "create". */
    char message_path[HUSK_AGENT_NAME_MAX + 1];
    bool message_from_log; /* terminationMessagePolicy: FallbackToLogsOnError */
};

/* A volume whose user may not write more than this: "volume.usage" tells. */
struct plan_limit {
    char volume[HUSK_AGENT_NAME_MAX + 1]; /* the agent's name */
    char name[HUSK_AGENT_NAME_MAX + 1];   /* the Pod object's */
    uint64_t limit_bytes;
};

struct pod_plan {
    struct pod_machine_options *machine; /* `network` is for the caller to fill */
    json_t *pod;                         /* requests: before those of the machine, */
    json_t *requests;                    /* and after them */
    struct plan_container *containers;   /* init containers in order, then the others in order */
    unsigned container_count;
    struct plan_limit *limits; /* of emptyDirs on disk */
    unsigned limit_count;
    const char *qos_class; /* "Guaranteed", "Burstable", "BestEffort" */
    char hostname[65];     /* of the pod */
    /* [{"reason": TEXT, "message": TEXT}, …]: what kubelets tell in events, such as names of
     * variables that are none. */
    json_t *warnings;
    /* The plan's own: what is in volumes of config maps and the like, and which volumes are files
     * of the host. */
    json_t *payloads, *host_files;
};

/*
 * On success *out is to be given to plan_clear(). -EINVAL, -ERANGE; -ENOENT for a key, a config
 * map, a secret or a file of the host that is not there; -ENOSPC for resources that neither this
 * host nor the running machine has; -E2BIG, -ENOTSUP, -ENOMEM.
 */
int plan_build(const struct plan_input *input, struct pod_plan *out, struct husk_error *err);
/* Takes a zeroed one. */
void plan_clear(struct pod_plan *plan);

/* The reader of a hostPath that plan_build() uses by itself; blocks. */
int plan_host_path(void *arg, const char *path, const char *type, const char *where,
                   struct plan_host_path *out, struct husk_error *err);

/* What brings a change about while the pod runs. */
struct plan_changes {
    json_t *changed;  /* texts: the fields of the Pod object, and "configMap/NAME", "secret/NAME" */
    json_t *requests; /* of the agent, for volumes and files */
    /* Requests of one container: {"container": NAME, "method", "params"}; those of one that does
     * not run at the moment are not to be asked: its next "create" has them. */
    json_t *updates;
};

/*
 * From one plan's input to another's: `now->memory_bytes` and `vcpus` are the running machine's.
 * On success *plan is the plan from now on (the caller's to clear, as `changes`): containers that
 * start later are created by it. -EEXIST with err->where the first field that cannot be changed
 * while the pod runs; nothing is to be done then.
 */
int plan_update(const struct plan_input *old, const struct plan_input *now, struct pod_plan *plan,
                struct plan_changes *changes, struct husk_error *err);
void plan_changes_clear(struct plan_changes *changes);

#endif
