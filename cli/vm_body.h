// SPDX-License-Identifier: Apache-2.0
/* Requests to the API of a VM from the options of `husk vm`, and its answers as text. Pure, but for
 * the working directory. */
#ifndef HUSK_CLI_VM_BODY_H
#define HUSK_CLI_VM_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "husk/husk.h"

#define VM_ID_SIZE 65u

/* 1..64 of A-Z a-z 0-9 _: what can be part of a path. */
bool vm_id_is_valid(const char *id);

/* Whether `list`, an array of objects in which `member` is the id, has this one. Anything else is
 * an empty list. */
bool vm_has_id(const json_t *list, const char *member, const char *id);

/* The first of PREFIX1, PREFIX2, … that is nobody's in such a list. */
void vm_free_id(const json_t *list, const char *member, const char *prefix, char id[VM_ID_SIZE]);

/* The body of PUT /drives/ID. A relative path becomes an absolute one, for the VM's process has a
 * working directory of its own. */
int vm_drive_body(const struct husk_drive_options *drive, const char *id, json_t **out,
                  struct husk_error *err);

/* The body of PUT /network-interfaces/ID, or NULL without memory. */
json_t *vm_net_body(const struct husk_net_options *net, const char *id);

/* The body of PUT /vfio/ID, or NULL without memory. */
json_t *vm_vfio_body(const struct husk_vfio_options *vfio, const char *id);

/* The answers to GET / and GET /vm/config, a line a thing. Whatever they hold, the lines are
 * printable. */
void vm_info_print(FILE *out, const json_t *instance, const json_t *config);

#endif
