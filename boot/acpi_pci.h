// SPDX-License-Identifier: Apache-2.0
/* The PCI host bridge in the DSDT; for boot/acpi.c. */
#ifndef HUSK_BOOT_ACPI_PCI_H
#define HUSK_BOOT_ACPI_PCI_H

#include "boot/acpi.h"
#include "boot/aml.h"

/* The method that tells the OS what came and what should go; in the scope of \_SB. */
#define ACPI_PCI_EVENT_METHOD "\\_SB.PCI0.PCNT"

/* Inside the scope of \_SB. */
void acpi_add_pci(struct aml *aml, const struct acpi_pci *pci);

#endif
