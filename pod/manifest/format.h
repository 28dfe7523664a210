// SPDX-License-Identifier: Apache-2.0
/* What a text may look like: names, keys, paths, addresses. Pure functions. */
#ifndef HUSK_POD_MANIFEST_FORMAT_H
#define HUSK_POD_MANIFEST_FORMAT_H

enum format {
    FORMAT_ANY,
    FORMAT_NAME,          /* a DNS subdomain (RFC 1123): config maps, secrets */
    FORMAT_POD_NAME,      /* the same, of at most 63 characters */
    FORMAT_LABEL,         /* a DNS label (RFC 1123): containers, volumes, namespaces, host names */
    FORMAT_SERVICE_LABEL, /* a DNS label that begins with a letter (RFC 1035) */
    FORMAT_LABEL_KEY,     /* [PREFIX/]NAME: labels and annotations */
    FORMAT_LABEL_VALUE,
    FORMAT_ENV_NAME,   /* printable ASCII without '=' */
    FORMAT_ENV_PREFIX, /* the same, for what goes before one */
    FORMAT_DATA_KEY,   /* of config maps and secrets, a file's name */
    FORMAT_IMAGE,
    FORMAT_PATH,       /* absolute, without ".." and control characters */
    FORMAT_SUBPATH,    /* relative, likewise */
    FORMAT_LINE,       /* without control characters */
    FORMAT_ADDRESS,    /* IPv4 or IPv6 */
    FORMAT_PROBE_HOST, /* the same, or "localhost" */
    FORMAT_HOSTNAME,   /* of /etc/hosts: a DNS subdomain */
    FORMAT_SEARCH,     /* of resolv.conf: a DNS name that may have '_' and a last dot; "." */
    FORMAT_PORT_NAME,
    FORMAT_HEADER_NAME, /* RFC 9110, 5.1 */
    FORMAT_HEADER_VALUE,
    FORMAT_URL_PATH,     /* what stands in a request's first line */
    FORMAT_GRPC_SERVICE, /* without control characters, of at most 1000 bytes */
    FORMAT_CAPABILITY,
    FORMAT_SIGNAL,
    FORMAT_SYSCTL,
    FORMAT_BASE64,
};

/* NULL when `text` is such a one; else what is wrong with it, a constant text. */
const char *format_problem(enum format format, const char *text);

/* What the documentation calls it; "" for FORMAT_ANY. */
const char *format_name(enum format format);

#endif
