// SPDX-License-Identifier: Apache-2.0
/*
 * husk-native: the supervisor of containers whose machine is this host, and what a test needs to
 * make one.
 *
 *     husk-native supervise NAME            what the second form starts; also with HUSK_SUPERVISOR,
 *                                           the name of this program, what `husk run` does
 *     husk-native launch STATE SPEC FD      makes a container of the record in the file SPEC,
 * starts its supervisor, and sends the first connection over the socket FD husk-native tidy STATE
 * container_store_tidy() husk-native state STATE NAME          prints its state as
 * container_load_state() has it husk-native remove STATE NAME
 *     husk-native supervise-pod KEY, husk-native pod-VERB PODS …: see native_pods.h
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/pods/supervise.h"
#include "pod/store/spawn.h"
#include "pod/supervisor/containers.h"
#include "pod/supervisor/supervise.h"
#include "tests/e2e/container/native_machine.h"
#include "tests/e2e/container/native_pods.h"

static int complain(const struct husk_error *error)
{
    char text[512];

    fprintf(stderr, "husk-native: %s\n", error_format(error, text, sizeof(text)));
    return 1;
}

static int send_fd(int socket, int fd)
{
    char byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = ""};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : 1;
}

static int launch(struct entry_store *store, const char *file, const char *socket)
{
    struct entry *container = NULL;
    struct container_spec spec = {.id = ""};
    struct husk_error error;
    char *bytes;
    size_t len;
    int ret = read_file_at(AT_FDCWD, file, CONTAINER_SPEC_MAX, &bytes, &len);

    if (ret) {
        error_set(&error, -ret, file, "cannot be read", NULL);
        return complain(&error);
    }
    ret = container_spec_decode(bytes, len, file, &spec, &error);
    free(bytes);
    if (ret == 0)
        ret = container_create(store, &spec, true, &container, &error);
    if (ret == 0)
        ret = entry_spawn(container, NULL, &error);
    container_spec_clear(&spec);
    entry_close(container);
    if (ret < 0)
        return complain(&error);
    return send_fd((int)strtol(socket, NULL, 10), ret);
}

static int show_state(struct entry_store *store, const char *name)
{
    struct entry *container = NULL;
    struct container_state state;
    struct husk_error error;
    json_t *json;
    int ret = entry_find(store, name, &container, &error);

    if (ret == 0)
        ret = container_load_state(container, &state, &error);
    if (ret)
        return complain(&error);
    json = container_state_encode(&state, 0);
    json_object_set_new(json, "alive", json_boolean(entry_alive(container)));
    json_dumpf(json, stdout, JSON_COMPACT);
    json_decref(json);
    entry_close(container);
    return 0;
}

static int remove_one(struct entry_store *store, const char *name)
{
    struct entry *container = NULL;
    struct husk_error error;
    int ret = entry_find(store, name, &container, &error);

    if (ret == 0)
        ret = entry_remove(store, container, &error);
    entry_close(container);
    return ret ? complain(&error) : 0;
}

int main(int argc, char **argv)
{
    struct entry_store *store;
    struct husk_error error;
    int ret = 2;

    if (argc == 3 && !strcmp(argv[1], "supervise"))
        return supervisor_main(argc, argv, &native_machine_ops);
    if (argc == 3 && !strcmp(argv[1], "supervise-pod"))
        return pod_supervisor_main(argc, argv, &native_machine_ops);
    if (argc >= 3 && !strncmp(argv[1], "pod-", 4))
        return native_pods(argc, argv);
    if (argc < 3 || container_store_open(argv[2], true, &store, &error))
        return argc < 3 ? 2 : complain(&error);
    if (argc == 5 && !strcmp(argv[1], "launch"))
        ret = launch(store, argv[3], argv[4]);
    else if (argc == 3 && !strcmp(argv[1], "tidy"))
        ret = container_store_tidy(store, &error) ? complain(&error) : 0;
    else if (argc == 4 && !strcmp(argv[1], "state"))
        ret = show_state(store, argv[3]);
    else if (argc == 4 && !strcmp(argv[1], "remove"))
        ret = remove_one(store, argv[3]);
    entry_store_close(store);
    return ret;
}
