// SPDX-License-Identifier: Apache-2.0
#include "cli/host_pods.h"

#include <dirent.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/io.h"
#include "pod/network/cni_conf.h"

/* Asks for the number of the rule set's generation, which every kernel with nf_tables has. */
static int look_at_nftables(void)
{
    struct {
        struct nlmsghdr header;
        struct nfgenmsg message;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
                   .nlmsg_flags = NLM_F_REQUEST},
        .message = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
    };
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } answer;
    const struct timeval patience = {.tv_sec = 2};
    const struct nlmsgerr *error = NLMSG_DATA(&answer.header);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    ssize_t n;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    n = send(fd, &request, sizeof(request), 0);
    if (n >= 0)
        n = recv(fd, &answer, sizeof(answer), 0);
    if (n < 0)
        n = -errno;
    else if (n < (ssize_t)sizeof(answer.header))
        n = -EPROTO;
    else if (answer.header.nlmsg_type == NLMSG_ERROR)
        n = n < (ssize_t)NLMSG_LENGTH(sizeof(*error)) || !error->error ? -EPROTO : error->error;
    close_fd(&fd);
    return n < 0 ? (int)n : 0;
}

static int is_configuration(const struct dirent *entry)
{
    return cni_conf_is_file(entry->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void look_at_configurations(const char *directory, struct host_pods *out)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, is_configuration, by_name);

    for (int i = 0; i < count; i++) {
        if (i == 0)
            snprintf(out->first, sizeof(out->first), "%.60s", entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0) {
        out->networks = (unsigned)count;
        free(entries);
    }
}

static bool has_program(const char *path, const char *name)
{
    char file[4096];

    for (const char *at = path; *at;) {
        size_t len = strcspn(at, ":");

        snprintf(file, sizeof(file), "%.*s/%s", (int)len, at, name);
        if (access(file, X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

void host_look_at_pods(const char *configurations, const char *plugins, struct host_pods *out)
{
    *out = (struct host_pods){.nftables = look_at_nftables()};
    look_at_configurations(configurations, out);
    out->has_plugins = has_program(plugins, "loopback");
}
