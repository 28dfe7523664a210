// SPDX-License-Identifier: Apache-2.0
/*
 * libhusk-pod: pods on this host. A pod is one microVM with several containers, one address and
 * shared volumes, described by a Kubernetes Pod object (docs/pods.md has the fields).
 *
 *     struct husk_error err;
 *     struct husk_pods_options options = HUSK_PODS_OPTIONS_INIT;
 *     struct husk_pod_start_options start = HUSK_POD_START_OPTIONS_INIT;
 *     struct husk_manifest *manifest;
 *     struct husk_pods *pods;
 *
 *     if (husk_pods_open(&options, &pods, &err) ||
 *         husk_manifest_read_file("web.yaml", NULL, &manifest, &err))
 *         ... err names the file, the line and the field, and why ...
 *     for (unsigned i = 0; i < husk_manifest_pods(manifest); i++)
 *         if (husk_pod_create(pods, manifest, i, NULL, &err) ||
 *             husk_pod_start(pods, husk_manifest_pod_name(manifest, i), &start, &err))
 *             ...
 *     husk_manifest_free(manifest);
 *
 * Who keeps a pod. Each started pod has a process of its own, its supervisor, which owns the
 * machine, the network and the logs, restarts containers, and asks their probes. It is no child of
 * the caller: the caller may end, and another open the same directory and go on. Nothing about a
 * pod is kept in a struct husk_pods. A supervisor that dies takes its machine with it; the next
 * call that looks finds the pod "Failed" with reason "SupervisorLost", and everything that it had
 * on the host taken back.
 *
 * Names. A pod is named by its metadata.name, or NAMESPACE/NAME when its namespace is another than
 * "default". Wherever a call takes `name`, both forms, and at least 4 first digits of the pod's
 * uid, will do.
 *
 * Texts. JSON is what Kubernetes' API has for the same thing: a Pod has apiVersion, kind, metadata,
 * spec and status. Texts that are handed out are the caller's, for husk_pod_text_free().
 *
 * Errors and threads: as in husk/husk.h. A struct husk_pods may be used by one thread at a time;
 * any number of them, and of processes, may use one directory. Every call with a `name` returns
 * -EINVAL for what can be no name, and -ENOENT when there is no such pod; those inside a pod, and
 * husk_pod_stats(), -ESRCH when it does not run, and -ECONNRESET when it ends meanwhile.
 *
 * Blocking. Calls wait for files and for the answer of the pod's supervisor, not for images,
 * machines, networks or containers, unless they say so. Those inside a pod wait for the guest, too:
 * for at most 3 minutes, after which its machine counts as lost. Where a dead pod is found, its
 * network is taken back first: each CNI plugin may take 30 seconds once.
 */
#ifndef HUSK_POD_H
#define HUSK_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef HUSK_API
#define HUSK_API __attribute__((visibility("default")))
#endif

/* ---- manifests ---- */

struct husk_manifest;

/* Receives one line without newline. */
typedef void (*husk_manifest_warn_fn)(void *arg, const char *line);

struct husk_manifest_options {
    size_t size;
    bool lenient; /* fields that are unknown or not supported are told to `warn`, and left out */
    husk_manifest_warn_fn warn; /* a line for each of these; may be NULL */
    void *arg;
};

#define HUSK_MANIFEST_OPTIONS_INIT                   \
    {                                                \
        .size = sizeof(struct husk_manifest_options) \
    }

/*
 * Reads YAML (JSON is YAML) of one or several documents: Pod, ConfigMap, Secret, Deployment (as
 * that many pods), and List of these. `name` is what errors call it. options may be NULL.
 *
 * Everything is checked: types, ranges, names, references between the documents of one pod, and
 * that nothing is asked for that husk does not do. -EINVAL with err->where "FILE:LINE: FIELD PATH";
 * -E2BIG for a text, a depth or a count beyond the limits (docs/pods.md); -ENOMEM.
 */
HUSK_API int husk_manifest_read(const char *name, const void *bytes, size_t len,
                                const struct husk_manifest_options *options,
                                struct husk_manifest **out, struct husk_error *err);
/* The same of a file; "-" is standard input. -errno of open(2) and read(2) as well. */
HUSK_API int husk_manifest_read_file(const char *path, const struct husk_manifest_options *options,
                                     struct husk_manifest **out, struct husk_error *err);
/* Adds the documents of `other`, which is emptied, so that config maps may lie in files of their
 * own. -EEXIST when both have one of the same kind and name. */
HUSK_API int husk_manifest_join(struct husk_manifest *manifest, struct husk_manifest *other,
                                struct husk_error *err);

/* How many pods there are, in the order of the documents; those of a Deployment are NAME-0, NAME-1,
 * … */
HUSK_API unsigned husk_manifest_pods(const struct husk_manifest *manifest);
/* Borrowed until the manifest is freed. */
HUSK_API const char *husk_manifest_pod_name(const struct husk_manifest *manifest, unsigned index);
/* The pod as it would be created, defaults included. The caller's text; NULL without memory. */
HUSK_API char *husk_manifest_pod_json(const struct husk_manifest *manifest, unsigned index);

/*
 * The config maps and secrets that the pod refers to, as they would be kept with it: {"configMaps":
 * {NAME: {"data": {…}, "binaryData": {…}}}, "secrets": {NAME: {"data": {KEY: BASE64}}}}, keys in
 * order. The caller's text. -ENOENT as husk_pod_create().
 */
HUSK_API int husk_manifest_pod_objects_json(const struct husk_manifest *manifest, unsigned index,
                                            char **json, struct husk_error *err);

/* Sets an annotation of a pod, over one of the same key: whoever keeps pods writes down on them
 * which are its own. -EINVAL for a key that is none, and for annotations beyond 256 KiB in all. */
HUSK_API int husk_manifest_annotate(struct husk_manifest *manifest, unsigned index, const char *key,
                                    const char *value, struct husk_error *err);

/*
 * The Deployments of the manifest, "NAME" or "NAMESPACE/NAME", also those of no replicas. A pod of
 * one says so in metadata.ownerReferences: one entry with kind "Deployment" and its name. Pods on
 * the host whose owner is named here and that are not in the manifest are too many.
 */
HUSK_API unsigned husk_manifest_deployments(const struct husk_manifest *manifest);
HUSK_API const char *husk_manifest_deployment_name(const struct husk_manifest *manifest,
                                                   unsigned index);

/* Takes NULL. */
HUSK_API void husk_manifest_free(struct husk_manifest *manifest);

/* ---- the pods of a host ---- */

struct husk_pods;

struct husk_pods_options {
    size_t size;
    /* Where pods are recorded; NULL: $HUSK_PODS, else /var/lib/husk/pods for root, else
     * $XDG_DATA_HOME/husk/pods. Made when it is not there. */
    const char *directory;
    const char *images;  /* the image store; NULL: that of `husk image` */
    const char *program; /* what runs as a pod's supervisor; NULL: husk-pod as installed */
};

#define HUSK_PODS_OPTIONS_INIT                   \
    {                                            \
        .size = sizeof(struct husk_pods_options) \
    }

/* options may be NULL. -errno with what cannot be used as err->where: the directory, the store of
 * images, the supervisor's program. */
HUSK_API int husk_pods_open(const struct husk_pods_options *options, struct husk_pods **out,
                            struct husk_error *err);
/* Takes NULL. Pods live on. */
HUSK_API void husk_pods_close(struct husk_pods *pods);

/*
 * Becomes readable when something about a pod may have changed. Read nothing from it: call
 * husk_pods_watch_clear(), then husk_pods_list(). It is the library's. -1: it cannot be watched.
 */
HUSK_API int husk_pods_watch_fd(struct husk_pods *pods);
HUSK_API void husk_pods_watch_clear(struct husk_pods *pods);

/*
 * Finds the dead: marks them, takes back what their machines and networks left on the host, and
 * removes what is half-made. husk_pods_list() and husk_pod_get() do so for what they show.
 */
HUSK_API int husk_pods_tidy(struct husk_pods *pods, struct husk_error *err);

/* ---- one pod ---- */

struct husk_pod_create_options {
    size_t size;
    /* "none"; "bridge", husk's own; "cni:NAME", a conf-list of /etc/cni/net.d; "vf:PF", a
     * virtual function of a card. NULL: the first conf-list that there is, else "bridge"
     * (docs/networks.md). */
    const char *network;
    const char *kernel; /* the guest's; NULL: it is searched for, as for containers */
    /* Ports of the host: "[ADDRESS:]HOST:CONTAINER[/tcp|udp|sctp]", as hostPort of the container
     * that declares the port, else of the first. */
    const char *const *publish;
    unsigned publish_count;
};

#define HUSK_POD_CREATE_OPTIONS_INIT                   \
    {                                                  \
        .size = sizeof(struct husk_pod_create_options) \
    }

/*
 * Records the pod; nothing runs yet. The config maps and secrets that it names are taken from the
 * manifest and kept with it. -EEXIST when there is a pod of that name; -ENOENT for a config map or
 * secret that is missing and not optional. options may be NULL.
 */
HUSK_API int husk_pod_create(struct husk_pods *pods, const struct husk_manifest *manifest,
                             unsigned index, const struct husk_pod_create_options *options,
                             struct husk_error *err);

/*
 * Whether husk_pod_create() would take the manifest's pod with these options, as far as that does
 * not depend on which pods there are: its errors but -EEXIST. Nothing is made. options may be NULL.
 */
HUSK_API int husk_pod_check(const struct husk_manifest *manifest, unsigned index,
                            const struct husk_pod_create_options *options, struct husk_error *err);

struct husk_pod_start_options {
    size_t size;
    bool remove; /* the pod removes itself when it has ended */
};

#define HUSK_POD_START_OPTIONS_INIT                   \
    {                                                 \
        .size = sizeof(struct husk_pod_start_options) \
    }

/*
 * Starts its supervisor, and returns: what becomes of the pod is in its status. A pod that has
 * ended starts anew: as soon as its status says that it has. -EALREADY while it runs. options may
 * be NULL.
 */
HUSK_API int husk_pod_start(struct husk_pods *pods, const char *name,
                            const struct husk_pod_start_options *options, struct husk_error *err);

/*
 * What has been changed of a pod's description, put to work. *changed is an array of the fields
 * that were changed in place, such as "metadata.labels[app]". -EEXIST when some of the changes
 * cannot be made while it runs; err names the first of these fields, and nothing is changed.
 * -ENOENT when there is no such pod.
 */
HUSK_API int husk_pod_apply(struct husk_pods *pods, const struct husk_manifest *manifest,
                            unsigned index, char **changed, struct husk_error *err);

/* Begins its end: hooks, signals, and after grace_seconds (-1: as the pod says) force. Does not
 * wait. A pod that does not run is no error. */
HUSK_API int husk_pod_stop(struct husk_pods *pods, const char *name, int64_t grace_seconds,
                           struct husk_error *err);

/*
 * Removes its record and logs. -EBUSY while it runs, unless `force`, which ends it at once; blocks
 * until it is gone then. A pod whose network a CNI plugin does not take back stays, with that
 * plugin's error, unless `force`.
 */
HUSK_API int husk_pod_remove(struct husk_pods *pods, const char *name, bool force,
                             struct husk_error *err);
/* The same with force. *left: one line about what of its network could not be taken back, which is
 * on the host for good; NULL when nothing is. */
HUSK_API int husk_pod_remove_by_force(struct husk_pods *pods, const char *name, char **left,
                                      struct husk_error *err);

/* A Pod, with its status. */
HUSK_API int husk_pod_get(struct husk_pods *pods, const char *name, char **json,
                          struct husk_error *err);
/* A PodList of those that the label selector means (NULL: all), by name: "app=web,tier!=db",
 * "env in (a, b)", "!canary". -EINVAL for a selector that is none. */
HUSK_API int husk_pods_list(struct husk_pods *pods, const char *selector, char **json,
                            struct husk_error *err);

enum husk_pod_condition {
    HUSK_POD_ENDED, /* phase Succeeded or Failed, and nothing of it is left running */
    HUSK_POD_READY, /* its condition Ready is true; -ECANCELED when it ends before */
};

/* Blocks for at most timeout_ms (-1: for ever): 0, or -ETIMEDOUT. */
HUSK_API int husk_pod_wait(struct husk_pods *pods, const char *name,
                           enum husk_pod_condition condition, int64_t timeout_ms,
                           struct husk_error *err);

/* ---- inside a pod ---- */

struct husk_pod_exec_options {
    size_t size;
    const char
        *container; /* NULL: that of kubectl.kubernetes.io/default-container, else the first */
    const char *const *argv; /* ends with NULL */
    bool stdin_open, tty;
    unsigned columns, rows; /* of the terminal; 0: not known */
};

#define HUSK_POD_EXEC_OPTIONS_INIT                   \
    {                                                \
        .size = sizeof(struct husk_pod_exec_options) \
    }

/*
 * A process in a container, and this caller's connection to its pod. When the pod ends so does the
 * process. Used by one thread at a time, but for husk_pod_process_resize() and _signal(), which
 * any thread may call meanwhile.
 */
struct husk_pod_process;

/*
 * Starts a process in a container. fds: what it reads and writes, as stream sockets, -1 for what it
 * has not: standard input, output, error; with `tty`, fds[1] is the terminal, both ways. They are
 * the caller's. Standard input is ended by shutdown(SHUT_WR). err->code ENOENT or EACCES with where
 * "args[0]" when the program cannot be executed. -ESRCH when the pod does not run.
 */
HUSK_API int husk_pod_exec(struct husk_pods *pods, const char *name,
                           const struct husk_pod_exec_options *options,
                           struct husk_pod_process **out, int fds[3], struct husk_error *err);
/* The same for the container's first process; what it wrote before is in its log. */
HUSK_API int husk_pod_attach(struct husk_pods *pods, const char *name, const char *container,
                             bool stdin_open, struct husk_pod_process **out, int fds[3],
                             struct husk_error *err);

struct husk_pod_archive_options {
    size_t size;
    const char *container; /* as for husk_pod_exec() */
    const char *path;      /* absolute, in the container */
    bool put;              /* into the directory `path`, which is made when it is not there */
    bool follow;           /* get: what a link at `path` points to */
    bool names_only;       /* get: without what is in the files */
};

#define HUSK_POD_ARCHIVE_OPTIONS_INIT                   \
    {                                                   \
        .size = sizeof(struct husk_pod_archive_options) \
    }

/*
 * A tar archive into a container, which is written to fds[0] and ended by shutdown(SHUT_WR), or out
 * of one, which is read from fds[1]. fds[2]: why it failed, in one line; the process's status is 0
 * when it did not. What comes out of a container is hostile.
 */
HUSK_API int husk_pod_archive(struct husk_pods *pods, const char *name,
                              const struct husk_pod_archive_options *options,
                              struct husk_pod_process **out, int fds[3], struct husk_error *err);

HUSK_API int husk_pod_process_resize(struct husk_pod_process *process, unsigned columns,
                                     unsigned rows, struct husk_error *err);
/* 1 to 64. Neither waits for what comes of it: a process may end at any time. */
HUSK_API int husk_pod_process_signal(struct husk_pod_process *process, int number,
                                     struct husk_error *err);
/* For poll(): readable when husk_pod_process_wait() may have news. It is the library's. */
HUSK_API int husk_pod_process_fd(const struct husk_pod_process *process);
/* Blocks until it has ended, for at most timeout_ms (-1: for ever): 0, or -ETIMEDOUT; -ECONNRESET
 * when the pod has ended first. *status: what it gave to exit(), or 128 and its signal. */
HUSK_API int husk_pod_process_wait(struct husk_pod_process *process, int64_t timeout_ms,
                                   int *status, struct husk_error *err);
/* Its streams end; so does what reads or writes them. Takes NULL. */
HUSK_API void husk_pod_process_free(struct husk_pod_process *process);

/*
 * A connection to a TCP port of the pod, made inside it: a stream socket, the caller's. It needs no
 * network. address: NULL is the pod's localhost. -ECONNREFUSED when nobody listens.
 */
HUSK_API int husk_pod_dial(struct husk_pods *pods, const char *name, const char *address,
                           uint16_t port, int *fd, struct husk_error *err);

/* {"processes": [{…}, …], "left_out": N} with the processes of husk/agent.h. container: as for
 * husk_pod_exec(). */
HUSK_API int husk_pod_processes(struct husk_pods *pods, const char *name, const char *container,
                                char **json, struct husk_error *err);

/* {"machine": {"memory_resident_bytes", "cpu_ns"}, "containers": [{"name", "stats": {…}}, …]} with
 * the stats of husk/agent.h. */
HUSK_API int husk_pod_stats(struct husk_pods *pods, const char *name, char **json,
                            struct husk_error *err);

/* ---- logs ---- */

struct husk_pod_log_options {
    size_t size;
    const char *container; /* as for husk_pod_exec(); init containers have logs, too */
    bool previous;         /* of its run before the latest */
    bool follow; /* and what will be written, in later runs too, until the pod has ended */
    bool tail;   /* tail_lines counts: the last lines only of what there is */
    uint64_t tail_lines;
    int64_t since_ns; /* since 1970; lines before it are left out */
};

#define HUSK_POD_LOG_OPTIONS_INIT                   \
    {                                               \
        .size = sizeof(struct husk_pod_log_options) \
    }

/* A line, or a part of one; valid until the next call. */
struct husk_pod_log_line {
    const char *text; /* any bytes, without the newline */
    size_t len;
    char time[31];   /* "2026-11-29T02:00:00.000000000Z" */
    bool is_error;   /* of standard error */
    bool is_partial; /* it goes on in the next line of the same stream */
};

struct husk_pod_log;

/* The log of a container's latest run, or as the options say (NULL: the defaults). -ENOENT when it
 * has no log: it has not been started, or there is no run before. It works without the pod
 * running. The log may be read by another thread than the struct husk_pods. */
HUSK_API int husk_pod_log_open(struct husk_pods *pods, const char *name,
                               const struct husk_pod_log_options *options,
                               struct husk_pod_log **out, struct husk_error *err);
/* The next line: 1. 0: there is none within timeout_ms (-1: for ever). -ENODATA: there will be none
 * any more, with err untouched. */
HUSK_API int husk_pod_log_next(struct husk_pod_log *log, int64_t timeout_ms,
                               struct husk_pod_log_line *line, struct husk_error *err);
/* For poll(): readable when husk_pod_log_next() may have more. -1 without `follow`. It is the
 * library's. */
HUSK_API int husk_pod_log_fd(const struct husk_pod_log *log);
/* Takes NULL. */
HUSK_API void husk_pod_log_close(struct husk_pod_log *log);

/* The open directory of a container's logs, the caller's: N.log for its Nth run, from 0, and
 * N.log.1 and so on for what was rotated; CRI format (docs/formats/container-state.md). */
HUSK_API int husk_pod_log_directory(struct husk_pods *pods, const char *name, const char *container,
                                    int *fd, struct husk_error *err);

/* Takes NULL. */
HUSK_API void husk_pod_text_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
