// SPDX-License-Identifier: Apache-2.0
/* Addresses of PCI functions of the host, as people and sysfs write them. */
#ifndef HUSK_BASE_PCI_ADDRESS_H
#define HUSK_BASE_PCI_ADDRESS_H

#define PCI_ADDRESS_SIZE 20u /* "10000:01:10.0" and its NUL, with room */

/* "0000:01:10.0", or without the domain when it is 0, in sysfs's spelling. 0 or -EINVAL. */
int pci_address_parse(const char *text, char out[PCI_ADDRESS_SIZE]);

#endif
