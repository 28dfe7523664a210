// SPDX-License-Identifier: Apache-2.0
/* /etc/hosts, /etc/hostname and /etc/resolv.conf of a container. No state. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/spec/part.h"
#include "pod/spec/volumes.h"

#define NAMESERVERS_MAX 3 /* what C libraries read */

static const char loopback[] = "127.0.0.1\tlocalhost\n"
                               "::1\tlocalhost ip6-localhost ip6-loopback\n"
                               "fe00::0\tip6-localnet\n"
                               "ff00::0\tip6-mcastprefix\n"
                               "ff02::1\tip6-allnodes\n"
                               "ff02::2\tip6-allrouters\n";

/* Addresses go into files line by line: nothing but their characters may be in them. */
static int check_address(const char *text, struct husk_error *err)
{
    size_t len = strlen(text);

    if (!len || len > 64 || strspn(text, "0123456789abcdefABCDEF.:%eth") != len)
        return spec_refuse(err, EINVAL, "--network", text, "is not an address");
    return 0;
}

/* resolv.conf(5). */
static int name_servers(const struct spec_options *options, char **out, struct husk_error *err)
{
    char text[512] = "";
    size_t len = 0;
    int ret = 0;

    for (unsigned i = 0; i < options->nameservers.count && i < NAMESERVERS_MAX && !ret; i++) {
        ret = check_address(options->nameservers.words[i], err);
        if (!ret)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "nameserver %s\n",
                                    options->nameservers.words[i]);
    }
    if (ret)
        return ret;
    *out = strdup(text);
    return *out ? 0 : spec_no_memory(err);
}

static int hosts(const struct spec_options *options, const char *hostname, char **out,
                 struct husk_error *err)
{
    int ret = options->address ? check_address(options->address, err) : 0;

    if (ret)
        return ret;
    if (options->address)
        ret = asprintf(out, "%s%s\t%s\n", loopback, options->address, hostname);
    else
        ret = asprintf(out, "%s", loopback);
    if (ret >= 0)
        return 0;
    *out = NULL;
    return spec_no_memory(err);
}

int spec_files(const struct spec_options *options, const char *hostname, struct spec *out,
               struct husk_error *err)
{
    static const char *const names[SPEC_FILES] = {"hosts", "hostname", "resolv.conf"};
    int ret = hosts(options, hostname, &out->files[0].text, err);

    if (!ret && asprintf(&out->files[1].text, "%s\n", hostname) < 0) {
        out->files[1].text = NULL;
        ret = spec_no_memory(err);
    }
    if (!ret)
        ret = name_servers(options, &out->files[2].text, err);
    for (unsigned i = 0; i < SPEC_FILES && !ret; i++) {
        char destination[32];

        snprintf(out->files[i].name, sizeof(out->files[i].name), "%s", names[i]);
        snprintf(destination, sizeof(destination), "/etc/%s", names[i]);
        if (volumes_find(out, destination)) {
            free(out->files[i].text);
            out->files[i].text = NULL;
        }
    }
    return ret;
}
