// SPDX-License-Identifier: Apache-2.0
/* Surroundings of a legacy device: see legacy_fixture.h. A test's own failures abort it. */
#include "tests/harness/legacy_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "vmm/bus.h"

static void record_request(void *arg, enum guest_request request, uint8_t value)
{
    struct legacy_fixture *fixture = arg;

    fixture->requests++;
    fixture->request = request;
    fixture->value = value;
}

static void count_line(void *arg, enum log_level level, const char *line)
{
    struct legacy_fixture *fixture = arg;

    fixture->log_lines++;
}

void legacy_fixture_init(struct legacy_fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->log = (struct log){.sink = count_line, .sink_arg = fixture, .level = LOG_LEVEL_DEBUG};
    fixture->env.log = &fixture->log;
    fixture->sink = (struct guest_request_sink){.request = record_request, .arg = fixture};
    fixture->irq = (struct irq_line){.event_fd = eventfd_open(), .gsi = 4};
    if (fixture->irq.event_fd < 0 || bus_create(NULL, &fixture->env.ports))
        abort();
}

void legacy_fixture_release(struct legacy_fixture *fixture)
{
    bus_destroy(fixture->env.ports);
    close_fd(&fixture->irq.event_fd);
}

uint32_t port_in(struct legacy_fixture *fixture, uint16_t port, unsigned size)
{
    uint8_t data[8];

    bus_read(fixture->env.ports, port, data, size);
    return (uint32_t)get_le_sized(data, size);
}

uint8_t port_in8(struct legacy_fixture *fixture, uint16_t port)
{
    return (uint8_t)port_in(fixture, port, 1);
}

void port_out(struct legacy_fixture *fixture, uint16_t port, uint32_t value, unsigned size)
{
    uint8_t data[8];

    put_le_sized(data, size, value);
    bus_write(fixture->env.ports, port, data, size);
}

void port_out8(struct legacy_fixture *fixture, uint16_t port, uint8_t value)
{
    port_out(fixture, port, value, 1);
}

unsigned irq_edges(struct legacy_fixture *fixture)
{
    return (unsigned)eventfd_drain(fixture->irq.event_fd);
}
