// SPDX-License-Identifier: Apache-2.0
/*
 * MSI-X (PCI 3.0, section 6.8.2): a table of messages in a BAR, one for each vector, each of which
 * the guest masks by itself or all together; what comes meanwhile is kept as a pending bit.
 *
 * Threads: msix_raise() from any thread, without a lock: it may be called with a device's lock
 * held. The table is accessed on vCPU threads, concurrently, and guarded by a lock inside.
 */
#ifndef HUSK_DEVICES_PCI_MSIX_H
#define HUSK_DEVICES_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/pci/function.h"
#include "vmm/irq.h"

#define MSIX_VECTORS_MAX 128u
#define MSIX_TABLE_BYTES (16u * MSIX_VECTORS_MAX) /* room for the table, in any case */
#define MSIX_PBA_BYTES   (MSIX_VECTORS_MAX / 8)

struct msix;

/*
 * Add the capability to `function`, with the table and the pending bits at these offsets of `bar`.
 * `msi` outlives it. Returns 0 or -errno; the caller owns *out.
 */
int msix_create(struct pci_function *function, const struct msi_controller *msi, unsigned vectors,
                unsigned bar, uint32_t table_offset, uint32_t pba_offset, struct msix **out);
void msix_destroy(struct msix *msix); /* NULL is fine */

/* Send vector's message, or remember that it is to be sent: while it is masked, and while the
 * function is no bus master, for a message is a memory write (6.2.2). Nothing while MSI-X is
 * disabled. */
void msix_raise(struct msix *msix, unsigned vector);

/* Whether the guest turned MSI-X on. */
bool msix_enabled(const struct msix *msix);

/* The guest wrote to configuration space: pci_function_ops.config_written. */
void msix_config_written(struct msix *msix, unsigned offset, unsigned size);

/* Accesses of the table and the pending bits, from their start; aligned, of 4 or 8 bytes (6.8.2).
 * Others read all-ones and write nothing. */
void msix_table_read(struct msix *msix, uint64_t offset, void *data, unsigned size);
void msix_table_write(struct msix *msix, uint64_t offset, const void *data, unsigned size);
void msix_pba_read(struct msix *msix, uint64_t offset, void *data, unsigned size);

#endif
