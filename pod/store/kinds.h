// SPDX-License-Identifier: Apache-2.0
/* What tells directories of containers and of pods from others, and where they are: for their kinds
 * (store.h), and for who only looks into them. */
#ifndef HUSK_POD_STORE_KINDS_H
#define HUSK_POD_STORE_KINDS_H

#define CONTAINERS_FORMAT   "husk-containers 1\n"
#define CONTAINERS_VARIABLE "HUSK_STATE"
#define CONTAINERS_LEAF     "containers"

#define PODS_FORMAT   "husk-pods 1\n"
#define PODS_VARIABLE "HUSK_PODS"
#define PODS_LEAF     "pods"

#endif
