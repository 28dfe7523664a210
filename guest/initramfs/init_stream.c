// SPDX-License-Identifier: Apache-2.0
/* Streams of the test pattern over connected sockets of any family. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "init.h"
#include "sha256.h"

#define CHUNK_BYTES (64u * 1024)

static int send_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int stream_send(const char *name, int fd, uint64_t seed, uint64_t bytes)
{
    static uint8_t buf[CHUNK_BYTES];
    struct sha256 sha;
    char hex[65];

    sha256_begin(&sha);
    for (uint64_t done = 0; done < bytes;) {
        size_t part = bytes - done < sizeof(buf) ? (size_t)(bytes - done) : sizeof(buf);

        pattern_fill(buf, part, seed, done);
        if (send_all(fd, buf, part))
            return report_failure(name, errno, "sending");
        sha256_add(&sha, buf, part);
        done += part;
    }
    shutdown(fd, SHUT_WR);
    /* The other side closes when it has everything. */
    while (recv(fd, buf, sizeof(buf), 0) > 0)
        ;
    close(fd);
    sha256_end(&sha, hex);
    report(name, "%llu %s", (unsigned long long)bytes, hex);
    return 0;
}

int stream_receive(const char *name, int fd)
{
    static uint8_t buf[CHUNK_BYTES];
    struct sha256 sha;
    uint64_t total;
    char hex[65];
    ssize_t n;

    sha256_begin(&sha);
    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        sha256_add(&sha, buf, (size_t)n);
    close(fd);
    if (n < 0)
        return report_failure(name, errno, "receiving");
    total = sha.length_bytes;
    sha256_end(&sha, hex);
    report(name, "%llu %s", (unsigned long long)total, hex);
    return 0;
}
