// SPDX-License-Identifier: Apache-2.0
/*
 * What a pod is called, and its /etc/hosts, /etc/hostname and /etc/resolv.conf, as the kubelet
 * writes them (Kubernetes documentation, "DNS for Services and Pods", "Adding entries to Pod
 * /etc/hosts with HostAliases"). No state.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/plan/part.h"

#define HOSTNAME_MAX 64u /* sethostname(2) */

/* resolv.conf(5), and what Kubernetes takes of it. */
#define SERVERS_MAX  3u
#define SEARCHES_MAX 32u
#define OPTIONS_MAX  64u

int plan_names(struct plan *plan, struct husk_error *err)
{
    const char *own = plan_text(plan->spec, "hostname");
    const char *subdomain = plan_text(plan->spec, "subdomain");
    const char *domain = plan->in->cluster_domain;

    /* Neither has more than 63 characters. */
    snprintf(plan->hostname, sizeof(plan->hostname), "%s", own ? own : plan->name);
    snprintf(plan->out->hostname, sizeof(plan->out->hostname), "%s", plan->hostname);
    if (subdomain &&
        snprintf(plan->fqdn, sizeof(plan->fqdn), "%s.%s.%s.svc.%s", plan->hostname, subdomain,
                 plan->space, domain ? domain : PLAN_CLUSTER_DOMAIN) >= (int)sizeof(plan->fqdn))
        return plan_refuse(err, ENAMETOOLONG, "spec.subdomain", "the host's name becomes too long");
    if (!json_is_true(json_object_get(plan->spec, "setHostnameAsFQDN")) || !subdomain)
        return 0;
    if (strlen(plan->fqdn) > HOSTNAME_MAX)
        return plan_refuse(err, ENAMETOOLONG, "spec.setHostnameAsFQDN",
                           "\"%.150s\" is longer than a host's name may be, %u characters",
                           plan->fqdn, HOSTNAME_MAX);
    snprintf(plan->hostname, sizeof(plan->hostname), "%.64s", plan->fqdn);
    return 0;
}

static void write_aliases(const struct plan *plan, FILE *file)
{
    const json_t *aliases = json_object_get(plan->spec, "hostAliases"), *alias, *name;
    size_t i, j;

    if (json_array_size(aliases))
        fputs("\n# Entries added by HostAliases.\n", file);
    json_array_foreach(aliases, i, alias)
    {
        fputs(plan_text(alias, "ip"), file);
        json_array_foreach(json_object_get(alias, "hostnames"), j, name)
        {
            fprintf(file, "\t%s", json_string_value(name));
        }
        fputc('\n', file);
    }
}

static void write_hosts(const struct plan *plan, FILE *file)
{
    fputs("# Kubernetes-managed hosts file.\n"
          "127.0.0.1\tlocalhost\n"
          "::1\tlocalhost ip6-localhost ip6-loopback\n"
          "fe00::0\tip6-localnet\n"
          "fe00::0\tip6-mcastprefix\n"
          "fe00::1\tip6-allnodes\n"
          "fe00::2\tip6-allrouters\n",
          file);
    for (unsigned i = 0; i < plan->in->addresses.count; i++) {
        if (plan->fqdn[0])
            fprintf(file, "%s\t%s\t%s\n", plan->in->addresses.words[i], plan->fqdn,
                    plan->out->hostname);
        else
            fprintf(file, "%s\t%s\n", plan->in->addresses.words[i], plan->hostname);
    }
    write_aliases(plan, file);
}

static void write_hostname(const struct plan *plan, FILE *file)
{
    fprintf(file, "%s\n", plan->hostname);
}

/* ---- resolv.conf ---- */

struct list {
    const char *words[OPTIONS_MAX];
    unsigned count, max, lost;
};

static void list_add(struct list *list, const char *word)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (!strcmp(list->words[i], word))
            return;
    }
    if (list->count < list->max)
        list->words[list->count++] = word;
    else
        list->lost++;
}

static void list_add_all(struct list *list, const struct spec_words *words, const json_t *more)
{
    const json_t *word;
    size_t index;

    for (unsigned i = 0; words && i < words->count; i++)
        list_add(list, words->words[i]);
    json_array_foreach(more, index, word)
    {
        list_add(list, json_string_value(word));
    }
}

static bool names_option(const json_t *options, const char *word)
{
    size_t len = strcspn(word, ":"), index;
    const json_t *option;

    json_array_foreach(options, index, option)
    {
        const char *name = plan_text(option, "name");

        if (strlen(name) == len && !strncmp(name, word, len))
            return true;
    }
    return false;
}

/* dnsConfig's options over the others of the same name. */
static void write_options(const struct spec_words *given, const json_t *own, FILE *file)
{
    const char *before = "options";
    const json_t *option;
    size_t index;

    for (unsigned i = 0; given && i < given->count; i++) {
        if (names_option(own, given->words[i]))
            continue;
        fprintf(file, "%s %s", before, given->words[i]);
        before = "";
    }
    json_array_foreach(own, index, option)
    {
        const char *value = plan_text(option, "value");

        fprintf(file, "%s %s%s%s", before, plan_text(option, "name"), value ? ":" : "",
                value ? value : "");
        before = "";
    }
    if (!*before)
        fputc('\n', file);
}

/* No cluster is here: "ClusterFirst" is as "Default", which kubelets do when they know of no
 * cluster's DNS. */
static void write_resolver(const struct plan *plan, FILE *file)
{
    const char *policy = plan_text(plan->spec, "dnsPolicy");
    const json_t *config = json_object_get(plan->spec, "dnsConfig");
    bool none = policy && !strcmp(policy, "None");
    struct list servers = {.max = SERVERS_MAX}, searches = {.max = SEARCHES_MAX};

    list_add_all(&servers, none ? NULL : &plan->in->nameservers,
                 json_object_get(config, "nameservers"));
    list_add_all(&searches, none ? NULL : &plan->in->searches, json_object_get(config, "searches"));
    for (unsigned i = 0; i < searches.count; i++)
        fprintf(file, "%s %s%s", i ? "" : "search", searches.words[i],
                i + 1 < searches.count ? "" : "\n");
    for (unsigned i = 0; i < servers.count; i++)
        fprintf(file, "nameserver %s\n", servers.words[i]);
    write_options(none ? NULL : &plan->in->resolver_options, json_object_get(config, "options"),
                  file);
    if (servers.lost || searches.lost)
        (void)plan_warn((struct plan *)plan, "DNSConfigForming",
                        "%u name servers and %u search domains beyond the limits of %u and %u are "
                        "left out",
                        servers.lost, searches.lost, SERVERS_MAX, SEARCHES_MAX);
}

int plan_files(struct plan *plan, struct husk_error *err)
{
    static const struct {
        const char *name;
        void (*write)(const struct plan *plan, FILE *file);
    } files[] = {
        {"hosts", write_hosts}, {"hostname", write_hostname}, {"resolv.conf", write_resolver}};
    int ret = 0;

    for (size_t i = 0; i < ARRAY_SIZE(files) && !ret; i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *file = open_memstream(&text, &len);
        bool failed = !file;

        if (file) {
            files[i].write(plan, file);
            failed = ferror(file) != 0;
            failed |= fclose(file) != 0;
        }
        if (failed)
            ret = plan_no_memory(err);
        else if (len > HUSK_AGENT_FILE_MAX)
            ret = plan_refuse(err, E2BIG, "spec.hostAliases", "are longer than %u bytes in all",
                              HUSK_AGENT_FILE_MAX);
        else
            ret = plan_ask(plan->out->requests, "file.write",
                           json_pack("{s:s, s:s}", "file", files[i].name, "data", text), err);
        free(text);
    }
    return ret;
}
