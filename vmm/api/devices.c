// SPDX-License-Identifier: Apache-2.0
/* /vsock, /entropy, /serial: at most one of each; a later request replaces an earlier one. */
#include "vmm/api/state.h"

int vsock_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct vsock_settings vsock = {0};
    int ret = read_body(call, &vsock_shape, &vsock, fault);

    if (ret)
        return ret;
    call->deprecated = vsock.vsock_id != NULL;
    ret = need_not_started(api, fault);
    if (ret) {
        json_release(&vsock_shape, &vsock);
        return ret;
    }
    json_release(&vsock_shape, &api->vsock);
    api->vsock = vsock;
    /* Accepted for old clients, and not told again, as with Firecracker. */
    free(api->vsock.vsock_id);
    api->vsock.vsock_id = NULL;
    return 0;
}

int entropy_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct entropy_settings entropy = {0};
    int ret = read_body(call, &entropy_shape, &entropy, fault);

    if (!ret)
        ret = need_not_started(api, fault);
    if (ret)
        return ret;
    if (rate_of_bucket(&entropy.rate_limiter.ops).per_second)
        return api_fault_set(fault, "Entropy config error: rate_limiter: ops: only bandwidth can "
                                    "be limited.");
    api->entropy = entropy;
    return 0;
}

int serial_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct serial_settings serial = {0};
    int ret = read_body(call, &serial_shape, &serial, fault);

    if (ret)
        return ret;
    ret = need_not_started(api, fault);
    if (ret) {
        json_release(&serial_shape, &serial);
        return ret;
    }
    json_release(&serial_shape, &api->serial);
    api->serial = serial;
    return 0;
}
