// SPDX-License-Identifier: Apache-2.0
/*
 * What a PF's driver does for each of its VFs: address, VLAN, rate and the like, through rtnetlink
 * (Linux, include/uapi/linux/if_link.h, IFLA_VFINFO_LIST).
 */
#ifndef HUSK_VF_LINK_H
#define HUSK_VF_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rtnl.h"

enum vf_setting {
    VF_MAC = 1 << 0,
    VF_VLAN = 1 << 1,
    VF_RATE = 1 << 2,
    VF_TRUST = 1 << 3,
    VF_SPOOFCHK = 1 << 4,
    VF_LINK = 1 << 5,
    VF_ALL_SETTINGS = (1 << 6) - 1,
};

struct vf_settings {
    unsigned known;                    /* which of the fields below hold something */
    uint8_t mac[6];                    /* all zero: the VF's driver chooses */
    uint16_t vlan;                     /* 0: none */
    uint8_t qos;                       /* the VLAN's priority */
    uint32_t min_rate_mbit, rate_mbit; /* sent; 0: no limit */
    bool trust, spoofchk;
    uint32_t link; /* IFLA_VF_LINK_STATE_ */
};

/* The settings of VFs 0..count-1 of an interface; those that its driver does not tell are unknown.
 * 0 or -errno; -EPROTO when the answer makes no sense. */
int vf_link_read(struct rtnl *rtnl, int ifindex, struct vf_settings *out, unsigned count);

/* Sets one setting of one VF. */
int vf_link_write(struct rtnl *rtnl, int ifindex, unsigned vf, enum vf_setting which,
                  const struct vf_settings *settings);

/*
 * Sets all that `wanted` knows, in the order of enum vf_setting. When one fails, those before it
 * are set back, and *failed says which it was.
 */
int vf_link_apply(struct rtnl *rtnl, int ifindex, unsigned vf, const struct vf_settings *wanted,
                  const struct vf_settings *present, enum vf_setting *failed);

/* "mac", "vlan", …: as on the command line and in reports. */
const char *vf_setting_name(enum vf_setting which);
const char *vf_link_state_name(uint32_t state);

#endif
