// SPDX-License-Identifier: Apache-2.0
/*
 * The network of a pod: one namespace and one set of addresses, made by the host's CNI plugins, by
 * husk's own bridge, or of a virtual function of a network card (docs/networks.md).
 *
 *     struct pod_network_request request = {.id = uid, .name = …, .mode = …, .dir = fd, …};
 *     pod_network_read(pod, &request, &err)           ports and bandwidths, of a Pod object
 *     pod_network_up(&request, &result, &err)         result.machine is for the machine's options
 *     pod_network_down(dir, &err)                     after the machine's end
 *
 * What is made is written down before it is made, in DIR/network.json and once more in
 * /run/husk/network/pods/ID.json: whatever is killed at whatever moment, pod_network_down() or
 * pod_network_collect() takes all of it back. Both are idempotent.
 *
 * All functions block: plugins run for at most POD_NETWORK_PLUGIN_MS each, locks are waited for as
 * long at most. They need root, and may be called by any thread; the calling thread's namespaces
 * are the host's before and after.
 */
#ifndef HUSK_POD_NETWORK_NETWORK_H
#define HUSK_POD_NETWORK_NETWORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/machine/options.h"

#define POD_NETWORK_PLUGIN_MS                                           \
    30000 /* of one plugin's run; then it is killed, and all it started \
           */

#define POD_NETWORK_PORTS_MAX   64u
#define POD_NETWORK_DNS_SERVERS 8u
#define POD_NETWORK_DNS_DOMAINS 32u /* as Kubernetes has them */
#define POD_NETWORK_DNS_OPTIONS 16u
#define POD_NETWORK_DOMAIN_MAX  254u

enum pod_network_protocol { POD_NETWORK_TCP, POD_NETWORK_UDP, POD_NETWORK_SCTP };

/* A port of the pod that is reached by a port of the host. */
struct pod_network_port {
    enum pod_network_protocol protocol;
    uint16_t host_port, pod_port;
    char host_ip[POD_MACHINE_ADDRESS_BYTES]; /* "": all addresses of the host */
};

struct pod_network_request {
    const char *id;    /* the pod's uid, 64 lower-case hexadecimal digits */
    const char *name;  /* of the pod, and */
    const char *space; /* its namespace: told to plugins */
    const char *mode;  /* "none", "bridge", "cni:NAME", "vf:PF": pod_network_check_mode() */
    int dir;           /* open directory of the pod's own, in which network.json is made */
    struct pod_network_port ports[POD_NETWORK_PORTS_MAX];
    unsigned port_count;
    uint64_t ingress_bits, egress_bits; /* a second, to and from the pod; 0: no limit */
    bool isolated; /* mode bridge: no other pod is reached, and none reaches it */
};

/* What the pod's resolv.conf is made of, of the network's result or of the host. */
struct pod_network_dns {
    char servers[POD_NETWORK_DNS_SERVERS][POD_MACHINE_ADDRESS_BYTES];
    unsigned server_count;
    char searches[POD_NETWORK_DNS_DOMAINS][POD_NETWORK_DOMAIN_MAX];
    unsigned search_count;
    char options[POD_NETWORK_DNS_OPTIONS][64];
    unsigned option_count;
};

struct pod_network_result {
    struct pod_machine_network
        machine; /* as pod_machine_options.network wants it; empty for none */
    /* The pod's addresses without prefixes, IPv4 first: podIPs; the first is podIP. */
    char ips[POD_MACHINE_ADDRESSES_MAX][POD_MACHINE_ADDRESS_BYTES];
    unsigned ip_count;
    struct pod_network_dns dns;
    char host_ip[POD_MACHINE_ADDRESS_BYTES]; /* the host's own address (hostIP); "" when it has none
                                              */
};

/* Whether `mode` is one, for command lines: -EINVAL with err->where "network". Nothing is opened.
 */
int pod_network_check_mode(const char *mode, struct husk_error *err);

/* What is used when nothing is asked for: "cni:NAME" of the first conf-list of the host by file
 * name, else "bridge". */
int pod_network_default_mode(char *mode, size_t size, struct husk_error *err);

/*
 * Fills the request's ports (hostPort of all containers), bandwidths (the annotations
 * kubernetes.io/ingress-bandwidth and kubernetes.io/egress-bandwidth) and isolation
 * (husk.dev/isolated: "true") from a Pod object. -EINVAL with err->where the field's path.
 */
int pod_network_read(const json_t *pod, struct pod_network_request *request,
                     struct husk_error *err);

/*
 * Makes the pod's network. -EEXIST when DIR/network.json is there: pod_network_down() first.
 * -errno with err naming plugin, file, interface or port; nothing is left then, unless taking it
 * back failed, too, which the next pod_network_down() does again.
 */
int pod_network_up(const struct pod_network_request *request, struct pod_network_result *result,
                   struct husk_error *err);

/*
 * Whether what was made is still as it was, as far as that can be told: CNI's CHECK, or the tap's
 * place on the bridge. 0 as well when there is no record. -errno with err filled.
 */
int pod_network_check(int dir, struct husk_error *err);

/*
 * Takes everything back that DIR/network.json says was made, or was going to be, and removes it.
 * 0 also when there is none. -errno with err filled when something could not be taken back: the
 * record stays, and the call may be made again.
 */
int pod_network_down(int dir, struct husk_error *err);

/*
 * The same for who only looks whether there is something to be taken back. What took too long, a
 * plugin that hangs say, is not waited for again at once: -EAGAIN until ten minutes later, then
 * twice as long each time, up to a day. pod_network_down() and pod_network_abandon() always try.
 */
int pod_network_tidy(int dir, struct husk_error *err);

/*
 * The same as pod_network_down() for a pod that is to go whatever happens. What plugins do not take
 * back is given up: 1 with *left, which may not be NULL, naming plugin and reason; the record is
 * gone. -errno when husk's own part cannot be taken back.
 */
int pod_network_abandon(int dir, struct husk_error *left, struct husk_error *err);

/*
 * Takes back, as pod_network_tidy(), the networks of pods that are no longer there: of every record
 * of the host for which exists() says no; `directory` is the pod's when the network was made, ""
 * when that is not known. CNI networks on which something was given up are then asked to collect
 * it, where they can (GC). Returns how many were taken back, or -errno of the first that failed;
 * the others are done. Does nothing for who is not root.
 */
int pod_network_collect(bool (*exists)(void *opaque, const char *id, const char *directory),
                        void *opaque, struct husk_error *err);

#endif
