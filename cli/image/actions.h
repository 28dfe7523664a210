// SPDX-License-Identifier: Apache-2.0
/* What `husk image` does, one function for each action. Each returns 0, or -errno with err filled.
 */
#ifndef HUSK_CLI_IMAGE_ACTIONS_H
#define HUSK_CLI_IMAGE_ACTIONS_H

#include "cli/image/options.h"
#include "husk/error.h"

/* add.c */
int action_pull(const struct image_options *options, const char *store, struct husk_error *err);
int action_load(const struct image_options *options, const char *store, struct husk_error *err);

/* keep.c */
int action_ls(const struct image_options *options, const char *store, struct husk_error *err);
int action_rm(const struct image_options *options, const char *store, struct husk_error *err);
int action_inspect(const struct image_options *options, const char *store, struct husk_error *err);
int action_prune(const struct image_options *options, const char *store, struct husk_error *err);

#endif
