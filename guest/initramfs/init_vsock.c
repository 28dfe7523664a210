// SPDX-License-Identifier: Apache-2.0
/* Commands about virtio sockets. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "init.h"

static struct sockaddr_vm address_of(unsigned cid, const char *port)
{
    return (struct sockaddr_vm){
        .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = (unsigned)strtoul(port, NULL, 10)};
}

static int vsock_socket(void)
{
    return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* vsock-refused:PORT connects to a port of the host where nobody listens. */
static int run_refused(char **argv)
{
    struct sockaddr_vm to = address_of(VMADDR_CID_HOST, argv[1]);
    int fd = vsock_socket(), error;

    error = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
    close(fd);
    if (error != ECONNRESET)
        return report_failure(argv[0], error, "port %s", argv[1]);
    report(argv[0], "%s", argv[1]);
    return 0;
}

/* vsock-send:PORT:SEED:BYTES connects to the host and sends the pattern. */
static int run_send(char **argv)
{
    struct sockaddr_vm to = address_of(VMADDR_CID_HOST, argv[1]);
    int fd = vsock_socket();

    if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
        return report_failure(argv[0], errno, "port %s", argv[1]);
    return stream_send(argv[0], fd, argument_number(argv[2]), argument_number(argv[3]));
}

static int accept_one(char **argv)
{
    struct sockaddr_vm here = address_of(VMADDR_CID_ANY, argv[1]);
    int listener = vsock_socket(), fd;

    if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 1))
        return report_failure(argv[0], errno, "port %s", argv[1]);
    report("ready", "%s %s", argv[0], argv[1]);
    fd = accept(listener, NULL, NULL);
    if (fd < 0)
        report_failure(argv[0], errno, "accept");
    close(listener);
    return fd;
}

/* vsock-recv:PORT accepts one connection and prints what came until its end. */
static int run_recv(char **argv)
{
    int fd = accept_one(argv);

    return fd < 0 ? -1 : stream_receive(argv[0], fd);
}

/* vsock-serve:PORT:SEED:BYTES accepts one connection and sends the pattern into it. */
static int run_serve(char **argv)
{
    int fd = accept_one(argv);

    return fd < 0 ? -1
                  : stream_send(argv[0], fd, argument_number(argv[2]), argument_number(argv[3]));
}

const struct init_command init_vsock_commands[] = {
    {"vsock-refused", 1, run_refused},
    {"vsock-send", 3, run_send},
    {"vsock-recv", 1, run_recv},
    {"vsock-serve", 3, run_serve},
    {NULL, 0, NULL},
};
