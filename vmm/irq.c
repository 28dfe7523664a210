// SPDX-License-Identifier: Apache-2.0
/* Raising an interrupt line: see irq.h. */
#include "vmm/irq.h"

#include "base/io.h"

void irq_line_raise(const struct irq_line *line)
{
    if (line->event_fd >= 0)
        eventfd_signal(line->event_fd);
}
