// SPDX-License-Identifier: Apache-2.0
/*
 * What a Pod object says of its network: see network.h. The object has been checked by those who
 * read manifests; types are looked at again, for records are read by this, too.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pod/manifest/quantity.h"
#include "pod/network/address.h"
#include "pod/network/network.h"

#define WHERE_BYTES 96u

/* Kubernetes' bounds, in bits a second. */
#define BANDWIDTH_MIN UINT64_C(1000)
#define BANDWIDTH_MAX UINT64_C(1000000000000000)

static const char wrong[] = "cannot set up the pod's network";

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int read_protocol(const json_t *port, enum pod_network_protocol *out)
{
    static const char *const names[] = {
        [POD_NETWORK_TCP] = "TCP", [POD_NETWORK_UDP] = "UDP", [POD_NETWORK_SCTP] = "SCTP"};
    const char *text = text_of(port, "protocol");

    for (unsigned i = 0; i < 3; i++) {
        if (!strcmp(text ? text : "TCP", names[i])) {
            *out = (enum pod_network_protocol)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int read_port(const json_t *port, const char *where, struct pod_network_request *request,
                     struct husk_error *err)
{
    json_int_t host = json_integer_value(json_object_get(port, "hostPort"));
    json_int_t inside = json_integer_value(json_object_get(port, "containerPort"));
    const char *ip = text_of(port, "hostIP");
    struct pod_network_port *out = &request->ports[request->port_count];
    struct address address;

    if (!host)
        return 0;
    if (request->port_count == POD_NETWORK_PORTS_MAX)
        return error_set(err, E2BIG, where, wrong, "a pod has at most %u published ports",
                         POD_NETWORK_PORTS_MAX);
    if (host < 1 || host > UINT16_MAX || inside < 1 || inside > UINT16_MAX ||
        read_protocol(port, &out->protocol))
        return error_set(err, EINVAL, where, wrong, "it is no port and protocol");
    out->host_port = (uint16_t)host;
    out->pod_port = (uint16_t)inside;
    out->host_ip[0] = '\0';
    if (ip && ip[0] && strcmp(ip, "0.0.0.0") != 0 && strcmp(ip, "::") != 0) {
        if (address_parse(ip, &address))
            return error_set(err, EINVAL, where, wrong, "hostIP is no address");
        address_text(&address, out->host_ip);
    }
    request->port_count++;
    return 0;
}

static int read_containers(const json_t *spec, const char *list,
                           struct pod_network_request *request, struct husk_error *err)
{
    const json_t *containers = json_object_get(spec, list);
    char where[WHERE_BYTES];
    int ret = 0;

    for (size_t i = 0; !ret && i < json_array_size(containers); i++) {
        const json_t *ports = json_object_get(json_array_get(containers, i), "ports");

        for (size_t j = 0; !ret && j < json_array_size(ports); j++) {
            snprintf(where, sizeof(where), "spec.%s[%zu].ports[%zu]", list, i, j);
            ret = read_port(json_array_get(ports, j), where, request, err);
        }
    }
    return ret;
}

static int read_bandwidth(const json_t *annotations, const char *name, uint64_t *out,
                          struct husk_error *err)
{
    const char *text = text_of(annotations, name);
    char where[WHERE_BYTES];

    *out = 0;
    if (!text)
        return 0;
    snprintf(where, sizeof(where), "metadata.annotations[%s]", name);
    if (quantity_bytes(text, out))
        return error_set(err, EINVAL, where, wrong, "\"%s\" is no quantity", text);
    if (*out < BANDWIDTH_MIN || *out > BANDWIDTH_MAX)
        return error_set(err, ERANGE, where, wrong, "it must be from 1k to 1P bits a second");
    return 0;
}

static int read_isolation(const json_t *annotations, bool *out, struct husk_error *err)
{
    const char *text = text_of(annotations, "husk.dev/isolated");

    *out = text && !strcmp(text, "true");
    if (text && !*out && strcmp(text, "false") != 0)
        return error_set(err, EINVAL, "metadata.annotations[husk.dev/isolated]", wrong,
                         "it is neither \"true\" nor \"false\"");
    return 0;
}

int pod_network_read(const json_t *pod, struct pod_network_request *request, struct husk_error *err)
{
    const json_t *spec = json_object_get(pod, "spec");
    const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
    int ret;

    request->port_count = 0;
    ret = read_containers(spec, "initContainers", request, err);
    if (!ret)
        ret = read_containers(spec, "containers", request, err);
    if (!ret)
        ret = read_bandwidth(annotations, "kubernetes.io/ingress-bandwidth", &request->ingress_bits,
                             err);
    if (!ret)
        ret = read_bandwidth(annotations, "kubernetes.io/egress-bandwidth", &request->egress_bits,
                             err);
    return ret ? ret : read_isolation(annotations, &request->isolated, err);
}
