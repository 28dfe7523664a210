// SPDX-License-Identifier: Apache-2.0
/*
 * pod/network/ as a command, for the tests beside:
 *
 *     husk-network up DIR MODE ID [POD]   POD is a Pod object; prints the result as an object
 *     husk-network down|tidy|check|abandon DIR
 *     husk-network collect [ID]…          those that exist; prints how many were taken back
 *     husk-network mode                   the default
 *
 * A failure is a line "WHERE: WHAT: WHY (CODE)" on standard error, and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "pod/network/network.h"

static int fail(const struct husk_error *err)
{
    fprintf(stderr, "%s: %s: %s (%d)\n", err->where, err->what, err->why, err->code);
    return 1;
}

static json_t *texts(const void *first, size_t stride, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_string((const char *)first + i * stride));
    return list;
}

static void print_result(const struct pod_network_result *result)
{
    struct pod_machine_options options = {.network = result->machine};
    json_t *machine = pod_machine_options_encode(&options);
    json_t *out = json_pack(
        "{sO* so so so so ss}", "network", json_object_get(machine, "network"), "ips",
        texts(result->ips, sizeof(result->ips[0]), result->ip_count), "servers",
        texts(result->dns.servers, sizeof(result->dns.servers[0]), result->dns.server_count),
        "searches",
        texts(result->dns.searches, sizeof(result->dns.searches[0]), result->dns.search_count),
        "options",
        texts(result->dns.options, sizeof(result->dns.options[0]), result->dns.option_count),
        "host_ip", result->host_ip);

    json_dumpf(out, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(machine);
    json_decref(out);
}

static int up(int dir, const char *mode, const char *id, const char *pod_text)
{
    static struct pod_network_request request;
    struct pod_network_result result;
    json_t *pod = json_loads(pod_text, 0, NULL);
    struct husk_error err;
    int ret;

    request.id = id;
    request.name = "pod";
    request.space = "default";
    request.mode = mode;
    request.dir = dir;
    ret = pod_network_read(pod, &request, &err);
    json_decref(pod);
    if (!ret)
        ret = pod_network_up(&request, &result, &err);
    if (ret)
        return fail(&err);
    print_result(&result);
    return 0;
}

/* What is left is a line as a failure's, and status 0. */
static int abandon(int dir)
{
    struct husk_error left, err;
    int ret = pod_network_abandon(dir, &left, &err);

    if (ret > 0)
        (void)fail(&left);
    return ret < 0 ? fail(&err) : 0;
}

struct ids {
    char **first;
    int count;
};

static bool exists(void *opaque, const char *id, const char *directory)
{
    const struct ids *ids = opaque;

    (void)directory;
    for (int i = 0; i < ids->count; i++) {
        if (!strcmp(ids->first[i], id))
            return true;
    }
    return false;
}

static int run(int argc, char **argv)
{
    struct ids ids = {.first = argv + 2, .count = argc - 2};
    struct husk_error err;
    char mode[128];
    int dir, ret;

    if (argc >= 2 && !strcmp(argv[1], "collect")) {
        ret = pod_network_collect(exists, &ids, &err);
        return ret < 0 ? fail(&err) : printf("%d\n", ret) < 0;
    }
    if (argc == 2 && !strcmp(argv[1], "mode"))
        return pod_network_default_mode(mode, sizeof(mode), &err) ? fail(&err)
                                                                  : printf("%s\n", mode) < 0;
    if (argc < 3)
        return 2;
    dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        perror(argv[2]);
        return 2;
    }
    if (!strcmp(argv[1], "up") && argc >= 5)
        ret = up(dir, argv[3], argv[4], argc > 5 ? argv[5] : "{}");
    else if (!strcmp(argv[1], "abandon"))
        ret = abandon(dir);
    else
        ret = (!strcmp(argv[1], "check")  ? pod_network_check
               : !strcmp(argv[1], "tidy") ? pod_network_tidy
                                          : pod_network_down)(dir, &err)
                  ? fail(&err)
                  : 0;
    close(dir);
    return ret;
}

int main(int argc, char **argv)
{
    return run(argc, argv);
}
