// SPDX-License-Identifier: Apache-2.0
/* A record of a small pod. After cmocka.h. */
#ifndef HUSK_TESTS_UNIT_POD_PODS_RECORD_FIXTURE_H
#define HUSK_TESTS_UNIT_POD_PODS_RECORD_FIXTURE_H

#include <stdio.h>

#include "pod/pods/pods.h"

static const char fixture_pod[] =
    "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"web\", \"namespace\": "
    "\"default\"}, \"spec\": {\"containers\": [{\"name\": \"a\", \"image\": \"busybox\", "
    "\"imagePullPolicy\": \"IfNotPresent\", \"terminationMessagePath\": \"/dev/termination-log\", "
    "\"terminationMessagePolicy\": \"File\"}], \"restartPolicy\": \"Never\", "
    "\"terminationGracePeriodSeconds\": 10, \"dnsPolicy\": \"ClusterFirst\"}}";

static inline struct pod_record fixture_record(const char *key)
{
    struct pod_record record = {.created_ns = 7};

    assert_int_equal(pod_uid_new(record.uid), 0);
    snprintf(record.key, sizeof(record.key), "%s", key);
    snprintf(record.network, sizeof(record.network), "none");
    record.pod = json_loads(fixture_pod, 0, NULL);
    record.objects = json_pack("{s:{}, s:{}}", "configMaps", "secrets");
    assert_non_null(record.pod);
    return record;
}

#endif
