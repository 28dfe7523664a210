// SPDX-License-Identifier: Apache-2.0
/*
 * What `husk vf` shows: PFs with their VFs, as text for people or as JSON. What is read here may
 * change meanwhile; what has gone when its turn comes is left out.
 */
#ifndef HUSK_CLI_VF_REPORT_H
#define HUSK_CLI_VF_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "vf/link.h"
#include "vf/pci.h"

/* One PF as an object, owned by the caller; NULL when it has gone or there is no memory. rtnl may
 * be NULL: then nothing is known of its VFs' settings. docs/sriov.md describes the object. */
json_t *vf_report_pf(const struct vf_host *host, struct rtnl *rtnl, const char *pf);

/* The same object as lines of text. */
void vf_report_print(FILE *out, const json_t *pf);

#endif
