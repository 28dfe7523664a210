// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest program that keeps pods: runs those of a manifest, shows what their first containers
 * say, and removes them when they have ended.
 *
 *     cc pods.c -o pods $(pkg-config --cflags --libs husk-pod)
 *     ./pods web.yaml
 */
#include <stdio.h>

#include <husk/pod.h>

static int complain(const struct husk_error *err)
{
    fprintf(stderr, "pods: %s: %s%s%s\n", err->where, err->what, err->why[0] ? ": " : "", err->why);
    return 1;
}

/* Until the container will not be started again. */
static int show_log(struct husk_pods *pods, const char *name, struct husk_error *err)
{
    struct husk_pod_log_options options = HUSK_POD_LOG_OPTIONS_INIT;
    struct husk_pod_log_line line;
    struct husk_pod_log *log;
    int ret;

    options.follow = true;
    ret = husk_pod_log_open(pods, name, &options, &log, err);
    if (ret)
        return ret;
    while ((ret = husk_pod_log_next(log, -1, &line, err)) == 1)
        printf("%s: %.*s%s", name, (int)line.len, line.text, line.is_partial ? "" : "\n");
    husk_pod_log_close(log);
    return 0;
}

static int run(struct husk_pods *pods, const struct husk_manifest *manifest, unsigned index,
               struct husk_error *err)
{
    const char *name = husk_manifest_pod_name(manifest, index);
    int ret = husk_pod_create(pods, manifest, index, NULL, err);

    if (ret)
        return ret;
    ret = husk_pod_start(pods, name, NULL, err);
    if (!ret && husk_pod_wait(pods, name, HUSK_POD_READY, 60000, err) == 0)
        ret = show_log(pods, name, err);
    if (!ret)
        ret = husk_pod_wait(pods, name, HUSK_POD_ENDED, 60000, err);
    husk_pod_remove(pods, name, true, NULL);
    return ret;
}

int main(int argc, char **argv)
{
    struct husk_manifest *manifest = NULL;
    struct husk_pods *pods = NULL;
    struct husk_error err = {0};
    int status = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: pods MANIFEST\n");
        return 2;
    }
    if (husk_manifest_read_file(argv[1], NULL, &manifest, &err) ||
        husk_pods_open(NULL, &pods, &err))
        status = complain(&err);
    for (unsigned i = 0; !status && i < husk_manifest_pods(manifest); i++) {
        if (run(pods, manifest, i, &err))
            status = complain(&err);
    }
    husk_pods_close(pods);
    husk_manifest_free(manifest);
    return status;
}
