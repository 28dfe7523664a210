// SPDX-License-Identifier: Apache-2.0
/* A pod between the record of its end and the end of its supervisor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/store/files.h"
#include "tests/unit/pod/pods/record_fixture.h"

static struct {
    char directory[32];
    struct entry_store *store;
    struct entry *pod;
    int lock; /* a supervisor's */
} fixture;

static int set_lock(short type)
{
    struct flock life = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};

    return fcntl(fixture.lock, F_OFD_SETLK, &life);
}

static int setup(void **state)
{
    struct pod_record record = fixture_record("web");
    char path[64];

    strcpy(fixture.directory, "/tmp/husk-pods-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    snprintf(path, sizeof(path), "%s/s", fixture.directory);
    assert_int_equal(pod_store_open(path, true, &fixture.store, NULL), 0);
    assert_int_equal(pod_create(fixture.store, &record, &fixture.pod, NULL), 0);
    pod_record_clear(&record);
    fixture.lock = openat(fixture.pod->dir, "lock", O_RDWR | O_CLOEXEC);
    assert_true(fixture.lock >= 0);
    return 0;
}

static int teardown(void **state)
{
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    close(fixture.lock);
    entry_close(fixture.pod);
    entry_store_close(fixture.store);
    assert_int_equal(files_remove_tree(tmp, fixture.directory + strlen("/tmp/")), 0);
    close(tmp);
    return 0;
}

static void record_phase(const char *phase)
{
    struct pod_state at = {.supervisor_pid = 1, .status = json_pack("{s:s}", "phase", phase)};

    assert_int_equal(pod_save_state(fixture.pod, &at, NULL), 0);
    pod_state_clear(&at);
}

/* It goes when somebody has waited a while. */
static void *leave(void *arg)
{
    usleep(100000);
    assert_int_equal(set_lock(F_UNLCK), 0);
    return NULL;
}

static void one_that_runs_is_not_waited_for(void **state)
{
    struct husk_error err;

    assert_true(pod_is_over(fixture.pod)); /* it was never started */
    assert_int_equal(set_lock(F_WRLCK), 0);
    record_phase("Running");
    assert_false(pod_is_over(fixture.pod));
    assert_int_equal(pod_start(fixture.store, fixture.pod, false, "/bin/false", &err), -EALREADY);
    assert_int_equal(pod_remove(fixture.store, fixture.pod, NULL, &err), -EBUSY);
}

static void one_that_leaves_is_waited_for(void **state)
{
    static const char *const phases[] = {"Succeeded", "Failed"};
    pthread_t supervisor;
    int fd;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(set_lock(F_WRLCK), 0);
        record_phase(phases[i]);
        assert_int_equal(pthread_create(&supervisor, NULL, leave, NULL), 0);
        assert_true(pod_is_over(fixture.pod));
        pthread_join(supervisor, NULL);
    }
    assert_int_equal(set_lock(F_WRLCK), 0);
    assert_int_equal(pthread_create(&supervisor, NULL, leave, NULL), 0);
    fd = pod_start(fixture.store, fixture.pod, false, "/bin/true", NULL);
    pthread_join(supervisor, NULL);
    assert_true(fd >= 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_runs_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_leaves_is_waited_for, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
