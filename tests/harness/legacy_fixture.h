// SPDX-License-Identifier: Apache-2.0
/*
 * What a legacy device needs around it in a test: a port bus, an interrupt whose edges can be
 * counted, a sink that records what the guest asked for.
 */
#ifndef HUSK_TESTS_HARNESS_LEGACY_FIXTURE_H
#define HUSK_TESTS_HARNESS_LEGACY_FIXTURE_H

#include <stdint.h>

#include "base/log.h"
#include "devices/device.h"
#include "devices/legacy/legacy.h"

struct legacy_fixture {
    struct device_env env;
    struct irq_line irq;
    struct guest_request_sink sink;
    struct log log;
    unsigned log_lines;
    unsigned requests; /* how many, and the last one: */
    enum guest_request request;
    uint8_t value;
};

void legacy_fixture_init(struct legacy_fixture *fixture);
void legacy_fixture_release(struct legacy_fixture *fixture);

uint8_t port_in8(struct legacy_fixture *fixture, uint16_t port);
uint32_t port_in(struct legacy_fixture *fixture, uint16_t port, unsigned size);
void port_out8(struct legacy_fixture *fixture, uint16_t port, uint8_t value);
void port_out(struct legacy_fixture *fixture, uint16_t port, uint32_t value, unsigned size);

/* Edges since the last call. */
unsigned irq_edges(struct legacy_fixture *fixture);

#endif
