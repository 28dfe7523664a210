// SPDX-License-Identifier: Apache-2.0
/*
 * Containers and their processes: the life cycle of the OCI runtime specification (runtime.md).
 *
 *     container_create() -> CREATED -> container_start() -> RUNNING <-> PAUSED
 *     the first process ends -> STOPPED (all others are killed) -> container_delete()
 *
 * Names are checked, and -ENOENT, -EEXIST and -ESTALE (the wrong state) come with the error filled.
 */
#ifndef HUSK_GUEST_AGENT_CONTAINER_H
#define HUSK_GUEST_AGENT_CONTAINER_H

#include "guest/agent/agent.h"
#include "guest/agent/cgroup.h"
#include "guest/agent/launch.h"
#include "guest/agent/oci.h"
#include "husk/agent.h"

enum container_status {
    CONTAINER_CREATED,
    CONTAINER_RUNNING,
    CONTAINER_PAUSED,
    CONTAINER_STOPPED,
};

enum stream_name {
    STREAM_STDIN,
    STREAM_STDOUT,
    STREAM_STDERR,
    STREAM_TERMINAL,
    STREAM_COUNT,
};

struct deletion;
struct request;
struct starting;
struct stream;

struct process_exit {
    int status, signal;
    bool oom;
};

/* An unanswered "wait". */
struct process_wait {
    struct process_wait *next;
    struct connection *connection;
    int64_t id;
};

struct process {
    struct process *next;
    struct container *container;
    char name[HUSK_AGENT_NAME_MAX + 1];
    pid_t pid;
    int pidfd;
    struct starting *starting; /* on its way (starting.h), or NULL */
    bool ended;
    bool killed_by_host;
    uint64_t oom_kills_before;
    struct process_exit exit;
    struct process_wait *waits;
    struct stream *streams[STREAM_COUNT];
};

struct container {
    struct container *next;
    struct agent *agent;
    char name[HUSK_AGENT_NAME_MAX + 1];
    enum container_status status;
    struct oci_config config;
    struct cgroup cgroup;
    int oom_events; /* the descriptor that is watched, or -1 */
    struct event_source *oom_source;
    uint64_t oom_kills_told;
    struct deletion *deletion;     /* under way (deletion.c), or NULL */
    struct launched init_launched; /* its channel is open while CREATED */
    struct process *processes;     /* the first one is init */
    char *root_path;               /* owned */
    bool root_is_overlay;
    char **layers; /* names of volumes in use, NULL-terminated, owned */
    char upper[HUSK_AGENT_NAME_MAX + 1];
};

struct container *container_find(const struct agent *agent, const char *name,
                                 struct husk_error *err);
/* NULL for the name is init. */
struct process *container_find_process(const struct container *container, const char *name,
                                       struct husk_error *err);

/* These are answered later (starting.h); they read the request's params, but for the names. */
int container_create(struct request *request, const char *name, struct husk_error *err);
int container_start(struct request *request, struct container *container, struct husk_error *err);
int container_exec(struct request *request, struct container *container, const char *name,
                   struct husk_error *err);
int container_pause(struct container *container, bool paused, struct husk_error *err);

/* Being created, started or deleted: requests that name it wait. */
bool container_is_busy(const struct container *container);

/* Answered when it is gone, at once or later (deletion.c). */
int container_delete(struct request *request, struct container *container, bool force,
                     struct husk_error *err);
int container_delete_process(struct process *process, struct husk_error *err);

/* Kill, reap and free without asking. */
void container_destroy(struct container *container);

/* Parts of that: what is on its way, and all that the agent has of one whose cgroup is gone. */
void container_break_off(struct container *container);
void container_release(struct container *container);
void deletion_end(struct deletion *deletion);

int container_wrong_state(const struct container *container, const char *wanted,
                          struct husk_error *err);

/* A child with this pid has ended; false when it is none of the containers'. */
bool container_reap(struct agent *agent, pid_t pid, int status);

/* Forget the waits of a connection that goes. */
void container_forget_waits(struct agent *agent, const struct connection *connection);

const char *container_status_name(enum container_status status);
json_t *process_exit_json(const struct process_exit *exit);

#endif
