// SPDX-License-Identifier: Apache-2.0
/*
 * Layers: any bytes as a tar archive; the first byte chooses the compression. What is accepted must
 * have become a file system in which everything is as it must be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pod/image/layer.h"
#include "tests/harness/erofs_view.h"

#define STREAM_BYTES_MAX (4u << 20)
#define IMAGE_BYTES_MAX  (64u << 20) /* what is looked at: a sparse file can be longer */

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check(int fd, uint64_t size)
{
    struct erofs_view view;
    struct stat st;
    void *bytes;

    demand(fstat(fd, &st) == 0 && (uint64_t)st.st_size == size);
    if (size > IMAGE_BYTES_MAX)
        return;
    bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    demand(bytes != MAP_FAILED);
    demand(erofs_view_open(&view, bytes, size) == NULL);
    demand(erofs_view_check(&view) == NULL);
    munmap(bytes, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum image_media media[] = {MEDIA_LAYER_TAR, MEDIA_LAYER_GZIP, MEDIA_LAYER_ZSTD};
    struct layer_job job = {.where = "fuzz", .max_bytes = STREAM_BYTES_MAX};
    uint64_t image_bytes;
    int out;

    if (size < 1)
        return -1;
    job.media = media[data[0] % 3];
    job.blob_bytes = size - 1;
    job.blob_fd = memfd_create("blob", MFD_CLOEXEC);
    out = memfd_create("image", MFD_CLOEXEC);
    demand(job.blob_fd >= 0 && out >= 0);
    demand(write(job.blob_fd, data + 1, size - 1) == (ssize_t)(size - 1));
    /* A compressed stream's digest is not that of the bytes here: then all but the last step runs.
     */
    demand(digest_of(data + 1, size - 1, &job.diff_id) == 0);
    if (layer_convert(&job, out, &image_bytes, NULL) == 0)
        check(out, image_bytes);
    close(job.blob_fd);
    close(out);
    return 0;
}
