// SPDX-License-Identifier: Apache-2.0
/*
 * Named network namespaces: see netns.h. A namespace belongs to a thread; the one that makes it or
 * enters it ends right after, so that no other work is ever done in the wrong one.
 */
#include "pod/network/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/thread.h"
#include "pod/network/link.h"

#define PATH_BYTES 64u

static const char cannot_make[] = "cannot make the pod's network namespace";
static const char cannot_enter[] = "cannot work in the pod's network namespace";

struct job {
    const char *path; /* of the namespace to enter, or for the new one */
    int (*run)(void *arg, struct husk_error *err);
    void *arg;
    struct husk_error *err;
    int ret;
};

static int in_thread(void *(*run)(void *arg), struct job *job, const char *what)
{
    pthread_t thread;
    int ret = thread_start(&thread, "husk-netns", 0, run, job);

    if (ret)
        return error_set(job->err, -ret, job->path, what, "no thread can be started");
    pthread_join(thread, NULL);
    return job->ret;
}

/* As ip-netns(8) does: the directory is a mount of its own that all mount namespaces share, so that
 * a namespace removed in one of them is not kept by others. */
static int prepare_directory(struct husk_error *err)
{
    if (mkdir(NETNS_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return error_set(err, errno, NETNS_DIRECTORY, cannot_make, NULL);
    if (mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC, NULL) == 0)
        return 0;
    if (errno != EINVAL)
        return error_set(err, errno, NETNS_DIRECTORY, cannot_make, NULL);
    if (mount(NETNS_DIRECTORY, NETNS_DIRECTORY, "none", MS_BIND | MS_REC, NULL) < 0 ||
        mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC, NULL) < 0)
        return error_set(err, errno, NETNS_DIRECTORY, cannot_make, "it cannot be made a mount");
    return 0;
}

static int loopback_up(void)
{
    struct link_info info;
    struct rtnl rtnl;
    int ret = rtnl_open(&rtnl);

    if (ret)
        return ret;
    ret = link_read(&rtnl, "lo", &info);
    if (!ret)
        ret = link_set_up(&rtnl, info.index);
    rtnl_close(&rtnl);
    return ret;
}

static void *make(void *arg)
{
    struct job *job = arg;
    int ret = unshare(CLONE_NEWNET) < 0 ? -errno : loopback_up();

    if (!ret && mount("/proc/thread-self/ns/net", job->path, "none", MS_BIND, NULL) < 0)
        ret = -errno;
    job->ret = ret ? error_set(job->err, -ret, job->path, cannot_make, NULL) : 0;
    return NULL;
}

int netns_make(const char *name, struct husk_error *err)
{
    char path[PATH_BYTES];
    struct job job = {.path = path, .err = err};
    int fd, ret = prepare_directory(err);

    if (ret)
        return ret;
    snprintf(path, sizeof(path), NETNS_DIRECTORY "/%s", name);
    fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, errno, path, cannot_make, NULL);
    close_fd(&fd);
    ret = in_thread(make, &job, cannot_make);
    if (ret)
        unlink(path);
    return ret;
}

int netns_remove(const char *name, struct husk_error *err)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), NETNS_DIRECTORY "/%s", name);
    if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
        return error_set(err, errno, path, "cannot remove the pod's network namespace", NULL);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set(err, errno, path, "cannot remove the pod's network namespace", NULL);
    return 0;
}

bool netns_is_at(const char *path)
{
    struct statfs info;

    return statfs(path, &info) == 0 && info.f_type == NSFS_MAGIC;
}

static void *enter(void *arg)
{
    struct job *job = arg;
    int fd = open(job->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        job->ret = error_set(job->err, errno, job->path, cannot_enter, NULL);
    else
        job->ret = job->run(job->arg, job->err);
    close_fd(&fd);
    return NULL;
}

int netns_run(const char *path, int (*run)(void *arg, struct husk_error *err), void *arg,
              struct husk_error *err)
{
    struct job job = {.path = path, .run = run, .arg = arg, .err = err};

    return in_thread(enter, &job, cannot_enter);
}
