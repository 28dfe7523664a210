// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/fake_block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "devices/backend/block_engine.h"

struct fake_block {
    struct block_backend backend;
    bool hold;
    int fail_with;
    unsigned held_count;
    struct block_task **held;
    struct block_task_list finished;
};

static void fail_test(const char *what)
{
    perror(what);
    abort();
}

static void finish(struct fake_block *fake, struct block_task *task)
{
    task->result =
        fake->fail_with ? fake->fail_with : block_task_execute(fake->backend.fd, false, task);
    block_task_list_append(&fake->finished, task);
    eventfd_signal(fake->backend.event_fd);
}

static void fake_start(struct block_backend *backend)
{
    struct fake_block *fake = (struct fake_block *)backend;
    struct block_task *task;

    while ((task = block_task_list_take(&backend->queued))) {
        if (fake->hold)
            fake->held[fake->held_count++] = task;
        else
            finish(fake, task);
    }
}

static void fake_reap(struct block_backend *backend)
{
    struct fake_block *fake = (struct fake_block *)backend;
    struct block_task *task;

    while ((task = block_task_list_take(&fake->finished)))
        block_backend_finish(backend, task, task->result);
}

static void fake_wait(struct block_backend *backend)
{
    while (fake_block_held(backend))
        fake_block_finish(backend, 0);
}

static void fake_destroy(struct block_backend *backend)
{
    struct fake_block *fake = (struct fake_block *)backend;

    free(fake->held);
    block_backend_release(backend);
    free(fake);
}

static const struct block_engine_ops fake_ops = {
    .name = "fake",
    .start = fake_start,
    .reap = fake_reap,
    .wait = fake_wait,
    .destroy = fake_destroy,
};

struct block_backend *fake_block_create(uint64_t size_bytes, unsigned depth)
{
    struct fake_block *fake = calloc(1, sizeof(*fake));
    int fd = memfd_create("disk", MFD_CLOEXEC);

    if (!fake || fd < 0 || ftruncate(fd, (off_t)size_bytes))
        fail_test("fake disk");
    fake->held = calloc(depth, sizeof(struct block_task *));
    if (!fake->held || block_backend_init(&fake->backend, &fake_ops, fd, depth))
        fail_test("fake backend");
    return &fake->backend;
}

int fake_block_fd(struct block_backend *backend)
{
    return backend->fd;
}

void fake_block_hold(struct block_backend *backend, bool hold)
{
    ((struct fake_block *)backend)->hold = hold;
}

unsigned fake_block_held(struct block_backend *backend)
{
    return ((struct fake_block *)backend)->held_count;
}

const struct block_request *fake_block_request(struct block_backend *backend, unsigned index)
{
    struct fake_block *fake = (struct fake_block *)backend;

    if (index >= fake->held_count)
        abort();
    return fake->held[index]->request;
}

void fake_block_finish(struct block_backend *backend, unsigned index)
{
    struct fake_block *fake = (struct fake_block *)backend;
    struct block_task *task;

    if (index >= fake->held_count)
        abort();
    task = fake->held[index];
    fake->held_count--;
    memmove(&fake->held[index], &fake->held[index + 1],
            (fake->held_count - index) * sizeof(struct block_task *));
    finish(fake, task);
}

void fake_block_fail(struct block_backend *backend, int result)
{
    ((struct fake_block *)backend)->fail_with = result;
}
