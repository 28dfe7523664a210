// SPDX-License-Identifier: Apache-2.0
/* What a pod that is started anew has been before. */
#ifndef HUSK_POD_PODS_RESTORE_H
#define HUSK_POD_PODS_RESTORE_H

struct pod;

/* The ends of its containers' last runs, of the state that is there, become those before the next;
 * the state itself begins anew. */
void restore_last(struct pod *pod);

#endif
