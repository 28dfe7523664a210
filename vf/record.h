// SPDX-License-Identifier: Apache-2.0
/*
 * What drivers had the functions that husk gave to vfio-pci: one small file for each, written
 * before anything is changed and removed when everything is as it was. docs/sriov.md describes it.
 *
 * All of `husk vf` that changes something holds one lock, the kernel's on the directory, which no
 * end of a process leaves behind.
 */
#ifndef HUSK_VF_RECORD_H
#define HUSK_VF_RECORD_H

#include "vf/pci.h"
#include "husk/error.h"

struct vf_record {
    char driver[PCI_DRIVER_SIZE];   /* "" when it had none */
    char override[PCI_DRIVER_SIZE]; /* its driver_override; "" when none was set */
};

/* Makes the directory when it is missing, and waits up to half a minute for the lock. Returns a
 * descriptor to hand to the calls below and to close_fd(), or -errno with err filled. */
int vf_records_lock(const char *state, struct husk_error *err);

/* -ENOENT without one, -EPROTO when it is not as written here. */
int vf_record_read(int records_fd, const char *address, struct vf_record *out);
int vf_record_write(int records_fd, const char *address, const struct vf_record *record);
int vf_record_remove(int records_fd, const char *address);

#endif
