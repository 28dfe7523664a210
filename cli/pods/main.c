// SPDX-License-Identifier: Apache-2.0
/* The verbs of `husk pod`. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/similar.h"
#include "cli/pods/pods.h"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"run", "create the pods of manifests, and start them", verb_run},
    {"create", "record the pods of manifests; nothing runs yet", verb_create},
    {"apply", "create, change or replace pods until they are as their manifests say", verb_apply},
    {"start", "start pods that were created, or have ended", verb_start},
    {"stop", "end pods, gently first", verb_stop},
    {"rm", "remove pods that have ended", verb_rm},
    {"wait", "wait until pods are ready, or have ended", verb_wait},
    {"ps", "list pods", verb_ps},
    {"inspect", "a pod with its status, as JSON or YAML", verb_inspect},
    {"logs", "what containers have written", verb_logs},
    {"exec", "run a command in a container", verb_exec},
    {"attach", "take part in a container's input and output", verb_attach},
    {"cp", "copy files into and out of a container", verb_cp},
    {"stats", "what pods and their containers use", verb_stats},
    {"top", "the processes of a container", verb_top},
    {"port-forward", "ports of this host's loopback that lead into a pod", verb_port_forward},
};

static void print_help(FILE *out)
{
    fputs(
        "husk pod VERB [ARGUMENT...]\n\n"
        "Pods from Kubernetes manifests: each is one microVM with several containers, one address\n"
        "and shared volumes.\n\n",
        out);
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
        fprintf(out, "  %-13s %s\n", verbs[i].name, verbs[i].summary);
    fputs("\n`husk pod VERB --help` explains one; the manual is husk-pod(1).\n", out);
}

/* What users of kubectl and docker call them. */
static const struct {
    const char *name, *verb;
} others[] = {{"get", "ps` or `husk pod inspect"},
              {"list", "ps"},
              {"ls", "ps"},
              {"describe", "inspect"},
              {"delete", "rm"},
              {"log", "logs"},
              {"kill", "stop --grace-period 0"},
              {"up", "run"},
              {"down", "rm"}};

static int refuse(const char *name)
{
    struct similar similar;

    similar_begin(&similar, name);
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
        similar_offer(&similar, verbs[i].name);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        if (!strcmp(others[i].name, name))
            similar.best = others[i].verb;
    }
    if (similar.best)
        cli_message("pod: %s: no such verb; did you mean `husk pod %s`?", name, similar.best);
    else
        cli_message("pod: %s: no such verb (see: husk help pod)", name);
    return STATUS_USAGE;
}

int pods_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (!strcmp(verbs[i].name, name))
            return verbs[i].run(argc - 1, argv + 1);
    }
    if (!strcmp(name, "--help") || !strcmp(name, "help")) {
        print_help(stdout);
        return STATUS_OK;
    }
    if (name[0])
        return refuse(name);
    cli_message("pod: wants a verb (see: husk help pod)");
    return STATUS_USAGE;
}
