// SPDX-License-Identifier: Apache-2.0
/* Raising an interrupt line: see irq.h. */
#include "vmm/irq.h"

#include "base/io.h"

void irq_line_raise(const struct irq_line *line)
{
    if (line->event_fd >= 0)
        eventfd_signal(line->event_fd);
}

bool irq_line_is_raised(const struct irq_line *line)
{
    if (line->event_fd < 0 || eventfd_drain(line->event_fd) == 0)
        return false;
    eventfd_signal(line->event_fd); /* nobody else takes it out: it is held */
    return true;
}
