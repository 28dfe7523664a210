// SPDX-License-Identifier: Apache-2.0
/*
 * What options make of an image's configuration: golden/default.json is the whole of it without
 * any, golden/NAME.json what each of CASES changes. And what is refused, by its message.
 */
#include "tests/unit/pod/spec/golden.h"

#include <errno.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/spec/capabilities.h"
#include "pod/spec/seccomp.h"
#include "pod/spec/spec.h"

#define HEAD "{\"os\":\"linux\",\"architecture\":\"amd64\","
#define ROOT "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}"
#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char plain[] = HEAD ROOT ",\"config\":{\"Entrypoint\":[\"/entry\",\"--flag\"],\"Cmd\":"
                                      "[\"serve\"],\"Env\":[\"PATH=/image/bin\",\"LANG=C\"]}}";
static const char rich[] =
    HEAD ROOT ",\"config\":{\"Cmd\":[\"/server\"],\"User\":\"app:staff\",\"WorkingDir\":\"/srv\","
              "\"StopSignal\":\"SIGQUIT\",\"Volumes\":{\"/data\":{},\"/data/deep/\":{}},"
              "\"Env\":[\"TERM=dumb\",\"HOSTNAME=image\"]}}";
static const char empty[] = HEAD ROOT "}";

static char *const environment[] = {(char *)"SHELL=/bin/zsh", NULL};

static int build(const char *config, struct spec_options options, struct spec *out,
                 struct husk_error *err)
{
    struct image_config image;
    int ret;

    assert_int_equal(image_config_parse(config, strlen(config), "test", &image, NULL), 0);
    options.id = ID;
    options.environment = environment;
    ret = spec_build(&image, &options, out, err);
    image_config_clear(&image);
    return ret;
}

static json_t *default_filter(uint64_t capabilities)
{
    const struct seccomp_context context = {capabilities, 6, 1, seccomp_machine};
    json_t *profile = seccomp_default(), *out;

    assert_int_equal(seccomp_compile(profile, &context, "default", &out, NULL), 0);
    json_decref(profile);
    return out;
}

/* The record, with the long filter as one word: test_seccomp_profile.c looks at that. */
static json_t *shortened(const struct spec *spec)
{
    json_t *record = spec_save(spec), *copy = json_deep_copy(record), *linux_part, *filter;
    const struct spec_words none = {.count = 0};
    uint64_t capabilities;

    json_decref(record);
    assert_int_equal(capabilities_choose(&none, &none, &capabilities, NULL), 0);
    filter = default_filter(capabilities);
    linux_part = json_object_get(json_object_get(copy, "config"), "linux");
    if (json_equal(json_object_get(linux_part, "seccomp"), filter))
        json_object_set_new(linux_part, "seccomp", json_string("default"));
    else if (json_object_get(linux_part, "seccomp"))
        json_object_set_new(linux_part, "seccomp", json_string("another"));
    json_decref(filter);
    return copy;
}

static json_t *build_default(void)
{
    struct spec spec;
    json_t *record;

    assert_int_equal(build(plain, (struct spec_options){.tty = false}, &spec, NULL), 0);
    record = shortened(&spec);
    spec_clear(&spec);
    return record;
}

static void test_default(void **state)
{
    golden_expect("default", build_default());
}

#define WORDS(...)                                                           \
    {                                                                        \
        .words = (const char *const[]){__VA_ARGS__},                         \
        .count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *) \
    }

static const struct spec_mount mounts[] = {
    {"/data/", HUSK_AGENT_VOLUMES "/volume-0/sub", false},
    {"/etc/hosts", HUSK_AGENT_FILES "/hosts", true},
};
static const uint32_t groups[] = {2000, 3000};

/* The image has a volume at /data, too. */
static const struct spec_member member = {.prefix = "c0-",
                                          .mounts = mounts,
                                          .mount_count = 2,
                                          .groups = groups,
                                          .group_count = 2,
                                          .oom_score_adj = 987};
static const struct spec_member privileged = {
    .prefix = "c1-", .share_pid = true, .privileged = true};
static const struct spec_member unmasked = {.prefix = "c2-", .unmasked = true};

static const struct {
    const char *name, *config;
    struct spec_options options;
} cases[] = {
    {"member", rich, {.hostname = "pod-1", .member = &member}},
    {"member-privileged",
     plain,
     {.hostname = "pod-1", .member = &privileged, .security = WORDS("seccomp=unconfined")}},
    {"member-unmasked", plain, {.hostname = "pod-1", .member = &unmasked}},
    {"image", rich, {.tty = true}},
    {"command", plain, {.command = WORDS("sh", "-c", "echo \"$A\"")}},
    {"entrypoint", plain, {.entrypoint = "/bin/sh"}},
    {"entrypoint-command", plain, {.entrypoint = "/bin/sh", .command = WORDS("-x")}},
    {"entrypoint-none", plain, {.entrypoint = "", .command = WORDS("ls", "/")}},
    {"hostname", plain, {.hostname = "web-1.example.org"}},
    {"tty", plain, {.tty = true, .columns = 120, .rows = 40}},
    {"env", plain, {.env = WORDS("LANG=de", "NEW=1", "SHELL", "PATH", "NEW=2")}},
    {"workdir", plain, {.directory = "/work/dir"}},
    {"init", plain, {.init = true}},
    {"user", plain, {.user = "1000:100"}},
    {"user-group", plain, {.user = ":adm"}},
    {"read-only", plain, {.read_only = true}},
    {"cap-add", plain, {.cap_add = WORDS("NET_ADMIN", "cap_sys_ptrace")}},
    {"cap-drop", plain, {.cap_drop = WORDS("CAP_CHOWN", "mknod")}},
    {"cap-drop-all", plain, {.cap_drop = WORDS("ALL"), .cap_add = WORDS("kill")}},
    {"cap-add-all", plain, {.cap_add = WORDS("all"), .cap_drop = WORDS("SYS_ADMIN")}},
    {"seccomp-unconfined", plain, {.security = WORDS("seccomp=unconfined")}},
    {"seccomp-builtin", plain, {.security = WORDS("seccomp=unconfined", "seccomp=builtin")}},
    {"no-new-privileges", plain, {.security = WORDS("no-new-privileges")}},
    {"no-new-privileges-off",
     plain,
     {.security = WORDS("no-new-privileges:true", "no-new-privileges=false")}},
    {"labels-disabled", plain, {.security = WORDS("label=disable", "apparmor=unconfined")}},
    {"memory", plain, {.memory = "256m"}},
    {"memory-fraction", plain, {.memory = "1.5GiB"}},
    {"cpus", plain, {.cpus = "1.25"}},
    {"pids-limit", plain, {.pids_limit = "100"}},
    {"no-limits", plain, {.memory = "0", .cpus = "0", .pids_limit = "-1"}},
    {"ulimit", plain, {.ulimits = WORDS("nofile=2048:4096", "core=0", "memlock=-1", "stack=1:-1")}},
    {"tmpfs", plain, {.tmpfs = WORDS("/run", "/run/lock/:size=1m,exec,mode=1777")}},
    {"tmpfs-shm", plain, {.tmpfs = WORDS("/dev/shm:size=8m")}},
    {"tmpfs-dev", plain, {.tmpfs = WORDS("/dev")}},
    {"shm-size", plain, {.shm_size = "1g"}},
    {"sysctl",
     plain,
     {.sysctls = WORDS("kernel.shmmax=1000", "net.core.somaxconn=7",
                       "net.ipv4.ip_unprivileged_port_start=80")}},
    {"stop-signal", plain, {.stop_signal = "RTMIN+3"}},
    {"address", plain, {.address = "10.1.2.3", .nameservers = WORDS("10.1.2.1", "fe80::1")}},
    {"volume-anonymous", plain, {.volumes = WORDS("/data", "/cache:nocopy", "/ro:ro")}},
    {"volume-image", rich, {.volumes = WORDS("/data/../data/:ro"), .tmpfs = WORDS("/data/deep")}},
    {"volume-directory", plain, {.volumes = WORDS("/dev:/host/dev", "/usr/..:/host:ro")}},
    {"volume-file", plain, {.volumes = WORDS("/etc/passwd:/etc/hosts:ro,Z")}},
};

static void test_options(void **state)
{
    json_t *before = build_default();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct husk_error err = {.code = 0};
        json_t *now, *again;
        char text[512];
        struct spec spec, loaded;

        if (build(cases[i].config, cases[i].options, &spec, &err))
            fail_msg("%s: %s", cases[i].name, error_format(&err, text, sizeof(text)));
        now = shortened(&spec);
        golden_expect(cases[i].name, golden_difference(before, now));
        /* And through the record, which a container of a pod has not: it is made anew each time. */
        if (!cases[i].options.member) {
            again = spec_save(&spec);
            assert_int_equal(spec_load(again, "record", &loaded, &err), 0);
            json_decref(again);
            again = shortened(&loaded);
            assert_true(json_equal(again, now));
            json_decref(again);
            spec_clear(&loaded);
        }
        json_decref(now);
        spec_clear(&spec);
    }
    json_decref(before);
}

static const struct spec_mount twice[] = {{"/x", "/a", false}, {"/x/", "/b", false}};
static const struct spec_mount in_proc[] = {{"/proc/self", "/a", false}};
static const struct spec_member two_mounts = {.prefix = "", .mounts = twice, .mount_count = 2};
static const struct spec_member proc_mount = {.prefix = "", .mounts = in_proc, .mount_count = 1};
static const struct spec_member many_mounts = {.prefix = "", .mount_count = SPEC_VOLUMES_MAX + 1};

static const struct {
    const char *config, *where, *why;
    struct spec_options options;
} refusals[] = {
    {empty,
     "the command",
     "neither the image nor the command line says what to run",
     {.tty = false}},
    {plain, "the command", "neither the image", {.entrypoint = ""}},
    {plain, "the command", "the program's name is empty", {.entrypoint = "", .command = WORDS("")}},
    {plain, "the command", "is not valid UTF-8", {.command = WORDS("a", "\xff")}},
    {plain, "--hostname a b", "wants letters", {.hostname = "a b"}},
    {plain, "--hostname -x", "wants letters", {.hostname = "-x"}},
    {plain, "--hostname", "1 to 63", {.hostname = ""}},
    {plain, "--env =1", "no name", {.env = WORDS("=1")}},
    {plain, "--env-file /nonexistent", "No such file", {.env_files = WORDS("/nonexistent")}},
    {plain, "--workdir here", "absolute path", {.directory = "here"}},
    {plain, "--user a:b:c", "wants NAME|UID", {.user = "a:b:c"}},
    {plain, "--user a b", "blank", {.user = "a b"}},
    {plain, "--cap-add FLY", "no such capability", {.cap_add = WORDS("FLY")}},
    {plain, "--cap-drop CAP_", "no such capability", {.cap_drop = WORDS("CAP_")}},
    {plain, "--security-opt magic", "neither seccomp", {.security = WORDS("magic")}},
    {plain, "--security-opt seccomp=", "wants seccomp=FILE", {.security = WORDS("seccomp=")}},
    {plain,
     "--security-opt seccomp= /nonexistent",
     "No such file",
     {.security = WORDS("seccomp=/nonexistent")}},
    {plain,
     "--security-opt seccomp= /dev/null",
     "Invalid argument",
     {.security = WORDS("seccomp=/dev/null")}},
    {plain,
     "--security-opt no-new-privileges=maybe",
     "neither true nor false",
     {.security = WORDS("no-new-privileges=maybe")}},
    {plain,
     "--security-opt apparmor=mine",
     "no such security module",
     {.security = WORDS("apparmor=mine")}},
    {plain, "--memory 5m", "less than 6 MiB", {.memory = "5m"}},
    {plain, "--memory lots", "is not a size", {.memory = "lots"}},
    {plain, "--memory 1.2.3m", "is not a size", {.memory = "1.2.3m"}},
    {plain, "--memory 99999p", "is too large", {.memory = "99999p"}},
    {plain, "--memory -1", "is not a size", {.memory = "-1"}},
    {plain, "--cpus 0.001", "0.01 to 1024", {.cpus = "0.001"}},
    {plain, "--cpus 1e3", "is not a number", {.cpus = "1e3"}},
    {plain, "--cpus 2000", "0.01 to 1024", {.cpus = "2000"}},
    {plain, "--pids-limit -2", "nor -1", {.pids_limit = "-2"}},
    {plain, "--ulimit nofile", "wants NAME=SOFT", {.ulimits = WORDS("nofile")}},
    {plain, "--ulimit files=1", "no limit of this name", {.ulimits = WORDS("files=1")}},
    {plain, "--ulimit nofile=2:1", "above the hard", {.ulimits = WORDS("nofile=2:1")}},
    {plain, "--ulimit nofile=-1:1", "above the hard", {.ulimits = WORDS("nofile=-1:1")}},
    {plain, "--ulimit nofile=", "wants numbers", {.ulimits = WORDS("nofile=")}},
    {plain, "--ulimit nofile=1:2:3", "wants numbers", {.ulimits = WORDS("nofile=1:2:3")}},
    {plain, "--tmpfs run", "absolute path", {.tmpfs = WORDS("run")}},
    {plain, "--tmpfs /", "the root is the image's", {.tmpfs = WORDS("/")}},
    {plain, "--tmpfs /proc/self", "/proc is the kernel's", {.tmpfs = WORDS("/proc/self")}},
    {plain, "--tmpfs /x:wet", "\"wet\" is no option", {.tmpfs = WORDS("/x:wet")}},
    {plain, "--tmpfs /x:", "\"\" is no option", {.tmpfs = WORDS("/x:")}},
    {plain, "--tmpfs /x/", "another mount", {.tmpfs = WORDS("/x", "/x/")}},
    {plain, "--tmpfs /v", "another mount", {.tmpfs = WORDS("/v"), .volumes = WORDS("/v")}},
    {plain, "--shm-size 0", "more than 0", {.shm_size = "0"}},
    {plain, "--shm-size big", "is not a size", {.shm_size = "big"}},
    {plain,
     "--sysctl kernel.panic=1",
     "none of the container's own",
     {.sysctls = WORDS("kernel.panic=1")}},
    {plain, "--sysctl net.x", "wants NAME=VALUE", {.sysctls = WORDS("net.x")}},
    {plain, "--sysctl net..x=1", "is not the name", {.sysctls = WORDS("net..x=1")}},
    {plain, "--sysctl net./../kernel=1", "is not the name", {.sysctls = WORDS("net./../kernel=1")}},
    {plain, "--stop-signal SIGWHAT", "is not a signal", {.stop_signal = "SIGWHAT"}},
    {plain, "--stop-signal 65", "is not a signal", {.stop_signal = "65"}},
    {plain, "--network 1.2.3.4 evil", "is not an address", {.address = "1.2.3.4 evil"}},
    {plain, "--volume data:/data", "volumes do not have names", {.volumes = WORDS("data:/data")}},
    {plain, "--volume /nonexistent:/x", "No such file", {.volumes = WORDS("/nonexistent:/x")}},
    {plain, "--volume /etc:x", "absolute path", {.volumes = WORDS("/etc:x")}},
    {plain, "--volume /etc:/proc/x", "/proc is the kernel's", {.volumes = WORDS("/etc:/proc/x")}},
    {plain, "--volume /etc:/x:shared", "neither ro nor rw", {.volumes = WORDS("/etc:/x:shared")}},
    {plain, "--volume /etc:/x:ro,", "neither ro nor rw", {.volumes = WORDS("/etc:/x:ro,")}},
    {plain, "--volume a:/b:ro:c", "wants [SRC:]DST", {.volumes = WORDS("a:/b:ro:c")}},
    {plain, "--volume :/x", "wants [SRC:]DST", {.volumes = WORDS(":/x")}},
    {plain, "--volume", "wants [SRC:]DST", {.volumes = WORDS("")}},
    {plain, "--volume /dev/null:/x", "neither a directory", {.volumes = WORDS("/dev/null:/x")}},
    {plain, "--volume /etc:/x", "two volumes at /x", {.volumes = WORDS("/x", "/etc:/x")}},
    {plain, "mount /x/", "another mount at this place", {.member = &two_mounts}},
    {plain, "mount /proc/self", "/proc is the kernel's", {.member = &proc_mount}},
    {empty, "mount", "more than 64", {.member = &many_mounts, .command = WORDS("x")}},
};

static void test_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        struct husk_error err = {.code = 0};
        struct spec spec;

        if (!build(refusals[i].config, refusals[i].options, &spec, &err))
            fail_msg("%s is not refused", refusals[i].where);
        if (strncmp(err.where, refusals[i].where, strlen(refusals[i].where)) != 0 ||
            !strstr(err.why, refusals[i].why))
            fail_msg("%s (%s): %s (%s)", refusals[i].where, refusals[i].why, err.where, err.why);
        assert_null(spec.config);
        assert_null(spec.volumes);
    }
}

static void test_refused_image(void **state)
{
    static const struct {
        const char *config, *where;
    } images[] = {
        {HEAD ROOT ",\"config\":{\"Cmd\":[\"x\"],\"WorkingDir\":\"y\"}}",
         "the image: WorkingDir y"},
        {HEAD ROOT ",\"config\":{\"Cmd\":[\"x\"],\"StopSignal\":\"y\"}}",
         "the image: StopSignal y"},
        {HEAD ROOT ",\"config\":{\"Cmd\":[\"x\"],\"User\":\"a b\"}}", "the image: User a b"},
        {HEAD ROOT ",\"config\":{\"Cmd\":[\"x\"],\"Volumes\":{\"/proc\":{}}}}",
         "the image: Volumes /proc"},
        {HEAD ROOT ",\"config\":{\"Cmd\":[\"x\"],\"Volumes\":{\"d\":{}}}}", "the image: Volumes d"},
        {HEAD ROOT ",\"config\":{\"Cmd\":[\"\"]}}", "the command"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
        struct husk_error err = {.code = 0};
        struct spec spec;

        assert_true(build(images[i].config, (struct spec_options){.tty = false}, &spec, &err) < 0);
        assert_string_equal(err.where, images[i].where);
    }
}

/* What does not fit into one request is refused here, not by the agent. */
static void test_too_long(void **state)
{
    char *text = malloc(120000);
    const char *words[10];
    struct husk_error err = {.code = 0};
    struct spec spec;

    assert_non_null(text);
    memset(text, 'x', 119999);
    text[119999] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = text;
    assert_int_equal(build(plain, (struct spec_options){.command = {words, 8}}, &spec, &err), 0);
    spec_clear(&spec);
    assert_int_equal(build(plain, (struct spec_options){.command = {words, 10}}, &spec, &err),
                     -E2BIG);
    assert_string_equal(err.where, "the command");
    free(text);
}

static void test_too_many_volumes(void **state)
{
    char texts[SPEC_VOLUMES_MAX + 1][16];
    const char *words[SPEC_VOLUMES_MAX + 1];
    struct husk_error err = {.code = 0};
    struct spec spec;

    for (unsigned i = 0; i <= SPEC_VOLUMES_MAX; i++) {
        snprintf(texts[i], sizeof(texts[i]), "/v%u", i);
        words[i] = texts[i];
    }
    assert_int_equal(
        build(plain, (struct spec_options){.volumes = {words, SPEC_VOLUMES_MAX}}, &spec, &err), 0);
    assert_int_equal(spec.volume_count, SPEC_VOLUMES_MAX);
    spec_clear(&spec);
    assert_int_equal(
        build(plain, (struct spec_options){.volumes = {words, SPEC_VOLUMES_MAX + 1}}, &spec, &err),
        -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),  cmocka_unit_test(test_options),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_refused_image),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_too_many_volumes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
