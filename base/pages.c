// SPDX-License-Identifier: Apache-2.0
/* Memory in whole pages: see pages.h. */
#include "base/pages.h"

#include <errno.h>
#include <sys/mman.h>

void *pages_alloc(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pages == MAP_FAILED)
        return NULL;
    /* Neighbours may become one mapping, large enough for a huge page. A wish. */
    madvise(pages, bytes, MADV_NOHUGEPAGE);
    return pages;
}

void pages_free(void *pages, size_t bytes)
{
    int saved = errno;

    if (pages)
        munmap(pages, bytes);
    errno = saved;
}
