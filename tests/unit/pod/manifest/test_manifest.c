// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/manifest/manifest.h"

#define HEAD "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n"
#define MAIN HEAD "  containers:\n  - name: a\n    image: x:1\n"

static struct husk_manifest *read_text(const char *text)
{
    struct husk_manifest *manifest = NULL;
    struct husk_error err = {0};

    if (husk_manifest_read("m.yaml", text, strlen(text), NULL, &manifest, &err))
        fail_msg("%s: %s: %s\n%s", err.where, err.what, err.why, text);
    return manifest;
}

static void refuses(const char *text, int code, const char *where, const char *why)
{
    struct husk_manifest *manifest = NULL;
    struct husk_error err = {0};
    int ret = husk_manifest_read("m.yaml", text, strlen(text), NULL, &manifest, &err);

    if (!ret)
        fail_msg("taken: %s", text);
    if (ret != -code || strcmp(err.where, where) != 0 || (why && !strstr(err.why, why)))
        fail_msg("%d, \"%s\", \"%s\": %s", ret, err.where, err.why, text);
}

static void test_defaults(void **state)
{
    struct husk_manifest *manifest =
        read_text(MAIN "    tty: false\n    args: []\n  hostname: \"\"\n");
    char *json = husk_manifest_pod_json(manifest, 0);
    json_t *pod = json_loads(json, 0, NULL);
    json_t *wanted = json_loads(
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"web\", "
        "\"namespace\": \"default\"}, \"spec\": {\"containers\": [{\"name\": \"a\", \"image\": "
        "\"x:1\", \"imagePullPolicy\": \"IfNotPresent\", \"terminationMessagePath\": "
        "\"/dev/termination-log\", \"terminationMessagePolicy\": \"File\"}], \"restartPolicy\": "
        "\"Always\", \"terminationGracePeriodSeconds\": 30, \"dnsPolicy\": \"ClusterFirst\"}}",
        0, NULL);

    assert_int_equal(husk_manifest_pods(manifest), 1);
    assert_string_equal(husk_manifest_pod_name(manifest, 0), "web");
    if (!json_equal(pod, wanted))
        fail_msg("%s", json);
    assert_int_equal(manifest_check_pod(pod, "r", NULL), 0);
    json_object_del(json_object_get(pod, "spec"), "dnsPolicy");
    assert_int_equal(manifest_check_pod(pod, "r", NULL), -EINVAL);
    json_decref(pod);
    json_decref(wanted);
    free(json);
    husk_manifest_free(manifest);
}

/* Each with its line and path. */
static void test_fields(void **state)
{
    static const struct {
        const char *text, *where, *why;
    } cases[] = {
        {MAIN "    nonsense: 1\n", "m.yaml:8: spec.containers[0].nonsense", "no field"},
        {MAIN "    imgae: x\n", "m.yaml:8: spec.containers[0].imgae", "did you mean image?"},
        {MAIN "    tty: 1\n", "m.yaml:8: spec.containers[0].tty", "true or false"},
        {MAIN "    workingDir: 7\n", "m.yaml:8: spec.containers[0].workingDir", "quotes"},
        {MAIN "    workingDir: here\n", "m.yaml:8: spec.containers[0].workingDir", NULL},
        {MAIN "    ports: [{containerPort: 0}]\n",
         "m.yaml:8: spec.containers[0].ports[0].containerPort", "1 to 65535"},
        {MAIN "    ports: [{hostPort: 1}]\n", "m.yaml:8: spec.containers[0].ports[0].containerPort",
         "required"},
        {MAIN "    livenessProbe: {grpc: {port: web}}\n",
         "m.yaml:8: spec.containers[0].livenessProbe.grpc.port", "number"},
        {MAIN "    livenessProbe: {grpc: {service: a}}\n",
         "m.yaml:8: spec.containers[0].livenessProbe.grpc.port", "required"},
        {MAIN "    livenessProbe: {grpc: {port: 1, host: 127.0.0.1}}\n",
         "m.yaml:8: spec.containers[0].livenessProbe.grpc.host", "no field"},
        {MAIN "    lifecycle: {preStop: {grpc: {port: 1}}}\n",
         "m.yaml:8: spec.containers[0].lifecycle.preStop.grpc", "no field"},
        {MAIN "    livenessProbe: {httpGet: {port: 1, scheme: https}}\n",
         "m.yaml:8: spec.containers[0].livenessProbe.httpGet.scheme", "HTTPS"},
        {MAIN "    livenessProbe: {periodSeconds: 1}\n",
         "m.yaml:8: spec.containers[0].livenessProbe", "does not say"},
        {MAIN "    livenessProbe: {tcpSocket: {port: web}}\n",
         "m.yaml:8: spec.containers[0].livenessProbe.tcpSocket.port", "name of a port"},
        {MAIN "    lifecycle: {preStop: {httpGet: {port: web}}}\n",
         "m.yaml:8: spec.containers[0].lifecycle.preStop.httpGet.port", "name of a port"},
        {MAIN "    livenessProbe: {httpGet: {port: 1, host: db.example}}\n",
         "m.yaml:8: spec.containers[0].livenessProbe.httpGet.host", "not looked up"},
        {MAIN "    startupProbe: {tcpSocket: {port: 1}, successThreshold: 2}\n",
         "m.yaml:8: spec.containers[0].startupProbe.successThreshold", "must be 1"},
        {MAIN "    livenessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 0}\n",
         "m.yaml:8: spec.containers[0].livenessProbe.terminationGracePeriodSeconds", "1 to"},
        {MAIN "    readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 5}\n",
         "m.yaml:8: spec.containers[0].readinessProbe.terminationGracePeriodSeconds", "readiness"},
        {MAIN "    lifecycle: {stopSignal: SIGINT}\n",
         "m.yaml:8: spec.containers[0].lifecycle.stopSignal", "spec.os.name"},
        {MAIN "    lifecycle: {stopSignal: SIGNOT}\n  os: {name: linux}\n",
         "m.yaml:8: spec.containers[0].lifecycle.stopSignal", "SIGTERM"},
        {MAIN "    lifecycle: {stopSignal: SIGint}\n  os: {name: linux}\n",
         "m.yaml:8: spec.containers[0].lifecycle.stopSignal", "SIGTERM"},
        {MAIN "  os: {name: windows}\n", "m.yaml:8: spec.os.name", "linux"},
        {MAIN "    volumeMounts: [{name: v, mountPath: /v}]\n",
         "m.yaml:8: spec.containers[0].volumeMounts[0]", "volume"},
        {MAIN "    resources: {limits: {memory: much}}\n",
         "m.yaml:8: spec.containers[0].resources.limits.memory", "quantity"},
        {MAIN "    resources: {limits: {gpu: 1}}\n",
         "m.yaml:8: spec.containers[0].resources.limits.gpu", "not supported"},
        {MAIN "    resources: {limits: {cpu: 1}, requests: {cpu: 2}}\n",
         "m.yaml:8: spec.containers[0].resources.requests.cpu", "limit"},
        {MAIN "    env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]\n",
         "m.yaml:8: spec.containers[0].env[0]", "valueFrom"},
        {MAIN "    env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.x}}}]\n",
         "m.yaml:8: spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", NULL},
        {MAIN "  - name: a\n    image: x\n", "m.yaml:8: spec.containers[1].name", "another"},
        {MAIN
         "    ports: [{containerPort: 1, hostPort: 9}, {containerPort: 2, hostPort: 9, hostIP: "
         "10.0.0.1}]\n",
         "m.yaml:8: spec.containers[0].ports[1].hostPort", "another port"},
        {MAIN "    ports: [{containerPort: 1, hostPort: 9}]\n  - name: b\n    image: x\n"
              "    ports: [{containerPort: 1, hostPort: 9}]\n",
         "m.yaml:11: spec.containers[1].ports[0].hostPort", "another port"},
        {MAIN "    securityContext: {runAsUser: 0}\n  securityContext: {runAsNonRoot: true}\n",
         "m.yaml:8: spec.containers[0].securityContext", "user 0"},
        {MAIN "  hostNetwork: true\n", "m.yaml:8: spec.hostNetwork", "not supported"},
        {MAIN "  restartPolicy: Maybe\n", "m.yaml:8: spec.restartPolicy",
         "Always, OnFailure or Never"},
        {MAIN "  volumes: [{name: v, emptyDir: {}, hostPath: {path: /x}}]\n",
         "m.yaml:8: spec.volumes[0]", "several"},
        {MAIN "  dnsPolicy: None\n", "m.yaml:4: spec.dnsConfig.nameservers", "required"},
        {"apiVersion: v1\nkind: Job\n", "m.yaml:2: kind", NULL},
        {"apiVersion: v2\nkind: Pod\n", "m.yaml:1: apiVersion", NULL},
        {"kind: Pod\napiVersion: v1\nmetadata: {name: Web}\nspec: {containers: [{name: a, image: "
         "b}]}\n",
         "m.yaml:3: metadata.name", NULL},
        {"- 1\n", "m.yaml:1", "object"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        refuses(cases[i].text, EINVAL, cases[i].where, cases[i].why);
}

/* As it is written: what the rest of the project reads. */
static void test_lifecycle(void **state)
{
    struct husk_manifest *manifest =
        read_text(MAIN "    lifecycle: {stopSignal: SIGRTMIN+3}\n"
                       "    livenessProbe: {tcpSocket: {port: 1, host: localhost},"
                       " terminationGracePeriodSeconds: 7}\n"
                       "  os: {name: linux}\n");
    char *json = husk_manifest_pod_json(manifest, 0);
    json_t *pod = json_loads(json, 0, NULL);
    const json_t *container =
        json_array_get(json_object_get(json_object_get(pod, "spec"), "containers"), 0);
    const json_t *probe = json_object_get(container, "livenessProbe");

    assert_string_equal(
        json_string_value(json_object_get(json_object_get(container, "lifecycle"), "stopSignal")),
        "SIGRTMIN+3");
    assert_int_equal(json_integer_value(json_object_get(probe, "terminationGracePeriodSeconds")),
                     7);
    assert_int_equal(manifest_check_pod(pod, "r", NULL), 0);
    json_decref(pod);
    free(json);
    husk_manifest_free(manifest);
}

/* What husk has nothing of is taken when it says nothing. */
static void test_nothing_said(void **state)
{
    struct husk_manifest *manifest =
        read_text(MAIN "    volumeDevices: []\n  hostNetwork: false\n  imagePullSecrets: null\n"
                       "  nodeSelector: {disk: ssd}\nstatus: {phase: Running}\n");

    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(json_object_get(manifest_pod(manifest, 0), "spec"), "nodeSelector"),
            "disk")),
        "ssd");
    assert_null(json_object_get(manifest_pod(manifest, 0), "status"));
    husk_manifest_free(manifest);
}

static void warn(void *arg, const char *line)
{
    strcat(arg, line);
    strcat(arg, "\n");
}

static void test_lenient(void **state)
{
    struct husk_manifest_options options = HUSK_MANIFEST_OPTIONS_INIT;
    const char text[] = MAIN "    nonsense: 1\n  hostPID: true\n";
    struct husk_manifest *manifest;
    char lines[512] = "";

    options.lenient = true;
    options.warn = warn;
    options.arg = lines;
    assert_int_equal(husk_manifest_read("m.yaml", text, strlen(text), &options, &manifest, NULL),
                     0);
    assert_string_equal(lines,
                        "m.yaml:8: spec.containers[0].nonsense: is no field that husk knows, "
                        "and left out\nm.yaml:9: spec.hostPID: is not supported, and left out\n");
    assert_int_equal(manifest_check_pod(manifest_pod(manifest, 0), "r", NULL), 0);
    husk_manifest_free(manifest);
}

static void test_yaml(void **state)
{
    refuses("a: [", EINVAL, "m.yaml:2", NULL);
    refuses("a: 1\na: 2\n", EINVAL, "m.yaml:2", "twice");
    refuses("a: *b\n", EINVAL, "m.yaml:1", "not there");
    refuses("a: &a [*a]\n", EINVAL, "m.yaml:1", "not there");
    refuses("a: yes\n", EINVAL, "m.yaml:1", "quotes");
    refuses("a: !!binary x\n", EINVAL, "m.yaml:1", "tag");
    refuses("a: !!python/object:os x\n", EINVAL, "m.yaml:1", "tag");
    refuses("? [a]\n: b\n", EINVAL, "m.yaml:1", "key");
    refuses("<<: {a: b}\n", EINVAL, "m.yaml:1", "merge");
    refuses("a: \"\\0\"\n", EINVAL, "m.yaml:1", "NUL");
    refuses("a: 99999999999999999999\n", EINVAL, "m.yaml:1", "64 bits");
    refuses("\tx: y", EINVAL, "m.yaml:1", NULL);
    refuses("a: \xff\xfe\n", EINVAL, "m.yaml:1", NULL);
}

/* Nine times ten times what is there: more than there may be, and refused at once. */
static void test_bombs(void **state)
{
    char bomb[2048] = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
    static char deep[20000], many[400000];

    for (char level = 'b'; level < 'k'; level++) {
        size_t len = strlen(bomb);

        len += (size_t)snprintf(bomb + len, sizeof(bomb) - len, "%c: &%c [", level, level);
        for (unsigned i = 0; i < 10; i++)
            len +=
                (size_t)snprintf(bomb + len, sizeof(bomb) - len, "%s*%c", i ? "," : "", level - 1);
        snprintf(bomb + len, sizeof(bomb) - len, "]\n");
    }
    refuses(bomb, E2BIG, "m.yaml:5", "values");
    memset(deep, '[', sizeof(deep) - 1);
    refuses(deep, E2BIG, "m.yaml:1", "deep");
    strcpy(many, "- [");
    for (size_t len = 3; len + 3 < sizeof(many); len += 2)
        memcpy(many + len, "1,", 3);
    refuses(many, E2BIG, "m.yaml:1", "values");
    many[0] = '\0';
    for (size_t len = 0; len + 20 < sizeof(many); len = strlen(many))
        snprintf(many + len, 20, "%%TAG !%zu! x\n", len);
    refuses(many, E2BIG, "m.yaml:17", "directives");
    many[0] = '\0';
    for (size_t len = 0; len < 4000; len = strlen(many))
        snprintf(many + len, 20, "- &a%zu x\n", len);
    refuses(many, E2BIG, "m.yaml:257", "anchors");
}

static void test_scalars(void **state)
{
    struct husk_manifest *manifest = read_text(
        HEAD "  volumes:\n  - name: c\n    configMap: {name: c, defaultMode: 0400}\n"
             "  containers:\n  - {name: a, image: x, command: [\"1\", 'yes', ~x, \"\"], resources: "
             "{limits: {cpu: 0.5, memory: 1e9}}}\n");
    const json_t *spec = json_object_get(manifest_pod(manifest, 0), "spec");
    const json_t *volume = json_array_get(json_object_get(spec, "volumes"), 0);
    const json_t *container = json_array_get(json_object_get(spec, "containers"), 0);
    json_t *resources =
        json_loads("{\"limits\": {\"cpu\": \"500m\", \"memory\": \"1G\"}, \"requests\": {\"cpu\": "
                   "\"500m\", \"memory\": \"1G\"}}",
                   0, NULL);

    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(volume, "configMap"), "defaultMode")),
        0400);
    assert_int_equal(json_array_size(json_object_get(container, "command")), 4);
    assert_string_equal(json_string_value(json_object_get(container, "imagePullPolicy")), "Always");
    if (!json_equal(json_object_get(container, "resources"), resources))
        fail_msg("%s", json_dumps(json_object_get(container, "resources"), 0));
    json_decref(resources);
    husk_manifest_free(manifest);
}

#define WANTS_MAP \
    MAIN "    env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: k}}}]\n---\n"
#define MAP "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n"
#define SECRET \
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: QQ==}\nstringData: {b: B}\n"

static void test_objects(void **state)
{
    struct husk_manifest *manifest = read_text(
        WANTS_MAP MAP "---\n" SECRET "---\napiVersion: v1\nkind: Pod\nmetadata: {name: two}\nspec: "
                      "{containers: [{name: a, image: b, envFrom: [{secretRef: {name: s}}]}]}\n");
    char *json;

    assert_int_equal(husk_manifest_pod_objects_json(manifest, 0, &json, NULL), 0);
    assert_string_equal(
        json, "{\"configMaps\":{\"c\":{\"binaryData\":{},\"data\":{\"k\":\"v\"}}},\"secrets\":{}}");
    free(json);
    assert_int_equal(husk_manifest_pod_objects_json(manifest, 1, &json, NULL), 0);
    assert_string_equal(
        json, "{\"configMaps\":{},\"secrets\":{\"s\":{\"data\":{\"a\":\"QQ==\",\"b\":\"Qg==\"}}}}");
    free(json);
    husk_manifest_free(manifest);
}

/* Those that are there; kubelets go on without the others. */
static void test_pull_secrets(void **state)
{
    struct husk_manifest *manifest =
        read_text(MAIN "  imagePullSecrets: [{name: gone}, {name: s}]\n---\n" SECRET);
    json_t *objects = NULL;
    const json_t *secrets;

    assert_int_equal(manifest_objects(manifest, 0, &objects, NULL), 0);
    secrets = json_object_get(objects, "secrets");
    assert_int_equal(json_object_size(secrets), 1);
    assert_non_null(json_object_get(secrets, "s"));
    json_decref(objects);
    husk_manifest_free(manifest);
}

static void test_missing_objects(void **state)
{
    static const struct {
        const char *text, *where;
    } cases[] = {
        {WANTS_MAP, "m.yaml:8: spec.containers[0].env[0].valueFrom.configMapKeyRef"},
        {WANTS_MAP "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {j: v}\n",
         "m.yaml:8: spec.containers[0].env[0].valueFrom.configMapKeyRef"},
        {WANTS_MAP
         "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: d}\ndata: {k: v}\n",
         "m.yaml:8: spec.containers[0].env[0].valueFrom.configMapKeyRef"},
        {MAIN "  volumes:\n  - name: v\n    secret: {secretName: s}\n",
         "m.yaml:10: spec.volumes[0].secret"},
        {MAIN
         "  volumes:\n  - name: v\n    secret:\n      secretName: s\n      items: [{key: z, path: "
         "p}]\n---\n" SECRET,
         "m.yaml:12: spec.volumes[0].secret.items[0].key"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct husk_manifest *manifest = read_text(cases[i].text);
        struct husk_error err = {0};
        json_t *objects;

        assert_int_equal(manifest_objects(manifest, 0, &objects, &err), -ENOENT);
        assert_string_equal(err.where, cases[i].where);
        husk_manifest_free(manifest);
    }
}

static void test_join(void **state)
{
    struct husk_manifest *one = read_text(WANTS_MAP), *two = read_text(MAP);
    json_t *objects;

    assert_int_equal(husk_manifest_join(one, two, NULL), 0);
    husk_manifest_free(two);
    assert_int_equal(manifest_objects(one, 0, &objects, NULL), 0);
    assert_int_equal(manifest_check_objects(objects, "r", NULL), 0);
    json_decref(objects);
    two = read_text(MAIN);
    assert_int_equal(husk_manifest_join(one, two, NULL), -EEXIST);
    assert_int_equal(husk_manifest_pods(two), 1);
    husk_manifest_free(two);
    husk_manifest_free(one);
    refuses(MAIN "---\n" MAIN, EEXIST, "m.yaml:9", "same kind and name");
}

#define DEPLOYMENT(replicas, label)                                                             \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: ns}\nspec:\n  "    \
    "replicas: " replicas                                                                       \
    "\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: " label \
    "}}\n    spec: {containers: [{name: a, image: b}]}\n"

static void test_deployment(void **state)
{
    struct husk_manifest *manifest = read_text(DEPLOYMENT("2", "web"));
    const json_t *pod = manifest_pod(manifest, 1);

    assert_int_equal(husk_manifest_pods(manifest), 2);
    assert_string_equal(husk_manifest_pod_name(manifest, 1), "ns/app-1");
    assert_int_equal(husk_manifest_deployments(manifest), 1);
    assert_string_equal(husk_manifest_deployment_name(manifest, 0), "ns/app");
    assert_int_equal(manifest_check_pod(pod, "r", NULL), 0);
    husk_manifest_free(manifest);
    manifest = read_text(DEPLOYMENT("0", "web"));
    assert_int_equal(husk_manifest_pods(manifest), 0);
    assert_int_equal(husk_manifest_deployments(manifest), 1);
    husk_manifest_free(manifest);
    refuses(DEPLOYMENT("2", "db"), EINVAL, "m.yaml:6: spec.selector", "labels");
    refuses(DEPLOYMENT("-1", "web"), EINVAL, "m.yaml:5: spec.replicas", NULL);
    refuses("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n"
            "  replicas: 2\n  selector: {matchLabels: {app: web}}\n  template:\n"
            "    metadata: {labels: {app: web}}\n    spec: {containers: [{name: a, image: b, "
            "ports:\n      [{containerPort: 80, hostPort: 80}]}]}\n",
            EINVAL, "m.yaml:10: spec.template.spec.containers[0].ports[0].hostPort",
            "several replicas");
    refuses(DEPLOYMENT("1", "web") "  paused: true\n", EINVAL, "m.yaml:10: spec.paused", NULL);
}

static void test_list(void **state)
{
    struct husk_manifest *manifest = read_text(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: "
        "a}, spec: {containers: [{name: a, image: b}]}}\n- {apiVersion: v1, kind: "
        "ConfigMap, metadata: {name: c}}\n");

    assert_int_equal(husk_manifest_pods(manifest), 1);
    husk_manifest_free(manifest);
    refuses("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List}\n", EINVAL,
            "m.yaml:4: kind", NULL);
}

/* JSON's pairs of escapes are one character; halves are refused, and so is what is no UTF-8. */
static void test_characters(void **state)
{
    struct husk_manifest *manifest = read_text(
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\"metadata\": {\"name\": \"web\", "
        "\"annotations\": "
        "{\"a\": \"\\ud83d\\uDE00\\\\ud83d\\u00e4\"}},\n\"spec\": {\"containers\": [{\"name\": "
        "\"a\", \"image\": \"b\"}]}}\n");
    const json_t *metadata = json_object_get(manifest_pod(manifest, 0), "metadata");

    assert_string_equal(
        json_string_value(json_object_get(json_object_get(metadata, "annotations"), "a")),
        "\xf0\x9f\x98\x80\\ud83d\xc3\xa4");
    husk_manifest_free(manifest);
    refuses("{\n\"kind\":\n\"\\ud83d\"}\n", EINVAL, "m.yaml:3", "Unicode");
    refuses("{\n\"kind\":\n\"\\ude00\\ud83d\"}\n", EINVAL, "m.yaml:3", "Unicode");
    refuses("# a\nkind: Pod\nname: \"a\xff\"\n", EINVAL, "m.yaml:3", "UTF-8");
    refuses("kind: Pod\n\n\nname: \xc3(\n", EINVAL, "m.yaml:4", "UTF-8");
    refuses("kind: Pod\nname: \x01\n", EINVAL, "m.yaml:2", "control");
    refuses("kind: Pod\nname: 1e999\n", EINVAL, "m.yaml:2", "too large");
}

/* A volume of which nothing is said is an emptyDir, as Kubernetes defaults it. */
static void test_volume_of_nothing(void **state)
{
    static const char *const texts[] = {"{name: v}", "{name: v, emptyDir: null}",
                                        "{name: v, hostPath: null}"};
    const struct husk_manifest_options lenient = {.size = sizeof(lenient), .lenient = true};
    static const char claim[] =
        MAIN "  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n";
    struct husk_manifest *manifest;
    char text[sizeof(MAIN) + 64];

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        const json_t *volumes;

        snprintf(text, sizeof(text), MAIN "  volumes: [%s]\n", texts[i]);
        manifest = read_text(text);
        volumes = json_object_get(json_object_get(manifest_pod(manifest, 0), "spec"), "volumes");
        assert_true(json_is_object(json_object_get(json_array_get(volumes, 0), "emptyDir")));
        assert_int_equal(json_object_size(json_array_get(volumes, 0)), 2);
        husk_manifest_free(manifest);
    }
    refuses(claim, EINVAL, "m.yaml:8: spec.volumes[0].persistentVolumeClaim", "not supported");
    assert_int_equal(husk_manifest_read("m.yaml", claim, strlen(claim), &lenient, &manifest, NULL),
                     -EINVAL);
}

/* Long lists are not gone through again for each of their members: this ends in seconds. */
static void test_long_lists(void **state)
{
    static const struct {
        const char *list, *first, *last, *where, *why;
    } cases[] = {
        {"volumeMounts", "{name: v, mountPath: /", "{name: v, mountPath: /7}", "", "mountPath"},
        {"ports", "{containerPort: 1, name: a", "{containerPort: 1, name: a7}", ".name",
         "name of another port"},
        {"ports", "{containerPort: 1, hostPort: ", "{containerPort: 1, hostPort: 7}", ".hostPort",
         "another port"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        char where[128], *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        fprintf(out, MAIN "    %s: [", cases[i].list);
        for (unsigned k = 1; k <= 30000; k++)
            fprintf(out, "%s%u},", cases[i].first, k);
        fprintf(out, "%s]\n  volumes: [{name: v}]\n", cases[i].last);
        assert_int_equal(fclose(out), 0);
        snprintf(where, sizeof(where), "m.yaml:8: spec.containers[0].%s[30000]%s", cases[i].list,
                 cases[i].where);
        refuses(text, EINVAL, where, cases[i].why);
        free(text);
    }
}

static void test_many_objects(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    fputs("apiVersion: v1\nkind: List\nitems:\n", out);
    for (unsigned i = 0; i < 5000; i++)
        fprintf(out, "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a%u}}\n", i);
    assert_int_equal(fclose(out), 0);
    refuses(text, E2BIG, "m.yaml:4100", "too many objects");
    free(text);
}

static void test_annotate(void **state)
{
    struct husk_manifest *manifest = read_text(MAIN);
    json_t *before = json_incref((json_t *)manifest_pod(manifest, 0));

    assert_int_equal(husk_manifest_annotate(manifest, 0, "husk.dev/x", "1", NULL), 0);
    assert_false(json_equal(before, manifest_pod(manifest, 0)));
    assert_int_equal(manifest_check_pod(manifest_pod(manifest, 0), "r", NULL), 0);
    assert_int_equal(husk_manifest_annotate(manifest, 0, "no key", "1", NULL), -EINVAL);
    assert_int_equal(husk_manifest_annotate(manifest, 1, "husk.dev/x", "1", NULL), -EINVAL);
    json_decref(before);
    husk_manifest_free(manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_fields),
        cmocka_unit_test(test_lifecycle),    cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_lenient),      cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_bombs),        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_objects),      cmocka_unit_test(test_missing_objects),
        cmocka_unit_test(test_pull_secrets), cmocka_unit_test(test_join),
        cmocka_unit_test(test_deployment),   cmocka_unit_test(test_list),
        cmocka_unit_test(test_characters),   cmocka_unit_test(test_volume_of_nothing),
        cmocka_unit_test(test_long_lists),   cmocka_unit_test(test_many_objects),
        cmocka_unit_test(test_annotate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
