// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests: YAML of strangers into checked Pod objects. include/husk/pod.h has the public calls
 * (husk_manifest_read() and so on), which are implemented here; this header is what the rest of
 * pod/ sees besides. docs/pods.md lists every field, with its type, range, default, and whether
 * husk does something about it.
 *
 * ---- The canonical Pod object ----
 *
 * manifest_pod() is an object of Kubernetes' shape, {"apiVersion": "v1", "kind": "Pod", "metadata",
 * "spec"}, checked, with every default filled in, so that nobody defaults again. It has no status.
 *
 * What a reader may rely on, and need not check:
 *
 *   - Every member is of the type and in the range of docs/pods.md; no others are there. Numbers
 *     are JSON integers, quantities JSON strings that quantity.h reads, ports of probes a string
 *     (the name of one of that container's ports) or an integer 1 to 65535.
 *   - What is not said is not there: no null; no empty text ("" is as if it were not there), list
 *     or map, no `false` where that is the default (tty, stdin, stdinOnce, readOnly, optional,
 *     shareProcessNamespace). Jansson's calls take NULL for "absent": json_array_size(NULL) is 0,
 *     json_is_true(NULL) is false.
 *     But `false` is there where it is no default, because it may overrule another's true:
 *     runAsNonRoot, allowPrivilegeEscalation, readOnlyRootFilesystem.
 *   - Always there:
 *       metadata.name (1 to 63 bytes), metadata.namespace
 *       spec.containers (1 to MANIFEST_CONTAINERS_MAX together with initContainers),
 *       spec.restartPolicy, spec.terminationGracePeriodSeconds, spec.dnsPolicy
 *       container: name, image, imagePullPolicy, terminationMessagePath, terminationMessagePolicy
 *       probe: exactly one of exec, httpGet, tcpSocket; initialDelaySeconds, timeoutSeconds,
 *         periodSeconds, successThreshold, failureThreshold
 *       httpGet: path, port, scheme; tcpSocket: port; exec: command
 *       lifecycle.postStart and preStop: exactly one of exec, httpGet, sleep ({"seconds"})
 *       port: containerPort, protocol
 *       volume: name and exactly one source of emptyDir ({} , "medium": "Memory", "sizeLimit"),
 *         hostPath, configMap, secret, projected, downwardAPI
 *       configMap, secret, projected, downwardAPI: defaultMode
 *       volumeMount: name (of a volume that there is), mountPath
 *       env: name, and value or valueFrom, or neither (then the value is empty)
 *       valueFrom: exactly one of fieldRef (apiVersion, fieldPath), resourceFieldRef (resource,
 *         divisor), configMapKeyRef, secretKeyRef
 *       envFrom: exactly one of configMapRef, secretRef
 *   - initContainers with "restartPolicy": "Always" are sidecars; only these have probes and
 *     lifecycle hooks there.
 *   - resources: what has a limit and no request has the limit as its request.
 *   - Fields that are accepted and say nothing on one host (docs/pods.md: "no effect") are kept as
 *     they were given; nobody reads them.
 *
 * A Pod object is never changed by those who have it; its parts may be shared between pods (those
 * of a Deployment).
 *
 * ---- Objects ----
 *
 * What a pod refers to, as spec.json keeps it: {"configMaps": {NAME: {"data": {KEY: TEXT},
 * "binaryData": {KEY: BASE64}}}, "secrets": {NAME: {"data": {KEY: BASE64}}}}. All members are there
 * but NAMEs of what is optional and does not exist. Base64 is valid, padded, and without blanks.
 */
#ifndef HUSK_POD_MANIFEST_MANIFEST_H
#define HUSK_POD_MANIFEST_MANIFEST_H

#include <jansson.h>
#include <stddef.h>

#include "husk/error.h"
#include "husk/pod.h"

#define MANIFEST_BYTES_MAX      (4u << 20) /* of a text */
#define MANIFEST_DEPTH_MAX      48u        /* of nested collections */
#define MANIFEST_NODES_MAX      100000u    /* of a text, those that aliases stand for included */
#define MANIFEST_DOCUMENTS_MAX  256u       /* of a text; of a manifest after joining, 4096 */
#define MANIFEST_PODS_MAX       512u       /* of a manifest */
#define MANIFEST_CONTAINERS_MAX 64u        /* of a pod, initContainers included */
#define MANIFEST_VOLUMES_MAX    64u        /* of a pod */
#define MANIFEST_NAME_MAX       63u        /* of a pod's name, and of a container's */
#define MANIFEST_DATA_MAX       (1u << 20) /* bytes of a config map's or secret's values and keys */
#define MANIFEST_OBJECTS_MAX    (3u << 20) /* bytes of a pod's objects as JSON text */
#define MANIFEST_POD_JSON_MAX   (1u << 20) /* bytes of a Pod object as JSON text */

/* Borrowed, until the manifest is freed; take a reference to keep it longer. */
const json_t *manifest_pod(const struct husk_manifest *manifest, unsigned index);

/*
 * The config maps and secrets that the pod refers to, of its namespace, in *objects: a new
 * reference. -ENOENT when one that is not optional, or a key of it that is not, is not there (err:
 * FILE:LINE: the field that refers to it); -E2BIG; -ENOMEM.
 */
int manifest_objects(const struct husk_manifest *manifest, unsigned index, json_t **objects,
                     struct husk_error *err);

/*
 * For what is read from records: `pod` must be exactly what manifest_pod() gives, `objects` what
 * manifest_objects() does. `where` names the record; errors are "WHERE: FIELD PATH". -EINVAL,
 * -E2BIG, -ENOMEM.
 */
int manifest_check_pod(const json_t *pod, const char *where, struct husk_error *err);
int manifest_check_objects(const json_t *objects, const char *where, struct husk_error *err);

#endif
