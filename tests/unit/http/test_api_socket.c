// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "http/api_socket.h"

struct place {
    char directory[32], path[48];
};

static int set_up(void **state)
{
    static struct place place;

    snprintf(place.directory, sizeof(place.directory), "/tmp/husk-socket-XXXXXX");
    if (!mkdtemp(place.directory))
        return -1;
    snprintf(place.path, sizeof(place.path), "%s/api.sock", place.directory);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    const struct place *place = *state;

    unlink(place->path);
    return rmdir(place->directory);
}

static bool answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ret;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    ret = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    close(fd);
    return ret == 0;
}

static void comes_and_goes(void **state)
{
    const struct place *place = *state;
    struct api_socket one;
    struct stat st;

    assert_int_equal(api_socket_open(&one, place->path, NULL), 0);
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(st.st_mode & 022, 0);
    assert_true(answers(place->path));
    api_socket_close(&one);
    assert_int_equal(access(place->path, F_OK), -1);
}

static void takes_the_place_of_the_dead(void **state)
{
    const struct place *place = *state;
    struct api_socket dead, next;

    assert_int_equal(api_socket_open(&dead, place->path, NULL), 0);
    close(dead.fd);
    assert_int_equal(api_socket_open(&next, place->path, NULL), 0);
    assert_true(answers(place->path));
    api_socket_close(&next);
}

/* A child holds the socket of its killed parent for a moment. */
static void waits_for_the_dying(void **state)
{
    const struct place *place = *state;
    struct api_socket dead, next;
    int hold[2], status;
    char byte;
    pid_t child;

    assert_int_equal(api_socket_open(&dead, place->path, NULL), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(hold[1]);
        if (read(hold[0], &byte, 1) == 0)
            usleep(50000);
        _exit(0);
    }
    close(hold[0]);
    close(dead.fd);
    assert_true(answers(place->path));
    close(hold[1]);
    assert_int_equal(api_socket_open(&next, place->path, NULL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(answers(place->path));
    api_socket_close(&next);
}

static void leaves_the_living(void **state)
{
    const struct place *place = *state;
    struct api_socket alive, next;
    struct husk_error err;
    int fd;

    assert_int_equal(api_socket_open(&alive, place->path, NULL), 0);
    assert_int_equal(api_socket_open(&next, place->path, &err), -EADDRINUSE);
    assert_string_equal(err.where, place->path);
    assert_true(answers(place->path));
    api_socket_close(&alive);

    fd = open(place->path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(api_socket_open(&next, place->path, &err), -EADDRINUSE);
    assert_int_equal(access(place->path, F_OK), 0);
}

static void paths_that_do_not_fit(void **state)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    struct api_socket none;
    struct husk_error err;

    (void)state;
    for (unsigned i = 0; i < sizeof(path) - 1; i++)
        path[i] = 'p';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(api_socket_open(&none, path, &err), -ENAMETOOLONG);
    assert_int_equal(api_socket_open(&none, "", &err), -ENAMETOOLONG);
    assert_int_equal(api_socket_open(&none, "/tmp/none/api.sock", &err), -ENOENT);
    assert_int_equal(none.fd, -1);
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(comes_and_goes),
        WITH_PLACE(takes_the_place_of_the_dead),
        WITH_PLACE(waits_for_the_dying),
        WITH_PLACE(leaves_the_living),
        cmocka_unit_test(paths_that_do_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
