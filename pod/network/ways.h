// SPDX-License-Identifier: Apache-2.0
/* The ways in which a pod's network is made; for network.c. */
#ifndef HUSK_POD_NETWORK_WAYS_H
#define HUSK_POD_NETWORK_WAYS_H

#include "pod/network/network.h"
#include "pod/network/record.h"
#include "pod/network/state.h"

/* husk's bridge: the tap is its port. What is left after a failure is for bridge_way_down(). */
int bridge_way_up(const struct pod_network_request *request, const struct network_record *record,
                  const struct network_state *state, struct pod_network_result *result,
                  struct husk_error *err);
int bridge_way_down(const struct network_record *record, const struct network_state *state,
                    struct husk_error *err);

/* Whether the tap is still the bridge's port. */
int bridge_way_check(const struct network_record *record, struct husk_error *err);

/* CNI plugins: record->cni is filled by cni_way_prepare(), before the record is written, and has
 * the plugins' result when cni_way_up() has asked them; network_record_save() is called for it. */
int cni_way_prepare(const struct pod_network_request *request, struct network_record *record,
                    struct husk_error *err);
int cni_way_up(const struct pod_network_request *request, struct network_record *record,
               const struct network_state *state, struct pod_network_result *result,
               struct husk_error *err);
int cni_way_down(const struct network_record *record, const struct network_state *state,
                 struct husk_error *err);
/* The same, and what is husk's own even when plugins fail: 1 with *left filled then. */
int cni_way_abandon(const struct network_record *record, const struct network_state *state,
                    struct husk_error *left, struct husk_error *err);
/* CHECK, by the plugins. */
int cni_way_check(const struct network_record *record, struct husk_error *err);

/* pod_network_down() of a record that has been read; dir -1: its directory is gone. */
/* -EAGAIN with err filled when who only looks should leave it alone for now. */
int network_hangs(const struct network_record *record, struct husk_error *err);
int network_take_back(const struct network_record *record, int dir, struct husk_error *err);

/* A virtual function of a card: record->vf is filled, and network_record_save() called for it,
 * before anything of the function is changed. */
int vf_way_up(const struct pod_network_request *request, struct network_record *record,
              const struct network_state *state, struct pod_network_result *result,
              struct husk_error *err);
int vf_way_down(const struct network_record *record, const struct network_state *state,
                struct husk_error *err);
/* The same, and the claims even when the function cannot go back to its driver: 1 with *left filled
 * then. `husk vf unbind` gives it back later. */
int vf_way_abandon(const struct network_record *record, const struct network_state *state,
                   struct husk_error *left, struct husk_error *err);
int vf_way_check(const struct network_record *record, struct husk_error *err);

#endif
