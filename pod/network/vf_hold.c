// SPDX-License-Identifier: Apache-2.0
/* A virtual function of a pod's: see vf_hold.h. */
#include "pod/network/vf_hold.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/parse.h"
#include "pod/image/json.h"
#include "pod/network/address.h"
#include "vf/change.h"
#include "vf/choose.h"
#include "vf/set.h"

#define KEPT       (VF_MAC | VF_RATE | VF_TRUST | VF_SPOOFCHK) /* what a pod changes */
#define NO_MAC     "00:00:00:00:00:00"                         /* none was given */
#define BUSY_TRIES 100u                                        /* of 100 ms */

/* ---- choosing ---- */

struct claim {
    const struct network_state *state;
    const char *id;
};

static int claim(void *opaque, const char *address)
{
    const struct claim *wanted = opaque;

    return network_claim(wanted->state->vfs, address, wanted->id);
}

int vf_hold_choose(const struct vf_host *host, const struct network_state *state, const char *id,
                   struct vf_hold *hold, struct husk_error *err)
{
    struct claim wanted = {.state = state, .id = id};
    struct pci_function function;
    int ret = vf_choose(host, hold->pf, hold->name, claim, &wanted, &hold->index, &function, err);

    if (!ret)
        memcpy(hold->function, function.address, sizeof(hold->function));
    return ret;
}

/* ---- the record ---- */

static json_t *encode_settings(const struct vf_settings *settings)
{
    json_t *out = json_object();
    char mac[18];
    bool done = out;

    mac_text(settings->mac, mac);
    if (settings->known & VF_MAC)
        done = done && json_object_set_new(out, "mac", json_string(mac)) == 0;
    if (settings->known & VF_RATE)
        done = done && json_object_set_new(out, "rate", json_integer(settings->rate_mbit)) == 0;
    if (settings->known & VF_TRUST)
        done = done && json_object_set_new(out, "trust", json_boolean(settings->trust)) == 0;
    if (settings->known & VF_SPOOFCHK)
        done = done && json_object_set_new(out, "spoofchk", json_boolean(settings->spoofchk)) == 0;
    if (done)
        return out;
    json_decref(out);
    return NULL;
}

json_t *vf_hold_encode(const struct vf_hold *hold)
{
    return json_pack("{ss ss ss sI so}", "pf", hold->pf, "name", hold->name, "function",
                     hold->function, "index", (json_int_t)hold->index, "before",
                     encode_settings(&hold->before));
}

static int decode_settings(const json_t *before, const char *where, struct vf_settings *out,
                           struct husk_error *err)
{
    const json_t *rate = json_object_get(before, "rate");
    const json_t *trust = json_object_get(before, "trust");
    const json_t *spoofchk = json_object_get(before, "spoofchk");
    const char *mac = json_string_value(json_object_get(before, "mac"));

    if (mac && (!strcmp(mac, NO_MAC) || parse_mac(mac, out->mac) == 0))
        out->known |= VF_MAC;
    if (json_is_integer(rate) && json_integer_value(rate) >= 0 &&
        json_integer_value(rate) <= UINT32_MAX) {
        out->rate_mbit = (uint32_t)json_integer_value(rate);
        out->known |= VF_RATE;
    }
    if (json_is_boolean(trust)) {
        out->trust = json_is_true(trust);
        out->known |= VF_TRUST;
    }
    if (json_is_boolean(spoofchk)) {
        out->spoofchk = json_is_true(spoofchk);
        out->known |= VF_SPOOFCHK;
    }
    if ((size_t)__builtin_popcount(out->known) != json_object_size(before))
        return error_set(err, EINVAL, where, "cannot read the record of a network",
                         "vf.before is not what husk wrote there");
    return 0;
}

static int decode_function(const json_t *object, const char *name, char out[PCI_ADDRESS_SIZE],
                           const char *where, struct husk_error *err)
{
    char text[PCI_ADDRESS_SIZE];
    int ret = image_json_text(object, name, true, text, sizeof(text), where, err);

    if (!ret && pci_address_parse(text, out))
        ret = error_set(err, EINVAL, where, "cannot read the record of a network",
                        "vf.%s is no PCI address", name);
    return ret;
}

int vf_hold_decode(const json_t *object, const char *where, struct vf_hold *out,
                   struct husk_error *err)
{
    const json_t *before = NULL;
    uint64_t index = 0;
    int ret;

    *out = (struct vf_hold){.index = 0};
    ret = decode_function(object, "pf", out->pf, where, err);
    if (!ret)
        ret = decode_function(object, "function", out->function, where, err);
    if (!ret)
        ret = image_json_text(object, "name", true, out->name, sizeof(out->name), where, err);
    if (!ret)
        ret = image_json_u64(object, "index", PCI_VF_MAX - 1, &index, where, err);
    if (!ret)
        ret = image_json_member(object, "before", JSON_OBJECT, true, &before, where, err);
    out->index = (unsigned)index;
    return ret ? ret : decode_settings(before, where, &out->before, err);
}

/* ---- to the pod, and back ---- */

int vf_hold_bind(const struct vf_host *host, const struct vf_hold *hold, struct husk_error *err)
{
    static const char what[] = "cannot give the function to a pod";
    struct pci_function function, other;
    int ret = vf_bind(host, hold->function, err);

    if (ret == VF_ALREADY)
        return error_set(err, EALREADY, hold->function, what, "somebody bound it to vfio-pci");
    if (ret)
        return ret;
    ret = pci_function_read(host, hold->function, &function);
    if (ret)
        return error_set(err, -ret, hold->function, what, "it is not there any more");
    if (vf_group_blocker(host, &function, &other))
        return error_set(err, EBUSY, hold->function, what,
                         "IOMMU group %d is not viable: %s in it has driver %s",
                         function.iommu_group, other.address, other.driver);
    return 0;
}

/* One by one: what a driver does not take back does not keep the rest from going back. */
static void put_settings_back(const struct vf_host *host, const struct vf_hold *hold)
{
    for (unsigned bit = 1; bit & VF_ALL_SETTINGS; bit <<= 1) {
        struct vf_settings one = hold->before;
        struct husk_error refusal;

        one.known &= bit & KEPT;
        if (one.known)
            (void)vf_set(host, hold->pf, hold->name, hold->index, &one, &refusal);
    }
}

int vf_hold_return(const struct vf_host *host, const struct vf_hold *hold, struct husk_error *err)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    char address[PCI_ADDRESS_SIZE];
    struct pci_function function;
    int ret = 0;

    /* Another VF may have the number by now. */
    if (pci_vf_address(host, hold->pf, hold->index, address) == 0 &&
        !strcmp(address, hold->function))
        put_settings_back(host, hold);
    for (unsigned i = 0; i < BUSY_TRIES; i++) {
        ret = vf_unbind(host, hold->function, err);
        if (ret != -EBUSY)
            break;
        nanosleep(&pause, NULL); /* a monitor that is ending has it still */
    }
    if (ret < 0 && pci_function_read(host, hold->function, &function) == -ENODEV)
        return 0;
    return ret < 0 ? ret : 0;
}
