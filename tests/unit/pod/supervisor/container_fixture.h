// SPDX-License-Identifier: Apache-2.0
/* A containers' directory of the test's own, and records to put into it. */
#ifndef HUSK_TESTS_UNIT_POD_SUPERVISOR_CONTAINER_FIXTURE_H
#define HUSK_TESTS_UNIT_POD_SUPERVISOR_CONTAINER_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/store/files.h"
#include "pod/supervisor/containers.h"

struct container_fixture {
    char directory[64], path[80];
    struct entry_store *store;
};

static inline int container_fixture_set_up(void **state)
{
    struct container_fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    strcpy(f->directory, "/tmp/husk-containers-XXXXXX");
    if (!mkdtemp(f->directory)) {
        free(f);
        return -1;
    }
    snprintf(f->path, sizeof(f->path), "%s/s", f->directory);
    *state = f;
    return container_store_open(f->path, true, &f->store, NULL);
}

static inline int container_fixture_tear_down(void **state)
{
    struct container_fixture *f = *state;
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = files_remove_tree(tmp, f->directory + strlen("/tmp/"));

    close(tmp);
    entry_store_close(f->store);
    free(f);
    return ret;
}

/* A good record of that name, to be cleared by container_spec_clear(). */
static inline struct container_spec container_fixture_spec(const char *name)
{
    struct container_spec spec = CONTAINER_SPEC_INIT;

    (void)container_id_new(spec.id);
    snprintf(spec.name, sizeof(spec.name), "%s", name);
    spec.created_ns = 1795900521000000007u;
    spec.image = json_pack("{s:s}", "name", "docker.io/library/box:1");
    spec.spec = json_object();
    spec.machine = json_object();
    spec.labels = json_object();
    return spec;
}

#endif
