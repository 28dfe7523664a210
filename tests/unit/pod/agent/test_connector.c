// SPDX-License-Identifier: Apache-2.0
/* Connections by path, also by one that is longer than a socket's address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "pod/agent/connector.h"

/* Listens as `name` in the directory, which must be the current one. */
static int listen_here(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void connect_to(const char *path)
{
    struct husk_error err;
    int fd = agent_connect_path(path, &err);

    if (fd < 0)
        fail_msg("%s: %s", err.where, err.why);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(fd);
}

static void test_paths(void **state)
{
    char directory[512] = "/tmp/husk-connector-XXXXXX", path[1024], name[100];
    struct husk_error err;
    int listener, base_len;

    assert_non_null(mkdtemp(directory));
    base_len = (int)strlen(directory);
    memset(directory + base_len, 'd', 150);
    directory[base_len] = '/';
    directory[base_len + 150] = '\0';
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(chdir(directory), 0);
    listener = listen_here("agent.sock");

    connect_to("agent.sock");
    snprintf(path, sizeof(path), "%s/agent.sock", directory);
    assert_true(strlen(path) > 108);
    connect_to(path);
    snprintf(path, sizeof(path), "%s/nobody", directory);
    assert_int_equal(agent_connect_path(path, &err), -ENOENT);
    assert_non_null(strstr(err.where, "/nobody"));
    memset(name, 'n', 81);
    name[81] = '\0';
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(agent_connect_path(path, &err), -ENAMETOOLONG);
    snprintf(path, sizeof(path), "%s/missing/agent.sock", directory);
    assert_int_equal(agent_connect_path(path, &err), -ENOENT);

    close(listener);
    assert_int_equal(agent_connect_path("agent.sock", &err), -ECONNREFUSED);
    assert_int_equal(unlink("agent.sock"), 0);
    assert_int_equal(rmdir(directory), 0);
    directory[base_len] = '\0';
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(chdir("/"), 0);
    (void)state;
}

/* With its backlog full, a socket would block. */
static void test_full_backlog(void **state)
{
    char directory[] = "/tmp/husk-connector-XXXXXX";
    struct husk_error err;
    int listener, fds[64], ret = 0;
    unsigned count = 0;

    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    listener = listen_here("s");
    while (count < 64 && (ret = agent_connector_path("s", &err)) >= 0)
        fds[count++] = ret;
    assert_int_equal(ret, -EAGAIN);
    while (count > 0)
        close(fds[--count]);
    close(listener);
    unlink("s");
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(chdir("/"), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_full_backlog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
