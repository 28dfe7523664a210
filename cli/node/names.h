// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent writes on its pods, and finds them by: nothing else says which pods are whose. The
 * first two are the kubelet's words for the same thing.
 */
#ifndef HUSK_CLI_NODE_NAMES_H
#define HUSK_CLI_NODE_NAMES_H

#define ANNOTATION_SOURCE   "kubernetes.io/config.source" /* SOURCE_FILE */
#define ANNOTATION_HASH     "kubernetes.io/config.hash"   /* of the description */
#define ANNOTATION_MANIFEST "node.husk/manifest"          /* the file, absolute */

#define SOURCE_FILE "file"

#define HASH_DIGITS 32u

#endif
