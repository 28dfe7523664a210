// SPDX-License-Identifier: Apache-2.0
/*
 * One pod's supervisor, as its files see it. Everything happens on the loop's thread, but for the
 * network, which has one of its own (network_worker.h).
 *
 *     IMAGES        they are found or pulled                                 images.c
 *     NETWORK       the network is made                                      life.c
 *     BOOTING       the machine runs, its agent is awaited                   machine.c
 *     PREPARING     the pod's namespaces, volumes, files                     machine.c
 *     RUNNING       containers start, end, and start again                   flow.c, container.c
 *     LOST          the machine is gone; after a while it boots anew         machine.c
 *     POWER_OFF     the guest shuts down                                     ending.c
 *     NETWORK_DOWN  the network is taken down                                ending.c
 *     OVER          nothing is left; records and answers                     ending.c
 *
 * The phase goes forward, but for LOST, from which it goes back to BOOTING. A stop in any phase
 * leads to POWER_OFF or beyond. What is recorded at any moment is enough for the next who looks to
 * take everything back: see pods.h.
 */
#ifndef HUSK_POD_PODS_POD_H
#define HUSK_POD_PODS_POD_H

#include "base/log.h"
#include "pod/agent/client.h"
#include "pod/control/process.h"
#include "pod/control/status.h"
#include "pod/control/waiters.h"
#include "pod/lifecycle/backoff.h"
#include "pod/lifecycle/restart.h"
#include "pod/lifecycle/status.h"
#include "pod/network/network.h"
#include "pod/plan/plan.h"
#include "pod/pods/asking.h"
#include "pod/pods/container.h"
#include "pod/pods/images.h"
#include "pod/pods/network_worker.h"
#include "pod/pods/pods.h"
#include "pod/pods/protocol.h"
#include "pod/vm/machine.h"

enum pod_phase {
    POD_IMAGES,
    POD_NETWORK,
    POD_BOOTING,
    POD_PREPARING,
    POD_RUNNING,
    POD_LOST,
    POD_POWER_OFF,
    POD_NETWORK_DOWN,
    POD_OVER,
};

#define MS_NS UINT64_C(1000000)

struct pod {
    struct event_loop *loop;
    const struct log *log;
    const struct machine_ops *ops;
    struct entry *entry;
    struct pod_record record;
    struct pod_state state;
    enum pod_phase phase;
    uint64_t started_ns; /* since 1970: this supervisor */

    int first;     /* the first client, until it is served */
    int signal_fd; /* SIGTERM, SIGINT */
    struct event_source *signal_source;
    struct server *server;
    struct waiters end_waiters, ready_waiters;
    LIST_HEAD(dialing_list, dialing) dials; /* requests.h */

    struct images images;
    struct network_worker network;
    char name[POD_KEY_BYTES], space[POD_KEY_BYTES]; /* what network_request points to */
    struct pod_network_request *network_request;
    struct pod_network_result *network_result;
    bool network_is_up;

    struct pod_plan plan;
    bool planned;
    struct machine_host host;
    struct machine *machine;
    struct machine_plan machine_plan;
    struct agent_client *agent;
    struct asking preparing;
    struct backoff boots; /* of a machine that is lost */
    uint64_t booted_ns;   /* monotonic */
    uint64_t boot_at_ns;  /* likewise: in LOST, when it boots anew */
    bool just_lost;       /* what it has left is still to be released */

    struct container *containers; /* as in the plan: init containers first */
    unsigned container_count;
    enum restart_policy policy;
    bool initialized; /* all init containers have done what they had to */

    bool ending;         /* nothing is started any more */
    bool at_once;        /* without hooks and signals */
    bool failed;         /* its end is a failure whatever its containers say */
    uint64_t kill_at_ns; /* monotonic; of the stop; 0: none */
    char reason[STATUS_REASON_BYTES], message[512]; /* of the pod */
    bool last_word; /* the end is told, and in the record: nobody hears of it before */
    bool finished, record_failed;
    uint64_t leave_at_ns;

    struct event_timer *phase_timer;    /* how long LOST, POWER_OFF and OVER may last */
    struct event_timer *kill_timer;     /* the last resort of a stop */
    struct event_timer *deadline_timer; /* activeDeadlineSeconds */
    uint64_t begun_ns;                  /* monotonic: they are counted from here */
    struct event_timer *usage_timer;    /* the next look at a volume's limit */
    unsigned next_limit;                /* of the plan's, which it is the turn of */
    bool usage_asked;                   /* the agent has not answered */
    struct event_timer *flow_timer;     /* flow_update() from the loop */
    struct event_timer *save_timer;
    unsigned save_failures;
};

/* The Pod object's spec. */
const json_t *pod_spec(const struct pod *pod);

/* life.c: from the start to the machine. */
int pod_life_create(struct pod *pod, struct husk_error *err);
void pod_life_begin(struct pod *pod);
/* activeDeadlineSeconds is another one, or is none any more. */
void pod_life_deadline(struct pod *pod);
void pod_life_network(struct pod *pod);
/* What the machine cannot do, if it is none, is taken out of a plan. */
void pod_life_reduce(const struct pod *pod, const struct pod_plan *plan);
void pod_life_set_waiting(struct pod *pod, const char *reason, const char *message);
/* An input for pod/plan; `words` keeps what it points to. */
struct life_words {
    struct plan_image images[PLAN_CONTAINERS_MAX];
    const char *addresses[POD_MACHINE_ADDRESSES_MAX], *nameservers[POD_NETWORK_DNS_SERVERS];
    const char *searches[POD_NETWORK_DNS_DOMAINS], *options[POD_NETWORK_DNS_OPTIONS];
    const char *host[1];
    char node[256];
};
void pod_life_plan_input(struct pod *pod, const struct pod_record *record, struct life_words *words,
                         struct plan_input *input);

/* machine.c: booting, preparing, and a machine that is lost. */
void machine_boot(struct pod *pod);
/* The machine or its agent is gone, or cannot be had. */
void machine_lost(struct pod *pod, const char *why);
void machine_after_loss(struct pod *pod);
void machine_release(struct pod *pod);

/* flow.c: what is to be started, after something has changed; from the loop, soon. */
void flow_update(struct pod *pod);
void flow_now(void *arg);
/* What is to become of those that have ended. */
void flow_settle(struct pod *pod);
bool flow_mains_done(const struct pod *pod);

/* ending.c */
/* Nothing is started any more: containers end within grace_ms, then the pod; those that cannot be
 * ended go with the machine. An earlier end counts. */
void pod_ending_begin(struct pod *pod, uint64_t grace_ms);
/* On request: a grace of 0 means without hooks and signals. */
void pod_ending_stop(struct pod *pod, uint64_t grace_ms);
/* The same because the pod has failed. */
void pod_ending_fail(struct pod *pod, const char *reason, const char *message, uint64_t grace_ms);
/* All containers have ended: the rest of the way. */
void pod_ending_power_off(struct pod *pod);
void pod_ending_network_down(struct pod *pod);
void pod_ending_network_done(struct pod *pod, const struct husk_error *error);
void pod_ending_timer(void *arg);
uint64_t pod_ending_grace_ms(const struct pod *pod);

/* usage.c: volumes with limits, while the pod runs. */
void usage_begin(struct pod *pod);
void usage_look(void *arg);

/* save.c: the status. Changes are told and written; what cannot be written is tried again. */
void save_changed(struct pod *pod);
/* Answers who waits for that, if it is. */
void save_tell_ready(struct pod *pod);
int save_now(struct pod *pod);
void save_again(void *arg);
json_t *save_state_json(struct pod *pod);
/* What a kubelet says in an event; container NULL: about the pod. */
void save_notice(struct pod *pod, const char *container, bool warning, const char *reason,
                 const char *message);

/* requests.c */
void pod_requests_handle(void *arg, struct ticket ticket, const char *method, const json_t *params);
void pod_requests_closed(void *arg, uint64_t connection, unsigned left);
/* What waits for an answer of the agent is refused, before its machine is released. */
void pod_requests_machine_gone(struct pod *pod);

#endif
