// SPDX-License-Identifier: Apache-2.0
/*
 * What pods become: golden/minimal.json is the whole of the smallest, golden/NAME.json what the pod
 * pods/NAME.json has otherwise. And what is refused, by its field.
 */
#include "tests/unit/pod/plan/fixture.h"

#include "base/checked.h"
#include "pod/manifest/manifest.h"
#include "pod/plan/part.h"

static const char *const cases[] = {
    "command",           "args",         "env",        "user",        "user-of-image",
    "security",          "drop-all",     "privileged", "unmasked",    "sysctls",
    "share-pid",         "stop-signal",  "names",      "fqdn",        "dns",
    "dns-none",          "resources",    "guaranteed", "best-effort", "terminal",
    "message",           "empty-dirs",   "config-map", "projected",   "host-path",
    "host-path-written", "image-volumes"};

/* The long filter as one word: test_seccomp_profile.c looks at that. */
static json_t *create_of(const struct plan_container *container)
{
    json_t *copy = json_deep_copy(container->create);
    json_t *linux_part = json_object_get(json_object_get(copy, "config"), "linux");

    if (json_object_get(linux_part, "seccomp"))
        json_object_set_new(linux_part, "seccomp", json_string("a filter"));
    return copy;
}

static json_t *show(const struct pod_plan *plan)
{
    static const char *const kinds[] = {"init", "sidecar", "main"};
    json_t *containers = json_object(), *limits = json_object();

    for (unsigned i = 0; i < plan->container_count; i++) {
        const struct plan_container *c = &plan->containers[i];

        json_object_set_new(
            containers, c->name,
            json_pack("{s:s, s:s, s:i, s:o, s:O, s:O, s:O, s:i, s:[b, b, b], s:s, s:b}", "field",
                      c->field, "kind", kinds[c->kind], "image", (int)c->image, "create",
                      create_of(c), "before", c->before, "after", c->after, "resources",
                      c->resources, "stop_signal", c->stop_signal, "tty, stdin, once", (int)c->tty,
                      (int)c->stdin_open, (int)c->stdin_once, "message_path", c->message_path,
                      "message_from_log", (int)c->message_from_log));
    }
    for (unsigned i = 0; i < plan->limit_count; i++)
        json_object_set_new(limits, plan->limits[i].name,
                            json_pack("{s:s, s:I}", "volume", plan->limits[i].volume, "limit_bytes",
                                      (json_int_t)plan->limits[i].limit_bytes));
    return json_pack("{s:o, s:O, s:O, s:o, s:o, s:s, s:s, s:O}", "machine",
                     pod_machine_options_encode(plan->machine), "pod", plan->pod, "requests",
                     plan->requests, "containers", containers, "limits", limits, "qos",
                     plan->qos_class, "hostname", plan->hostname, "warnings", plan->warnings);
}

static json_t *plan_of(const char *name)
{
    struct husk_error err = {.code = 0};
    struct fixture f;
    struct pod_plan plan;
    char text[512];
    json_t *out;

    fixture_load(&f, name);
    /* These are pods as pod/manifest lets them pass. */
    if (manifest_check_pod(f.input.pod, name, &err) ||
        manifest_check_objects(f.input.objects, name, &err))
        fail_msg("%s", error_format(&err, text, sizeof(text)));
    if (plan_build(&f.input, &plan, &err))
        fail_msg("%s: %s", name, error_format(&err, text, sizeof(text)));
    assert_int_equal(pod_machine_options_check(plan.machine, NULL), 0);
    out = show(&plan);
    plan_clear(&plan);
    fixture_clear(&f);
    return out;
}

static void makes_of_pods(void **state)
{
    json_t *minimal = plan_of("minimal");

    golden_expect("minimal", json_incref(minimal));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *plan = plan_of(cases[i]), *again = plan_of(cases[i]);

        assert_true(json_equal(plan, again));
        json_decref(again);
        golden_expect(cases[i], golden_difference(minimal, plan));
        json_decref(plan);
    }
    json_decref(minimal);
}

#define CONTAINER(members)                                                    \
    "{\"spec\": {\"containers\": [{\"name\": \"app\", \"image\": \"app:1\", " \
    "\"terminationMessagePath\": \"/dev/termination-log\", " members "}]}}"
#define OF_IMAGE(image, members)                                           \
    "{\"spec\": {\"containers\": [{\"name\": \"app\", \"image\": \"" image \
    "\", \"terminationMessagePath\": \"/m\", " members "}]}}"
#define NON_ROOT "\"securityContext\": {\"runAsNonRoot\": true}"
#define VOLUME(volume, mount)                                                                 \
    "{\"spec\": {\"volumes\": [{\"name\": \"v\", " volume "}], "                              \
    "\"containers\": [{\"name\": \"app\", \"image\": \"app:1\", \"terminationMessagePath\": " \
    "\"/m\", "                                                                                \
    "\"volumeMounts\": [{\"name\": \"v\", \"mountPath\": " mount "}]}]}}"

/* Merged into the smallest pod. */
static const struct {
    int code;
    const char *where, *why, *patch;
} refusals[] = {
    {ENOENT, "spec.containers[0].image", "not there", OF_IMAGE("none:1", "\"tty\": true")},
    {ENOENT, "spec.containers[0].env[0].valueFrom.configMapKeyRef", "no config map \"m\"",
     CONTAINER("\"env\": [{\"name\": \"A\", \"valueFrom\": {\"configMapKeyRef\": {\"name\": \"m\", "
               "\"key\": \"k\"}}}]")},
    {ENOENT, "spec.containers[0].env[0].valueFrom.secretKeyRef", "no key \"k\"",
     CONTAINER("\"env\": [{\"name\": \"A\", \"valueFrom\": {\"secretKeyRef\": {\"name\": \"s\", "
               "\"key\": \"k\"}}}]")},
    {EILSEQ, "spec.containers[0].env[0].valueFrom.secretKeyRef", "no text",
     CONTAINER("\"env\": [{\"name\": \"A\", \"valueFrom\": {\"secretKeyRef\": {\"name\": \"s\", "
               "\"key\": \"binary\"}}}]")},
    {ENOENT, "spec.containers[0].envFrom[0]", "no secret \"m\"",
     CONTAINER("\"envFrom\": [{\"secretRef\": {\"name\": \"m\"}}]")},
    {EINVAL, "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", "no such field",
     CONTAINER("\"env\": [{\"name\": \"A\", \"valueFrom\": {\"fieldRef\": {\"fieldPath\": "
               "\"spec.containers\"}}}]")},
    {EINVAL, "spec.containers[0].env[0].valueFrom.resourceFieldRef", "no container",
     CONTAINER("\"env\": [{\"name\": \"A\", \"valueFrom\": {\"resourceFieldRef\": "
               "{\"containerName\": \"b\", \"resource\": \"limits.cpu\"}}}]")},
    {EINVAL, "spec.containers[0].workingDir here", "absolute",
     CONTAINER("\"workingDir\": \"here\"")},
    {EINVAL, "spec.containers[0].securityContext.runAsNonRoot", "runs as root",
     CONTAINER(NON_ROOT)},
    {EINVAL, "spec.containers[0].securityContext.runAsNonRoot", "\"app\" is a name",
     OF_IMAGE("named:1", NON_ROOT)},
    {EINVAL, "spec.containers[0].securityContext.runAsNonRoot", "runAsUser is 0",
     OF_IMAGE("other:1", "\"securityContext\": {\"runAsNonRoot\": true, \"runAsUser\": 0}")},
    {EINVAL, "spec.containers[0].securityContext.capabilities.add FLY", "no such capability",
     CONTAINER("\"securityContext\": {\"capabilities\": {\"add\": [\"FLY\"]}}")},
    {ENOENT,
     "spec.containers[0].securityContext.seccompProfile.localhostProfile "
     "/var/lib/husk/seccomp/none/such.json",
     "No such file",
     CONTAINER("\"securityContext\": {\"seccompProfile\": {\"type\": \"Localhost\", "
               "\"localhostProfile\": \"none/such.json\"}}")},
    {EINVAL, "spec.containers[0].securityContext.seccompProfile.localhostProfile", "below",
     CONTAINER("\"securityContext\": {\"seccompProfile\": {\"type\": \"Localhost\", "
               "\"localhostProfile\": \"a/../../x\"}}")},
    {EINVAL, "spec.securityContext.sysctls kernel.panic=1", "none of the container's own",
     "{\"spec\": {\"securityContext\": {\"sysctls\": [{\"name\": \"kernel.panic\", \"value\": "
     "\"1\"}]}}}"},
    {ENAMETOOLONG, "spec.setHostnameAsFQDN", "longer",
     "{\"spec\": {\"setHostnameAsFQDN\": true, \"subdomain\": "
     "\"a123456789012345678901234567890123456789012345678901234567890\"}}"},
    {ENOSPC, "spec.containers[0].resources.requests.cpu", "8 processors",
     CONTAINER("\"resources\": {\"requests\": {\"cpu\": \"8001m\"}}")},
    {ENOSPC, "spec.containers[0].resources.requests.memory", "16384 MiB",
     CONTAINER("\"resources\": {\"requests\": {\"memory\": \"17Gi\"}}")},
    {ERANGE, "spec.containers[0].resources.limits.memory", "less than 6Mi",
     CONTAINER("\"resources\": {\"limits\": {\"memory\": \"1Mi\"}}")},
    {ERANGE, "spec.containers[0].resources.limits.cpu", "more than 1024",
     CONTAINER("\"resources\": {\"limits\": {\"cpu\": \"2k\"}}")},
    {ENOENT, "spec.volumes[0].configMap", "no config map \"m\"",
     VOLUME("\"configMap\": {\"name\": \"m\"}", "\"/x\"")},
    {ENOENT, "spec.volumes[0].secret.items[0].key", "no key \"k\"",
     VOLUME("\"secret\": {\"secretName\": \"s\", \"items\": [{\"key\": \"k\", \"path\": \"p\"}]}",
            "\"/x\"")},
    {ENOENT, "spec.volumes[0].hostPath.path", "",
     VOLUME("\"hostPath\": {\"path\": \"/n\"}", "\"/x\"")},
    {EINVAL, "spec.containers[0].volumeMounts /proc/x", "the kernel's",
     VOLUME("\"emptyDir\": {}", "\"/proc/x\"")},
    {EINVAL, "spec.containers[0].volumeMounts[0].subPath", "no path below",
     VOLUME("\"emptyDir\": {}", "\"/x\", \"subPath\": \"a/../../b\"")},
    {EINVAL, "spec.containers[0].volumeMounts[0].subPathExpr", "no variable \"NO\"",
     VOLUME("\"emptyDir\": {}", "\"/x\", \"subPathExpr\": \"$(NO)\"")},
    {EINVAL, "spec.containers[0].volumeMounts[0]", "no sub-paths",
     VOLUME("\"hostPath\": {\"path\": \"/file\", \"type\": \"File\"}",
            "\"/x\", \"subPath\": \"a\"")},
    {EINVAL, "spec.containers[0].volumeMounts[1].mountPath", "another mount",
     VOLUME("\"emptyDir\": {}", "\"/x\"}, {\"name\": \"v\", \"mountPath\": \"/x/\"")},
    {ENOTSUP, "spec.volumes[0]", "of a kind", VOLUME("\"nfs\": {}", "\"/x\"")},
};

static void names_what_cannot_be(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        json_t *file = fixture_file("minimal"), *patch = json_loads(refusals[i].patch, 0, NULL);
        struct husk_error err = {.code = 0};
        struct fixture f;
        struct pod_plan plan;

        if (!patch)
            fail_msg("%s", refusals[i].patch);
        json_object_update_recursive(json_object_get(file, "pod"), patch);
        json_object_set_new(file, "objects",
                            json_pack("{s:{}, s:{s:{s:{s:s}}}}", "configMaps", "secrets", "s",
                                      "data", "binary", "AAE="));
        json_decref(patch);
        fixture_init(&f, file);
        assert_int_equal(plan_build(&f.input, &plan, &err), -refusals[i].code);
        if (strcmp(err.where, refusals[i].where) != 0 || !strstr(err.why, refusals[i].why))
            fail_msg("%s (%s): %s (%s)", refusals[i].where, refusals[i].why, err.where, err.why);
        assert_null(plan.containers);
        fixture_clear(&f);
    }
}

static json_t *first_container(const json_t *file)
{
    const json_t *spec = json_object_get(json_object_get(file, "pod"), "spec");

    return json_array_get(json_object_get(spec, "containers"), 0);
}

/* A variable that is all of another one twice, many times over. */
static void bounds_what_variables_become(void **state)
{
    json_t *file = fixture_file("minimal"), *env = json_array();
    struct husk_error err = {.code = 0};
    struct fixture f;
    struct pod_plan plan;

    json_array_append_new(env, json_pack("{s:s, s:s}", "name", "V0", "value", "0123456789"));
    for (int i = 1; i < 64; i++)
        json_array_append_new(env, json_pack("{s:o, s:o}", "name", json_sprintf("V%d", i), "value",
                                             json_sprintf("$(V%d)$(V%d)", i - 1, i - 1)));
    json_object_set_new(first_container(file), "env", env);
    fixture_init(&f, file);
    assert_int_equal(plan_build(&f.input, &plan, &err), -E2BIG);
    assert_string_equal(err.where, "spec.containers[0].env[14].value");
    fixture_clear(&f);
}

/* Each is short enough, and all together are not. */
static void bounds_what_words_become(void **state)
{
    json_t *file = fixture_file("minimal"), *args = json_array();
    struct husk_error err = {.code = 0};
    char value[100 << 10];
    struct fixture f;
    struct pod_plan plan;

    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 4000; i++)
        json_array_append_new(args, json_string("$(LONG)"));
    json_object_set_new(first_container(file), "args", args);
    json_object_set_new(first_container(file), "env",
                        json_pack("[{s:s, s:s}]", "name", "LONG", "value", value));
    fixture_init(&f, file);
    assert_int_equal(plan_build(&f.input, &plan, &err), -E2BIG);
    assert_string_equal(err.where, "spec.containers[0].args");
    assert_non_null(strstr(err.why, "1048576 bytes"));
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_of_pods),
        cmocka_unit_test(names_what_cannot_be),
        cmocka_unit_test(bounds_what_variables_become),
        cmocka_unit_test(bounds_what_words_become),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
