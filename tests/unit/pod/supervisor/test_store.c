// SPDX-License-Identifier: Apache-2.0
/* Containers' directories: made, found, alive, dead, removed, tidied up. Covers store.c,
 * store_create.c, store_container.c, store_state.c, store_remove.c, files.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/pod/supervisor/container_fixture.h"

static struct entry *make(struct container_fixture *f, const char *name, bool remove)
{
    struct container_spec spec = container_fixture_spec(name);
    struct entry *container = NULL;

    spec.remove = remove;
    assert_int_equal(container_create(f->store, &spec, true, &container, NULL), 0);
    container_spec_clear(&spec);
    return container;
}

/* How a process that holds the lock would see it. */
static bool alive(struct container_fixture *f, const char *name)
{
    struct entry *seen = NULL;
    bool is;

    assert_int_equal(entry_find(f->store, name, &seen, NULL), 0);
    is = entry_alive(seen);
    entry_close(seen);
    return is;
}

static void made_alive_and_found(void **state)
{
    struct container_fixture *f = *state;
    struct entry *made = make(f, "web", false), *seen = NULL;
    struct container_state record;
    struct container_spec spec;
    struct husk_error err;
    char digits[13];
    int fd;

    assert_int_equal(entry_find(f->store, "web", &seen, NULL), 0);
    assert_true(entry_alive(seen));
    assert_int_equal(container_load_state(seen, &record, NULL), 0);
    assert_int_equal(record.status, CONTAINER_CREATED);
    assert_int_equal(container_load_spec(seen, &spec, NULL), 0);
    snprintf(digits, sizeof(digits), "%.12s", spec.id);
    container_spec_clear(&spec);
    fd = entry_connect(seen, NULL); /* before anybody has started to answer */
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(entry_remove(f->store, seen, &err), -EBUSY);
    entry_close(seen);
    assert_int_equal(entry_find(f->store, digits, &seen, NULL), 0);
    assert_string_equal(seen->name, "web");
    entry_close(seen);
    assert_int_equal(entry_find(f->store, "no", &seen, &err), -ENOENT);
    assert_int_equal(entry_find(f->store, "abc", &seen, &err), -ENOENT);
    assert_int_equal(entry_find(f->store, "../s/web", &seen, &err), -ENOENT);
    entry_close(made);
}

static void names_are_unique(void **state)
{
    struct container_fixture *f = *state;
    struct entry *made = make(f, "web", false), *other = NULL;
    struct container_spec spec = container_fixture_spec("web");
    struct husk_error err;

    assert_int_equal(container_create(f->store, &spec, true, &other, &err), -EEXIST);
    assert_string_equal(err.where, "web");
    assert_true(alive(f, "web"));
    strcpy(spec.name, ".x");
    assert_int_equal(container_create(f->store, &spec, true, &other, &err), -EINVAL);
    container_spec_clear(&spec);
    entry_close(made);
}

static void lock_outlives_its_maker(void **state)
{
    struct container_fixture *f = *state;
    struct entry *made = make(f, "web", false);
    int pipe_fds[2];
    pid_t pid;

    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    if (pid == 0) { /* the supervisor, which lives until it is killed */
        close(pipe_fds[1]);
        for (char c; read(pipe_fds[0], &c, 1) > 0;)
            ;
        _exit(0);
    }
    entry_close(made);
    assert_true(alive(f, "web"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_false(alive(f, "web"));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void the_dead_are_marked(void **state)
{
    struct container_fixture *f = *state;
    struct entry *seen = NULL;
    struct container_state record;
    struct husk_error err;

    entry_close(make(f, "web", false));
    assert_int_equal(entry_find(f->store, "web", &seen, NULL), 0);
    assert_int_equal(entry_connect(seen, &err), -ECONNREFUSED);
    assert_int_equal(container_load_state(seen, &record, NULL), 0);
    assert_int_equal(record.status, CONTAINER_EXITED);
    assert_int_equal(record.exit.status, 255);
    assert_non_null(strstr(record.error, "supervisor"));
    assert_true(record.finished_ns > 0);
    entry_close(seen);
    /* It is the record that says so, not the moment. */
    record.finished_ns = 0;
    assert_int_equal(entry_find(f->store, "web", &seen, NULL), 0);
    assert_int_equal(container_load_state(seen, &record, NULL), 0);
    assert_true(record.finished_ns > 0);
    assert_int_equal(entry_remove(f->store, seen, NULL), 0);
    assert_int_equal(entry_remove(f->store, seen, NULL), 0);
    assert_int_equal(container_load_state(seen, &record, &err), -ENOENT);
    entry_close(seen);
    assert_int_equal(entry_find(f->store, "web", &seen, &err), -ENOENT);
}

/* Closes fd, the supervisor's; its lock goes a moment after it. */
static void await_end(struct container_fixture *f, const char *name, int fd)
{
    char byte;

    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
    for (unsigned i = 0; alive(f, name); i++) {
        assert_true(i < 20000);
        usleep(1000);
    }
}

/* One that is created only is at rest, and one that was started once is not, whatever its record
 * says. What is not the disk of a machine that was shut down is never used again. */
static void created_started_and_started_again(void **state)
{
    struct container_fixture *f = *state;
    struct container_spec spec = container_fixture_spec("web");
    struct entry *container = NULL, *seen = NULL;
    struct container_state record;
    struct husk_error err;
    bool fresh = false;
    int fd, disk;

    assert_int_equal(container_create(f->store, &spec, false, &container, NULL), 0);
    assert_false(alive(f, "web"));
    assert_int_equal(container_load_state(container, &record, NULL), 0);
    assert_int_equal(record.status, CONTAINER_CREATED);
    assert_int_equal(container_store_tidy(f->store, NULL), 0);
    assert_int_equal(container_load_state(container, &record, NULL), 0);
    assert_int_equal(record.status, CONTAINER_CREATED);

    fd = container_start(f->store, container, "/bin/true", &fresh, NULL);
    assert_true(fd >= 0);
    assert_true(fresh);
    await_end(f, "web", fd);
    assert_int_equal(entry_find(f->store, "web", &seen, NULL), 0);
    assert_int_equal(container_load_state(seen, &record, NULL), 0);
    assert_int_equal(record.status, CONTAINER_EXITED);
    assert_int_equal(record.exit.status, 255);

    disk = openat(seen->dir, "scratch.img", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(disk);
    fd = container_start(f->store, seen, "/bin/true", &fresh, NULL);
    assert_true(fd >= 0);
    assert_false(fresh); /* the record says that it has ended, and so the disk is whole */
    await_end(f, "web", fd);
    entry_close(seen);

    assert_int_equal(entry_find(f->store, "web", &seen, NULL), 0);
    record = (struct container_state){.status = CONTAINER_RUNNING};
    assert_int_equal(container_save_state(seen, &record, spec.created_ns, NULL), 0);
    fd = container_start(f->store, seen, "/bin/true", &fresh, NULL);
    assert_true(fd >= 0);
    assert_true(fresh);
    close(fd);
    entry_close(seen);
    entry_close(container);

    container = make(f, "other", false);
    assert_int_equal(entry_find(f->store, "other", &seen, NULL), 0);
    assert_int_equal(container_start(f->store, seen, "/bin/true", &fresh, &err), -EALREADY);
    entry_close(seen);
    entry_close(container);
    container_spec_clear(&spec);
}

static void a_late_remover_takes_nobody_elses(void **state)
{
    struct container_fixture *f = *state;
    struct entry *old = NULL, *again;

    entry_close(make(f, "web", false));
    assert_int_equal(entry_find(f->store, "web", &old, NULL), 0);
    assert_int_equal(entry_remove(f->store, old, NULL), 0);
    again = make(f, "web", false);
    entry_close(again);
    assert_int_equal(entry_remove(f->store, old, NULL), 0);
    entry_close(old);
    assert_false(alive(f, "web"));
}

static void its_own_remover(void **state)
{
    struct container_fixture *f = *state;
    struct entry *made = make(f, "web", true), *seen;

    assert_int_equal(entry_remove_own(made, NULL), 0);
    assert_int_equal(entry_find(f->store, "web", &seen, NULL), -ENOENT);
    assert_int_equal(entry_remove_own(made, NULL), 0);
    entry_close(made);
}

static int count(void *arg, struct entry *container)
{
    (void)container;
    ++*(unsigned *)arg;
    return 0;
}

static void tidied(void **state)
{
    struct container_fixture *f = *state;
    struct entry *running = make(f, "running", true);
    struct entry *seen = NULL;
    unsigned containers = 0;
    char path[160];
    struct stat st;

    entry_close(make(f, "kept", false));
    entry_close(make(f, "removed", true));
    snprintf(path, sizeof(path), "%s/.old-1", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/.old-1/below", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/.new-1", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/damaged", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(container_store_tidy(f->store, NULL), 0);
    snprintf(path, sizeof(path), "%s/.old-1", f->path);
    assert_int_equal(stat(path, &st), -1);
    snprintf(path, sizeof(path), "%s/.new-1", f->path);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(entry_each(f->store, count, &containers, NULL), 0);
    assert_int_equal(containers, 3);
    assert_true(alive(f, "running"));
    assert_int_equal(entry_find(f->store, "removed", &seen, NULL), -ENOENT);
    assert_int_equal(entry_find(f->store, "damaged", &seen, NULL), 0);
    assert_int_equal(entry_remove(f->store, seen, NULL), 0);
    entry_close(seen);
    entry_close(running);
}

/* The record of the end has its blocks already: the disk may be full. */
static void the_end_is_recorded_on_the_spare(void **state)
{
    struct container_fixture *f = *state;
    struct entry *made = make(f, "web", false);
    struct container_state record = {.status = CONTAINER_RUNNING}, seen;
    char path[160];

    /* Nothing can be made where a directory with something in it is in the way. */
    snprintf(path, sizeof(path), "%s/web/state.new", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(container_save_state(made, &record, 1, NULL) < 0);
    assert_int_equal(container_load_state(made, &seen, NULL), 0);
    record.status = CONTAINER_EXITED;
    record.ended = true;
    record.exit.status = 3;
    assert_int_equal(container_save_state(made, &record, 1, NULL), 0);
    assert_int_equal(container_load_state(made, &seen, NULL), 0);
    assert_int_equal(seen.status, CONTAINER_EXITED);
    assert_int_equal(seen.exit.status, 3);
    entry_close(made);
}

static void what_is_no_store(void **state)
{
    struct container_fixture *f = *state;
    struct entry_store *store = NULL;
    struct husk_error err;
    char path[160];
    FILE *file;

    snprintf(path, sizeof(path), "%s/none", f->directory);
    assert_int_equal(container_store_open(path, false, &store, &err), -ENOENT);
    assert_int_equal(container_store_open(f->directory, true, &store, &err), -ENOTEMPTY);
    assert_int_equal(chmod(f->path, 0777), 0);
    assert_int_equal(container_store_open(f->path, true, &store, &err), -EPERM);
    assert_int_equal(chmod(f->path, 0700), 0);
    snprintf(path, sizeof(path), "%s/version", f->path);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("husk-containers 2\n", file);
    fclose(file);
    assert_int_equal(container_store_open(f->path, true, &store, &err), -ENOTSUP);
    assert_string_equal(err.where, f->path);
}

static void damaged_records(void **state)
{
    struct container_fixture *f = *state;
    struct entry *seen = NULL;
    struct container_state record;
    struct husk_error err;
    char path[160];

    entry_close(make(f, "web", false));
    snprintf(path, sizeof(path), "%s/web/state.json", f->path);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(entry_find(f->store, "web", &seen, NULL), 0);
    assert_true(container_load_state(seen, &record, &err) < 0);
    assert_non_null(strstr(err.where, "web/state.json"));
    assert_int_equal(truncate(path, 100000), 0);
    assert_int_equal(container_load_state(seen, &record, &err), -EFBIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(container_load_state(seen, &record, &err), -ELOOP);
    assert_int_equal(entry_remove(f->store, seen, NULL), 0);
    entry_close(seen);
}

#define WITH_STORE(test) \
    cmocka_unit_test_setup_teardown(test, container_fixture_set_up, container_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(made_alive_and_found),
        WITH_STORE(names_are_unique),
        WITH_STORE(lock_outlives_its_maker),
        WITH_STORE(the_dead_are_marked),
        WITH_STORE(created_started_and_started_again),
        WITH_STORE(a_late_remover_takes_nobody_elses),
        WITH_STORE(its_own_remover),
        WITH_STORE(tidied),
        WITH_STORE(the_end_is_recorded_on_the_spare),
        WITH_STORE(what_is_no_store),
        WITH_STORE(damaged_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
