// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of pod/plan share: the plan being made, errors by field, JSON out of memory, and
 * the parts that plan_build() puts together. Every part returns 0, or -errno with the error filled.
 */
#ifndef HUSK_POD_PLAN_PART_H
#define HUSK_POD_PLAN_PART_H

#include "pod/plan/plan.h"

#define PLAN_WHERE_BYTES 192u
#define PLAN_SHM_BYTES   (64u << 20) /* of the pod's /dev/shm, as containerd has it */
#define PLAN_LINE_MAX    2048u

struct plan {
    const struct plan_input *in;
    const json_t *metadata, *spec; /* of the Pod object */
    const char *name, *space;
    struct pod_plan *out;
    char hostname[65]; /* of the uts namespace: maybe the FQDN */
    char fqdn[256];    /* "" without a subdomain */
    int64_t fs_group;  /* -1: none */
};

/* -code; `where` is the field's path. */
int plan_refuse(struct husk_error *err, int code, const char *where, const char *why_format, ...)
    __attribute__((format(printf, 4, 5)));
int plan_no_memory(struct husk_error *err);
/* PLAN_WHERE_BYTES into `where`, which it returns. */
const char *plan_where(char *where, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text members; NULL when absent. */
const char *plan_text(const json_t *object, const char *name);
/* `value` is given away in any case, and may be NULL for want of memory. */
int plan_put(json_t *object, const char *name, json_t *value, struct husk_error *err);
int plan_append(json_t *array, json_t *value, struct husk_error *err);
/* Appends {"method", "params"}. */
int plan_ask(json_t *requests, const char *method, json_t *params, struct husk_error *err);
int plan_warn(struct plan *plan, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* size.c: out->machine's sizes, out->qos_class. */
int plan_size(struct plan *plan, struct husk_error *err);

/* network.c: names, and the pod's /etc/hosts, hostname and resolv.conf. */
int plan_names(struct plan *plan, struct husk_error *err);
int plan_files(struct plan *plan, struct husk_error *err);

/* volumes.c: spec.volumes. */
int plan_volumes(struct plan *plan, struct husk_error *err);

/* container.c: the container `object`, whose name, field and kind are filled in. */
int plan_container(struct plan *plan, const json_t *object, struct plan_container *out,
                   struct husk_error *err);

#endif
