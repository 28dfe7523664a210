// SPDX-License-Identifier: Apache-2.0
/* 2 MiB pages for a test: see huge_pages.h. */
#include "tests/harness/huge_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"

#define COUNTER "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

static bool read_counter(int fd, uint64_t *out)
{
    char text[24] = "";

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

static bool write_counter(int fd, uint64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)value);

    return pwrite(fd, text, (size_t)len, 0) == len;
}

static bool refuse(struct huge_pages *pages, const char *why)
{
    fprintf(stderr, "skipped: cannot reserve huge pages: %s: %s\n", COUNTER, why);
    close_fd(&pages->fd);
    return false;
}

bool huge_pages_reserve(struct huge_pages *pages, unsigned count)
{
    uint64_t now;

    pages->fd = open(COUNTER, O_RDWR | O_CLOEXEC);
    if (pages->fd < 0 || flock(pages->fd, LOCK_EX) < 0 || !read_counter(pages->fd, &pages->former))
        return refuse(pages, strerror(errno));
    if (!write_counter(pages->fd, pages->former + count))
        return refuse(pages, strerror(errno));
    if (!read_counter(pages->fd, &now) || now < pages->former + count) {
        write_counter(pages->fd, pages->former);
        return refuse(pages, "the host's memory has no room for them");
    }
    return true;
}

void huge_pages_give_back(struct huge_pages *pages)
{
    if (pages->fd >= 0 && !write_counter(pages->fd, pages->former))
        fprintf(stderr, "cannot give back huge pages: %s: write %llu to it\n", COUNTER,
                (unsigned long long)pages->former);
    close_fd(&pages->fd);
}
