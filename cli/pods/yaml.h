// SPDX-License-Identifier: Apache-2.0
/* JSON as YAML, for people. */
#ifndef HUSK_CLI_PODS_YAML_H
#define HUSK_CLI_PODS_YAML_H

#include <jansson.h>
#include <stdio.h>

/* One document, in block style. A text that another type's scalar could be taken for, in YAML 1.1
 * or 1.2, is quoted. 0, or -ENOMEM. */
int yaml_print(const json_t *value, FILE *out);

#endif
