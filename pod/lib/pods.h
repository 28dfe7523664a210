// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of libhusk-pod share. include/husk/pod.h is what it does; each file here does one
 * part of it over a pod's records (pod/pods/pods.h), its supervisor's control socket
 * (pod/pods/protocol.h) and its logs.
 */
#ifndef HUSK_POD_LIB_PODS_H
#define HUSK_POD_LIB_PODS_H

#include <linux/limits.h>
#include <stdbool.h>

#include "husk/pod.h"
#include "pod/control/client.h"
#include "pod/lib/watch.h"
#include "pod/manifest/manifest.h"
#include "pod/pods/pods.h"

struct husk_pods {
    struct entry_store *store;
    struct pods_watch *watch; /* NULL: nobody has asked for it */
    char images[PATH_MAX];    /* "": the default */
    char program[PATH_MAX];
};

#define POD_CONTAINER_BYTES (MANIFEST_NAME_MAX + 1)

/* Copies the caller's options into the library's struct, which may be longer or shorter; NULL: all
 * zero. -EINVAL without a size; -E2BIG for members of a later release that are set. */
int pods_take_options(void *out, size_t size, const void *options, struct husk_error *err);

/* Whether the manifest has so many pods. -EINVAL. */
int pods_check_index(const struct husk_manifest *manifest, unsigned index, struct husk_error *err);

/* The pod that `name` means: NAME, NAMESPACE/NAME, or digits of a uid. -ENOENT. */
int pods_find(struct husk_pods *pods, const char *name, struct entry **out, struct husk_error *err);

/* The key of its directory, for a name that is none of a uid. -EINVAL. */
int pods_key(const char *name, char key[POD_KEY_BYTES], struct husk_error *err);

/* A client of its supervisor. -ESRCH when the pod does not run. */
int pods_connect(const struct entry *pod, const char *name, struct control_client **out,
                 struct husk_error *err);

/* One request and its answer, an object, in *result (which may be NULL); params are taken. */
int pods_ask(struct husk_pods *pods, const char *name, const char *method, json_t *params,
             json_t **result, struct husk_error *err);

/* The container that is meant: `given`, which must be there, or the default (NULL): that of the
 * annotation kubectl.kubernetes.io/default-container, else the first. -ENOENT names those that
 * there are. */
int pods_container(const json_t *pod, const char *name, const char *given,
                   char out[POD_CONTAINER_BYTES], struct husk_error *err);
/* The same of a pod's record. */
int pods_container_of(const struct entry *pod, const char *name, const char *given,
                      char out[POD_CONTAINER_BYTES], struct husk_error *err);

/* EXIT of protocol.h: its status. -EPROTO. */
int pods_exit_status(const json_t *exit, int *status, struct husk_error *err);

/* A Pod object with its status; a new reference. -ENOENT when it has been removed meanwhile. */
int pods_object(const struct entry *pod, json_t **out, struct husk_error *err);

/* Whether a container of a Pod object with its status runs, or may once more: what is over is one
 * that has ended and whose restartPolicy leaves it so. Pure. */
bool pods_container_goes_on(const json_t *pod, const char *container);

/* As text, for husk_pod_text_free(). Takes the value, which may be NULL (no memory). */
int pods_text(json_t *value, char **out, struct husk_error *err);

#endif
