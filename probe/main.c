// SPDX-License-Identifier: Apache-2.0
/*
 * husk-probe: speaks with what answers a probe or a hook in a pod, where that takes more than a
 * supervisor should read of a hostile guest. Started by a supervisor only, with its socket and a
 * connection into the pod as descriptors 3 and 4; see protocol.h. It has nothing else, goes to jail
 * before it reads a byte of the guest's, and ends with the connection, with its supervisor, or when
 * it takes too much time or memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "jail/jail.h"
#include "jail/seccomp.h"
#include "probe/exchange.h"
#include "probe/protocol.h"
#include "probe/relay.h"

#define NOBODY        65534u
#define CPU_SECONDS   20u
#define ADDRESS_BYTES (256ull << 20)
#define NOFILE        16u
#define FIRST_FREE_FD (PROBE_GUEST_FD + 1)

static bool is_stream(int fd)
{
    int type;
    socklen_t len = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static bool receive_request(struct probe_request *request)
{
    return recv(PROBE_PLAIN_FD, request, sizeof(*request), MSG_WAITALL) ==
               (ssize_t)sizeof(*request) &&
           memchr(request->name, '\0', sizeof(request->name)) &&
           memchr(request->authority, '\0', sizeof(request->authority));
}

static int limit_resources(void)
{
    const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS}, memory = {ADDRESS_BYTES, ADDRESS_BYTES};
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CPU, &cpu) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0)
        return -errno;
    /* Sanitizers, which have no filters either, reserve more than all of it. */
    return seccomp_built_in() && setrlimit(RLIMIT_AS, &memory) < 0 ? -errno : 0;
}

static int go_to_jail(unsigned namespaces)
{
    const struct jail_plan plan = {
        .namespaces = namespaces,
        .uid = NOBODY,
        .gid = NOBODY,
        .vsock_dir_fd = -1,
        .first_free_fd = FIRST_FREE_FD,
        .nofile = NOFILE,
    };
    struct jail_report report;
    struct husk_error err;
    int ret = jail_enter(&plan, &report, &err);

    /* A change of user forgets who is to be outlived by nobody. Whoever is gone by now has closed
     * the socket, which ends us too. */
    if (ret == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        ret = -errno;
    return ret ? ret : seccomp_install(SECCOMP_PROBE);
}

/* In nobody's jail yet, but the guest's bytes are not read. */
static int make_ready(void)
{
    const int fds[] = {PROBE_PLAIN_FD, PROBE_GUEST_FD};
    sigset_t none;

    sigemptyset(&none);
    /* The limit on CPU time ends us by a signal; a connection that does not, by an error. */
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
        int flags = fcntl(fds[i], F_GETFL);

        if (flags < 0 || fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0)
            return -errno;
    }
    return limit_resources();
}

static enum probe_end speak_tls(const struct probe_request *request)
{
    SSL *ssl = relay_prepare(request->name);

    if (!ssl || go_to_jail(request->namespaces))
        return PROBE_END_JAIL;
    return relay_run(ssl, PROBE_PLAIN_FD, PROBE_GUEST_FD);
}

static enum probe_end speak_grpc(const struct probe_request *request)
{
    struct call *call = call_new(request->name, request->authority);

    if (!call || go_to_jail(request->namespaces))
        return PROBE_END_JAIL;
    return exchange_run(call, PROBE_PLAIN_FD, PROBE_GUEST_FD);
}

int main(void)
{
    static struct probe_request request;
    enum probe_end end = PROBE_END_REQUEST;

    if (!is_stream(PROBE_PLAIN_FD) || !is_stream(PROBE_GUEST_FD)) {
        fputs("husk-probe: it is started by a pod's supervisor, not by hand (see: husk pod)\n",
              stderr);
        return PROBE_END_REQUEST;
    }
    if (!receive_request(&request))
        return PROBE_END_REQUEST;
    if (make_ready())
        end = PROBE_END_JAIL;
    else if (request.speech == PROBE_TLS)
        end = speak_tls(&request);
    else if (request.speech == PROBE_GRPC)
        end = speak_grpc(&request);
    _exit((int)end); /* what libraries do at the end is not for here */
}
