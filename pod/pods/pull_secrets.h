// SPDX-License-Identifier: Apache-2.0
/*
 * The credentials for registries that a pod brings along: its imagePullSecrets. Pure. What is in
 * them is in no message, and in no file but the pod's record.
 */
#ifndef HUSK_POD_PODS_PULL_SECRETS_H
#define HUSK_POD_PODS_PULL_SECRETS_H

#include <jansson.h>

/*
 * *auths is all of them together as one auth.json (pod/image/auth.h): {"auths": {HOST: {"auth"}}},
 * or NULL when there are none; the first secret that names a host counts. A secret that is not
 * among `secrets` ({NAME: {"data"}}), or holds no credentials, is told to `warn`, as kubelets go on
 * without it. 0 or -ENOMEM.
 */
int pull_secrets_read(const json_t *spec, const json_t *secrets, json_t **auths,
                      void (*warn)(void *arg, const char *line), void *arg);

/* The text of an auth.json with what there is for an image; the caller's, wiped and freed with
 * pull_secrets_free(). NULL: nothing, so that the host's own credentials count. */
char *pull_secrets_for(const json_t *auths, const char *image);
void pull_secrets_free(char *text);

#endif
