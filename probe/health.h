// SPDX-License-Identifier: Apache-2.0
/*
 * The two messages of grpc.health.v1.Health/Check, in the encoding of Protocol Buffers:
 *
 *     message HealthCheckRequest  { string service = 1; }
 *     message HealthCheckResponse { enum ServingStatus; ServingStatus status = 1; }
 *
 * Pure.
 */
#ifndef HUSK_PROBE_HEALTH_H
#define HUSK_PROBE_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#include "probe/protocol.h"

#define HEALTH_REQUEST_MAX (PROBE_NAME_BYTES + 3)

enum health_status {
    HEALTH_UNKNOWN,
    HEALTH_SERVING,
    HEALTH_NOT_SERVING,
    HEALTH_SERVICE_UNKNOWN,
};

/* The request for a service, "" for the whole server; shorter than PROBE_NAME_BYTES. Its length. */
size_t health_request(const char *service, uint8_t out[HEALTH_REQUEST_MAX]);

/* The status of an answer, also one that enum health_status does not have; the last counts, none is
 * HEALTH_UNKNOWN. Fields of other numbers or types are passed over. -EPROTO: it is no message. */
int health_read(const uint8_t *bytes, size_t len, int32_t *status);

#endif
