// SPDX-License-Identifier: Apache-2.0
#include "cli/node/check.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "husk/pod.h"

static const char any_pod[] =
    "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": "
    "\"any\"}, \"spec\": {\"containers\": [{\"name\": \"any\", "
    "\"image\": \"any\"}]}}";

int node_check(const struct node_options *options, struct husk_error *err)
{
    struct husk_pod_create_options create = HUSK_POD_CREATE_OPTIONS_INIT;
    struct husk_manifest *manifest;
    struct husk_error why = {0};
    int ret = husk_manifest_read("any pod", any_pod, strlen(any_pod), NULL, &manifest, err);

    if (ret)
        return ret;
    create.network = options->network ? options->network : "none";
    create.kernel = options->kernel;
    ret = husk_pod_check(manifest, 0, &create, &why);
    husk_manifest_free(manifest);
    if (!ret)
        return 0;
    return error_set(err, -ret, ret == -EINVAL ? "--network" : "--guest-kernel",
                     ret == -EINVAL ? "is wrong" : "cannot be used", "%s: %s",
                     ret == -EINVAL ? options->network : options->kernel,
                     why.why[0] ? why.why : error_text(-ret));
}
