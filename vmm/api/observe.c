// SPDX-License-Identifier: Apache-2.0
/* /logger and /metrics: where the log and the metrics go. */
#include <string.h>

#include "vmm/api/state.h"

int logger_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct logger_settings logger = {0};
    int ret = read_body(call, &logger_shape, &logger, fault);

    if (ret)
        return ret;
    ret = need_not_started(api, fault);
    if (!ret) {
        int code = log_configure(&api->log, &logger);

        if (code)
            ret = api_fault_set(fault, "Logger error: log_path: Failed to open target file: %s: %s",
                                logger.log_path, strerror(-code));
    }
    json_release(&logger_shape, &logger);
    return ret;
}

int metrics_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct metrics_settings metrics = {0};
    int ret = read_body(call, &metrics_shape, &metrics, fault);

    if (ret)
        return ret;
    ret = need_not_started(api, fault);
    if (!ret)
        ret = metrics_configure(&api->metrics, &metrics, fault);
    json_release(&metrics_shape, &metrics);
    return ret;
}
