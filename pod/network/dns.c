// SPDX-License-Identifier: Apache-2.0
/* What the host's resolver is told: see dns.h. No state. */
#include "pod/network/dns.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "pod/network/address.h"

#define FILE_BYTES_MAX 65536u
#define LINE_BYTES     1024u

static void take_server(const char *word, struct pod_network_dns *out)
{
    struct address address;

    if (out->server_count == POD_NETWORK_DNS_SERVERS || address_parse(word, &address) ||
        !address_is_unicast(&address))
        return;
    if (address.family == AF_INET6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80)
        return; /* of a link that the pod is not on */
    address_text(&address, out->servers[out->server_count++]);
}

static void take_word(const char *keyword, const char *word, struct pod_network_dns *out)
{
    size_t len = strlen(word);

    if (!strcmp(keyword, "nameserver")) {
        take_server(word, out);
    } else if (!strcmp(keyword, "search") || !strcmp(keyword, "domain")) {
        if (out->search_count < POD_NETWORK_DNS_DOMAINS && len < POD_NETWORK_DOMAIN_MAX)
            memcpy(out->searches[out->search_count++], word, len + 1);
    } else if (!strcmp(keyword, "options")) {
        if (out->option_count < POD_NETWORK_DNS_OPTIONS && len < sizeof(out->options[0]))
            memcpy(out->options[out->option_count++], word, len + 1);
    }
}

static bool is_printable(const char *line)
{
    for (; *line; line++) {
        if ((*line < 0x20 && *line != '\t') || *line > 0x7e)
            return false;
    }
    return true;
}

static void take_line(char *line, struct pod_network_dns *out)
{
    char *rest, *keyword, *word;

    line[strcspn(line, "#;")] = '\0';
    keyword = is_printable(line) ? strtok_r(line, " \t\r", &rest) : NULL;
    if (!keyword)
        return;
    if (!strcmp(keyword, "search") || !strcmp(keyword, "domain"))
        out->search_count = 0; /* the last one counts */
    while ((word = strtok_r(NULL, " \t\r", &rest)))
        take_word(keyword, word, out);
}

void dns_parse(const char *text, size_t len, struct pod_network_dns *out)
{
    char line[LINE_BYTES];

    memset(out, 0, sizeof(*out));
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t size = end ? (size_t)(end - text) : len;

        if (size < sizeof(line)) {
            memcpy(line, text, size);
            line[size] = '\0';
            take_line(line, out);
        }
        size += end != NULL;
        text += size;
        len -= size;
    }
}

static void read_dns(const char *path, struct pod_network_dns *out)
{
    char *real = realpath(path, NULL), *bytes;
    size_t len;

    memset(out, 0, sizeof(*out));
    if (real && !read_file_at(AT_FDCWD, real, FILE_BYTES_MAX, &bytes, &len)) {
        dns_parse(bytes, len, out);
        free(bytes);
    }
    free(real);
}

void dns_of_host(struct pod_network_dns *out)
{
    read_dns("/etc/resolv.conf", out);
    if (!out->server_count)
        read_dns("/run/systemd/resolve/resolv.conf", out);
}
