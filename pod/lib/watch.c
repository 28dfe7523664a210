// SPDX-License-Identifier: Apache-2.0
/*
 * Watching the directory of pods: see watch.h.
 *
 * An epoll descriptor has in it an inotify descriptor, for the directory of all and that of each
 * pod, and a pidfd of each supervisor: one that is killed writes nothing. What cannot be watched (a
 * limit of the host's) is left out: whoever waits also looks now and then.
 */
#include "pod/lib/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "pod/pods/pods.h"

struct watched {
    char name[ENTRY_NAME_BYTES];
    int pid;   /* of its supervisor; 0: none runs, or it has not said so yet */
    int pidfd; /* -1: none */
    bool seen; /* it is still there */
};

struct pods_watch {
    int epoll, inotify;
    struct watched *list;
    unsigned count, space;
};

static int watch_for(struct pods_watch *watch, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static struct watched *find(struct pods_watch *watch, const char *name)
{
    for (unsigned i = 0; i < watch->count; i++) {
        if (!strcmp(watch->list[i].name, name))
            return &watch->list[i];
    }
    return NULL;
}

static struct watched *add(struct pods_watch *watch, const char *name)
{
    struct watched *one;

    if (watch->count == watch->space) {
        unsigned space = watch->space ? 2 * watch->space : 16;
        struct watched *more = reallocarray(watch->list, space, sizeof(*more));

        if (!more)
            return NULL;
        watch->list = more;
        watch->space = space;
    }
    one = &watch->list[watch->count++];
    *one = (struct watched){.pidfd = -1};
    snprintf(one->name, sizeof(one->name), "%s", name);
    return one;
}

static int supervisor_pid(const struct entry *entry)
{
    struct pod_state state = {.status = NULL};
    int pid = pod_load_state(entry, &state, NULL) ? 0 : state.supervisor_pid;

    pod_state_clear(&state);
    return pid;
}

/* A supervisor that has died stays readable: it must go, and the one that comes after it be found.
 * One that has not written its number yet will, which is seen. */
static void watch_supervisor(struct pods_watch *watch, struct watched *one,
                             const struct entry *entry)
{
    int pid = entry_alive(entry) ? supervisor_pid(entry) : 0;

    if (pid == one->pid)
        return;
    close_fd(&one->pidfd);
    one->pid = pid;
    if (pid > 0)
        one->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (one->pidfd >= 0 && watch_for(watch, one->pidfd))
        close_fd(&one->pidfd);
}

static int look_at(void *arg, struct entry *entry)
{
    struct pods_watch *watch = arg;
    struct watched *one = find(watch, entry->name);
    char path[32];

    if (!one)
        one = add(watch, entry->name);
    if (!one)
        return 0;
    one->seen = true;
    /* Of the directory, not of its name: one that has been made anew is another. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", entry->dir);
    (void)inotify_add_watch(watch->inotify, path, IN_MOVED_TO);
    watch_supervisor(watch, one, entry);
    return 0;
}

void pods_watch_renew(struct pods_watch *watch, struct entry_store *store)
{
    char events[4096];
    unsigned kept = 0;

    while (read(watch->inotify, events, sizeof(events)) > 0)
        ;
    for (unsigned i = 0; i < watch->count; i++)
        watch->list[i].seen = false;
    (void)entry_each(store, look_at, watch, NULL);
    for (unsigned i = 0; i < watch->count; i++) {
        if (watch->list[i].seen)
            watch->list[kept++] = watch->list[i];
        else
            close_fd(&watch->list[i].pidfd);
    }
    watch->count = kept;
}

int pods_watch_open(struct entry_store *store, struct pods_watch **out)
{
    struct pods_watch *watch = calloc(1, sizeof(*watch));
    int ret = 0;

    if (!watch)
        return -ENOMEM;
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->epoll < 0 || watch->inotify < 0 ||
        inotify_add_watch(watch->inotify, entry_store_path(store),
                          IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR) < 0)
        ret = -errno;
    if (!ret)
        ret = watch_for(watch, watch->inotify);
    if (ret) {
        pods_watch_close(watch);
        return ret;
    }
    pods_watch_renew(watch, store);
    *out = watch;
    return 0;
}

int pods_watch_descriptor(const struct pods_watch *watch)
{
    return watch->epoll;
}

void pods_watch_close(struct pods_watch *watch)
{
    if (!watch)
        return;
    for (unsigned i = 0; i < watch->count; i++)
        close_fd(&watch->list[i].pidfd);
    free(watch->list);
    close_fd(&watch->inotify);
    close_fd(&watch->epoll);
    free(watch);
}
