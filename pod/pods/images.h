// SPDX-License-Identifier: Apache-2.0
/*
 * The images of a pod: found in the store or pulled first, as imagePullPolicy says, one after the
 * other, and again with back-off when that fails. Pulling is done by `husk-oci image pull`
 * ($HUSK_OCI, or beside this program), which dies with this process. Everything happens on the
 * loop's thread.
 */
#ifndef HUSK_POD_PODS_IMAGES_H
#define HUSK_POD_PODS_IMAGES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/event_loop.h"
#include "husk/error.h"
#include "pod/image/config.h"
#include "pod/lifecycle/backoff.h"

enum image_policy { IMAGE_IF_NOT_PRESENT, IMAGE_ALWAYS, IMAGE_NEVER };

struct pod_image {
    char *reference; /* as the Pod object has it; ours */
    enum image_policy policy;
    bool there;         /* config and id are known */
    char id[80];        /* digest of the image's manifest */
    const char *reason; /* why it is not there: "ErrImagePull", …; "" */
    char message[256];  /* likewise */
    struct image_config config;
    struct backoff backoff;
    uint64_t wait_ns; /* what is left of a back-off whose error is still shown */
};

struct images {
    struct event_loop *loop;
    const char *store; /* the store's path; "": the default */
    json_t *auths;     /* the pod's own credentials: pull_secrets.h; NULL: none. Ours */
    struct pod_image *list;
    unsigned count;
    unsigned next; /* those before it are there */
    struct event_timer *again;
    int pull; /* pidfd of what pulls `next`; -1 */
    int pid;
    int words; /* what it says */
    struct event_source *source;
    char said[256];
    /* Something about an image has changed; reason and message of an event for people. */
    void (*changed)(void *arg, unsigned index, const char *reason, const char *message);
    void (*all_there)(void *arg);
    void *arg;
};

/* Fills the list from a Pod object, which is used by the call alone; the owner has set loop, store,
 * callbacks, and may give credentials, which are taken. 0 or -errno; images_destroy() in any case.
 */
int images_create(struct images *images, const json_t *pod);
/* Begins; callbacks come from the loop. */
void images_begin(struct images *images);
/* No callback comes any more; a pull is ended. */
void images_cancel(struct images *images);
void images_destroy(struct images *images);

/* The index of a container's image. */
unsigned images_index(const struct images *images, const char *reference);

#endif
