// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent is told of one container: the whole config.json (OCI runtime specification 1.0.2),
 * made of an image's configuration and of options in the spelling of `docker run`, and everything
 * that has to be in the guest before "create" is asked for.
 *
 * Nothing here starts or changes anything. Files are read that options name (--env-file,
 * --security-opt seccomp=FILE, the beginning of -v's sources); these functions block for that.
 * An error's `where` is the option with its value, or "the image" with the member.
 *
 * What a supervisor does with a struct spec, in this order (husk/agent.h has the requests):
 *
 *   pod.set      spec.pod, when it is not NULL
 *   volume.add   for each of spec.volumes: a disk by its name, which is its serial number; of the
 *                other kinds but SPEC_VOLUME_FILE, "directory": the scratch volume
 *   file.write   for each of spec.files
 *   create       config, "user": spec.user, "fill": the names of volumes with `fill`, and "seal"
 * when something is copied in archive.put  for SPEC_VOLUME_DIRECTORY: the contents of source, into
 * destination; for SPEC_VOLUME_FILE: source, as destination start
 */
#ifndef HUSK_POD_SPEC_SPEC_H
#define HUSK_POD_SPEC_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/agent.h"
#include "husk/error.h"
#include "pod/image/config.h"

#define SPEC_LIST_MAX    4096u /* of each list of options */
#define SPEC_VOLUMES_MAX 64u
#define SPEC_FILES       3u
#define SPEC_USER_MAX    255u /* bytes of --user */

/* Texts of the caller's, such as those of argv. */
struct spec_words {
    const char *const *words;
    unsigned count;
};

/* A bind mount of something that is in the guest. */
struct spec_mount {
    const char *destination; /* in the container, absolute */
    const char *source;      /* in the guest: below HUSK_AGENT_VOLUMES or HUSK_AGENT_FILES */
    bool readonly;
};

/*
 * Of a container that is one of a pod's: what `docker run` has no words for. Such a container is in
 * the pod's ipc and uts namespaces, has the pod's /dev/shm, and no /etc/hosts, hostname or
 * resolv.conf but those of `mounts`.
 */
struct spec_member {
    const char *prefix; /* of the names of the image's volumes: at most 8 characters */
    bool share_pid;     /* in the pod's pid namespace, too */
    const struct spec_mount *mounts;
    unsigned mount_count;   /* at most SPEC_VOLUMES_MAX */
    const uint32_t *groups; /* that the process is in, beside those of its user */
    unsigned group_count;
    int oom_score_adj;       /* -1000 to 1000 */
    const json_t *resources; /* members for linux.resources, "devices" excluded; or NULL */
    bool privileged;         /* all rights over the guest: capabilities, calls, devices, paths */
    bool unmasked;           /* nothing of /proc and /sys is hidden or read-only */
};

/* Zero is what no option says. Texts and lists stay the caller's; they are needed only while
 * spec_build() runs. */
struct spec_options {
    const char *id;              /* the container's; its first 12 characters are the host name */
    const char *hostname;        /* --hostname, -h */
    struct spec_words command;   /* what follows IMAGE */
    const char *entrypoint;      /* --entrypoint; "" takes the image's away, and its command */
    bool tty;                    /* --tty, -t */
    unsigned columns, rows;      /* of the terminal; 0: not known */
    struct spec_words env;       /* --env, -e: NAME=VALUE, or NAME: as in `environment` */
    struct spec_words env_files; /* --env-file */
    char *const *environment;    /* the caller's own (environ), for NAME alone; NULL: none */
    const char *directory;       /* --workdir, -w */
    const char *user;            /* --user, -u: NAME|UID[:GROUP|GID] */
    struct spec_words volumes;   /* --volume, -v */
    struct spec_words tmpfs;     /* --tmpfs */
    const char *shm_size;        /* --shm-size */
    bool read_only;              /* --read-only */
    bool init;                   /* --init */
    struct spec_words cap_add, cap_drop; /* --cap-add, --cap-drop */
    struct spec_words security;          /* --security-opt */
    const char *memory;                  /* --memory, -m */
    const char *cpus;                    /* --cpus */
    const char *pids_limit;              /* --pids-limit */
    struct spec_words ulimits;           /* --ulimit */
    struct spec_words sysctls;           /* --sysctl */
    const char *stop_signal;             /* --stop-signal */
    const char *address;                 /* the container's IP address, for /etc/hosts */
    struct spec_words nameservers;       /* addresses, for /etc/resolv.conf */
    unsigned kernel_major, kernel_minor; /* the guest's, for minKernel of a seccomp profile; 0: the
                                            oldest that the agent runs on, 6.1 */
    const struct spec_member *member;    /* NULL: a container by itself */
};

enum spec_volume_kind {
    SPEC_VOLUME_DISK,      /* a file (or block device) with a file system in it */
    SPEC_VOLUME_FILE,      /* copied into the root: no volume of the agent's, and no mount */
    SPEC_VOLUME_DIRECTORY, /* its contents are copied in */
    SPEC_VOLUME_ANONYMOUS, /* empty, or filled with what the image has there */
};

struct spec_volume {
    enum spec_volume_kind kind;
    char name[28];     /* the agent's name of it; as a disk, its serial number */
    char *source;      /* an absolute path of this host's; NULL when anonymous */
    char *destination; /* in the container, absolute and without "." or ".." */
    char fstype[32];   /* of a disk: for volume.add; "" else */
    bool readonly;     /* in the container (not of a file); a disk is not written to then */
    bool fill;         /* from the image, when anonymous */
};

/* For file.write; config.json binds it to /etc/NAME. */
struct spec_file {
    char name[16]; /* "hosts", "hostname", "resolv.conf" */
    char *text;
};

struct spec {
    json_t *config;               /* config.json */
    char user[SPEC_USER_MAX + 1]; /* for "create", which looks names up in the image; never "" */
    struct spec_volume *volumes;  /* parents before what is below them */
    unsigned volume_count;
    struct spec_file files[SPEC_FILES]; /* text NULL: a volume is there instead */
    json_t *pod;                        /* parameters for "pod.set", or NULL */
    bool init;                          /* "init" of "create" */
    int stop_signal;                    /* 1 to 64 */
    uint64_t memory_bytes;              /* --memory; 0: no limit was asked for */
    uint64_t cpu_nanos;                 /* --cpus in billionths; 0 likewise */
};

/*
 * On success *out is to be given to spec_clear(). -EINVAL and -ERANGE for what an option or the
 * image says, -ENOENT and others of open(2) for files, -E2BIG when it does not fit into a request
 * to the agent, -ENOTSUP, -ENOMEM.
 */
int spec_build(const struct image_config *image, const struct spec_options *options,
               struct spec *out, struct husk_error *err);
void spec_clear(struct spec *spec);

/* The same as one JSON object, for a file, and back; that counts as written by a stranger. A new
 * reference, or NULL when memory is short. */
json_t *spec_save(const struct spec *spec);
int spec_load(const json_t *object, const char *where, struct spec *out, struct husk_error *err);

/* What `exec` may say; as in struct spec_options. */
struct spec_exec_options {
    struct spec_words command;
    bool tty, privileged;
    unsigned columns, rows;
    struct spec_words env, env_files;
    char *const *environment;
    const char *directory, *user;
};

/*
 * The process of `exec` in the container of `config` (as spec_build() made it) whose user was
 * `container_user`. *out is a new reference to an object for the agent's "exec", and `user` what
 * goes with it. Privileged means all capabilities; the container's filter of system calls stays.
 */
int spec_exec(const json_t *config, const char *container_user,
              const struct spec_exec_options *options, json_t **out, char user[SPEC_USER_MAX + 1],
              struct husk_error *err);

#define SPEC_SIGNAL_BYTES 16u
/* "SIGTERM" of 15; "SIGRTMIN+3", or the number where there is no name. Returns `text`. */
const char *spec_signal_name(int number, char text[SPEC_SIGNAL_BYTES]);

/* A signal's number of "SIGTERM", "term", "RTMIN+3" or "15"; -EINVAL. */
int spec_signal_parse(const char *text, int *out);

#endif
