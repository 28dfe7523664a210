// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/node/metrics.h"

#define NS_PER_S 1e9

static const double bounds_s[DURATION_BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                  0.1,   0.25,   1,     5,    15,    60};

static const char *const operations[OPERATIONS] = {"list",  "create", "start", "restart",
                                                   "apply", "stop",   "remove"};

const char *operation_name(enum operation operation)
{
    return operations[operation];
}

void metrics_count(struct metrics *metrics, enum operation operation, bool failed)
{
    metrics->done[operation]++;
    if (failed)
        metrics->failed[operation]++;
}

void metrics_round(struct metrics *metrics, uint64_t took_ns)
{
    unsigned i = 0;

    while (i < DURATION_BUCKETS && (double)took_ns > bounds_s[i] * NS_PER_S)
        i++;
    metrics->rounds[i]++;
    metrics->round_ns += took_ns;
}

void metrics_request(struct metrics *metrics, int status)
{
    if (status >= 100 && status < 600)
        metrics->requests[status / 100]++;
}

bool usage_parse(const char *stats, struct pod_usage *out)
{
    json_t *root = json_loads(stats, 0, NULL);
    const json_t *machine = json_object_get(root, "machine");
    const json_t *memory = json_object_get(machine, "memory_resident_bytes");
    const json_t *cpu = json_object_get(machine, "cpu_ns");
    bool is_usage = json_is_integer(memory) && json_is_integer(cpu) &&
                    json_integer_value(memory) >= 0 && json_integer_value(cpu) >= 0;

    if (is_usage) {
        out->memory_bytes = (uint64_t)json_integer_value(memory);
        out->cpu_ns = (uint64_t)json_integer_value(cpu);
    }
    json_decref(root);
    return is_usage;
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    fprintf(out, "%s %.17g\n", name, value);
}

/* {namespace="…",pod="…"}: both are DNS names, in which nothing needs an escape. */
static void put_pod(FILE *out, const char *metric, const char *name)
{
    const char *slash = strchr(name, '/');

    if (slash)
        fprintf(out, "%s{namespace=\"%.*s\",pod=\"%s\"}", metric, (int)(slash - name), name,
                slash + 1);
    else
        fprintf(out, "%s{namespace=\"default\",pod=\"%s\"}", metric, name);
}

static void put_phases(FILE *out, const struct observed *observed)
{
    unsigned counts[PHASES] = {0};

    for (size_t i = 0; i < observed->count; i++)
        counts[observed->pods[i].phase]++;
    head(out, "husk_node_pods", "gauge", "Pods on this host, by phase.");
    for (unsigned i = 0; i < PHASES; i++)
        fprintf(out, "husk_node_pods{phase=\"%s\"} %u\n", phase_name((enum pod_phase)i), counts[i]);
}

static void put_pods(FILE *out, const struct observed *observed)
{
    unsigned running = 0, kept = 0;

    for (size_t i = 0; i < observed->count; i++) {
        running += observed->pods[i].containers_running;
        kept += observed->pods[i].file ? 1 : 0;
    }
    one(out, "husk_node_pods_kept", "gauge", "Pods on this host that this agent keeps.", kept);
    one(out, "husk_node_containers_running", "gauge", "Containers that run.", running);
    head(out, "husk_pod_ready", "gauge", "Whether the pod is ready.");
    for (size_t i = 0; i < observed->count; i++) {
        put_pod(out, "husk_pod_ready", observed->pods[i].name);
        fprintf(out, " %d\n", observed->pods[i].ready);
    }
    head(out, "husk_pod_container_restarts_total", "counter", "Restarts of the pod's containers.");
    for (size_t i = 0; i < observed->count; i++) {
        put_pod(out, "husk_pod_container_restarts_total", observed->pods[i].name);
        fprintf(out, " %llu\n", observed->pods[i].restarts);
    }
}

static void put_usage(FILE *out, const struct pod_usage *usage, size_t count)
{
    head(out, "husk_pod_memory_resident_bytes", "gauge", "Host memory that the pod's machine has.");
    for (size_t i = 0; i < count; i++) {
        put_pod(out, "husk_pod_memory_resident_bytes", usage[i].name);
        fprintf(out, " %" PRIu64 "\n", usage[i].memory_bytes);
    }
    head(out, "husk_pod_cpu_seconds_total", "counter", "CPU time of the pod's machine.");
    for (size_t i = 0; i < count; i++) {
        put_pod(out, "husk_pod_cpu_seconds_total", usage[i].name);
        fprintf(out, " %.9f\n", (double)usage[i].cpu_ns / NS_PER_S);
    }
}

static void put_rounds(FILE *out, const struct metrics *metrics)
{
    static const char name[] = "husk_node_reconcile_duration_seconds";
    uint64_t sum = 0;

    head(out, name, "histogram", "How long a round of the reconcile loop took.");
    for (unsigned i = 0; i < DURATION_BUCKETS; i++) {
        sum += metrics->rounds[i];
        fprintf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds_s[i], sum);
    }
    sum += metrics->rounds[DURATION_BUCKETS];
    fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
    fprintf(out, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name, (double)metrics->round_ns / NS_PER_S,
            name, sum);
}

static void put_operations(FILE *out, const struct metrics *metrics)
{
    head(out, "husk_node_operations_total", "counter", "What was asked of the library of pods.");
    for (unsigned i = 0; i < OPERATIONS; i++)
        fprintf(out, "husk_node_operations_total{operation=\"%s\"} %" PRIu64 "\n", operations[i],
                (uint64_t)metrics->done[i]);
    head(out, "husk_node_operation_errors_total", "counter", "How often it failed.");
    for (unsigned i = 0; i < OPERATIONS; i++)
        fprintf(out, "husk_node_operation_errors_total{operation=\"%s\"} %" PRIu64 "\n",
                operations[i], (uint64_t)metrics->failed[i]);
    head(out, "husk_node_http_requests_total", "counter", "Answers over HTTP, by status.");
    for (unsigned i = 1; i < ARRAY_SIZE(metrics->requests); i++)
        fprintf(out, "husk_node_http_requests_total{code=\"%uxx\"} %" PRIu64 "\n", i,
                (uint64_t)metrics->requests[i]);
}

char *metrics_format(const struct metrics *metrics, const struct observed *observed,
                     const struct pod_usage *usage, size_t usage_count)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    head(out, "husk_node_build_info", "gauge", "The version of the agent.");
    fprintf(out, "husk_node_build_info{version=\"%s\"} 1\n", HUSK_VERSION);
    put_phases(out, observed);
    put_pods(out, observed);
    put_usage(out, usage, usage_count);
    one(out, "husk_node_manifests", "gauge", "Files in the directory of manifests.",
        metrics->files);
    one(out, "husk_node_manifests_broken", "gauge", "Files that cannot be read.",
        metrics->files_broken);
    put_rounds(out, metrics);
    one(out, "husk_node_last_reconcile_timestamp_seconds", "gauge",
        "When the last round ended, since 1970.", (double)metrics->finished_ns / NS_PER_S);
    put_operations(out, metrics);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
