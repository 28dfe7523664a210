// SPDX-License-Identifier: Apache-2.0
/*
 * A PCI function of type 0 (PCI 3.0, sections 6.1 and 6.2.5): its configuration space, in which
 * each bit is the guest's or not, its memory BARs, its capabilities, its interrupt pin.
 *
 * Configuration space has the 4096 bytes of PCI Express, of which the conventional access reaches
 * the first 256. Behind those a function that adds nothing reads as 0, which is an empty list of
 * extended capabilities (PCIe 6.0, section 7.6.2).
 *
 * Threads: config and writable are guarded by the host bridge's lock (host.h), which calls ops. The
 * pci_function_* calls are for whoever makes the function, before it is plugged.
 */
#ifndef HUSK_DEVICES_PCI_FUNCTION_H
#define HUSK_DEVICES_PCI_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_CONFIG_BYTES       4096u
#define PCI_CONVENTIONAL_BYTES 256u /* where the header and the plain capabilities are */
#define PCI_BARS               6u
#define PCI_NOWHERE            UINT64_MAX /* a BAR that answers at no address */

struct pci_function;

struct pci_function_ops {
    /* Optional. The guest is about to read, or has written, [offset, offset + size), at most 4
     * bytes. config is what it will see, or what of the write it could change; data is what it
     * wrote, whole. The lock of configuration space is held. */
    void (*config_read)(struct pci_function *function, unsigned offset, unsigned size);
    void (*config_written)(struct pci_function *function, unsigned offset, const void *data,
                           unsigned size);
    /* An access inside a BAR, as bus_ops. Any vCPU thread, concurrently. */
    void (*bar_read)(struct pci_function *function, unsigned bar, uint64_t offset, void *data,
                     unsigned size);
    void (*bar_write)(struct pci_function *function, unsigned bar, uint64_t offset,
                      const void *data, unsigned size);
    /* Optional. The BAR left `from` for `to`; either may be PCI_NOWHERE. Nobody accesses it. */
    void (*bar_moved)(struct pci_function *function, unsigned bar, uint64_t from, uint64_t to);
};

/* Of a BAR (6.2.5.1). */
#define PCI_BAR_64BIT        1u /* takes the next register too */
#define PCI_BAR_PREFETCHABLE 2u

struct pci_bar {
    uint64_t size; /* 0: there is none; else a power of two, at least 4 KiB */
    bool is_64bit;
    uint64_t at; /* where it answers now, or PCI_NOWHERE. Host bridge only. */
};

struct pci_function {
    const struct pci_function_ops *ops;
    const char *name;
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES]; /* a set bit is the guest's */
    struct pci_bar bars[PCI_BARS];
    unsigned capabilities_end; /* where the next one goes */
    unsigned last_capability;  /* 0: none yet */
    unsigned number;           /* of the device on its bus, 0 until it is plugged */
    uint32_t gsi;              /* what its pin INTA# is wired to, once it is plugged */

    /* The pin, for pci_host_set_pin(); guarded by a lock of the host bridge's. */
    bool pin_wired;    /* plugged into a bus with pins */
    bool pin_raised;   /* the function wants an interrupt */
    bool pin_disabled; /* the guest set Interrupt Disable (6.2.2) */
    bool pin_asserted; /* what the interrupt controller was told */
};

struct pci_identity {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits */
    uint8_t revision;
};

/* Everything zero but the identity and the writable bits of the header. */
void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
                       const char *name, const struct pci_identity *identity);

/* flags: PCI_BAR_*. Returns 0, or -EINVAL for a BAR that does not exist, is taken, or a size that
 * cannot be. */
int pci_function_add_bar(struct pci_function *function, unsigned bar, uint64_t size,
                         unsigned flags);

/* Append a capability of `size` bytes (the two of its header included; 6.7). Returns its offset, or
 * -ENOSPC. Its bytes are zero and read-only. */
int pci_function_add_capability(struct pci_function *function, uint8_t id, unsigned size);

/* Make it a PCI Express function: one that is integrated into the root complex, for it is on bus 0
 * (PCIe 6.0, section 7.5.3). Returns 0 or -ENOSPC. */
int pci_function_add_express(struct pci_function *function);

/* Say that it interrupts by INTA# (PCI 3.0, section 6.2.4). */
void pci_function_add_pin(struct pci_function *function);

/* The address in a BAR, whether or not it is decoded. */
uint64_t pci_function_bar_address(const struct pci_function *function, unsigned bar);
void pci_function_set_bar_address(struct pci_function *function, unsigned bar, uint64_t address);

/* Whether the guest turned memory decoding on (6.2.2, bit 1 of the command register). */
bool pci_function_decodes(const struct pci_function *function);

/* Whether it may access memory, which is also how messages are sent (bit 2). */
bool pci_function_masters(const struct pci_function *function);

/* An access of 1, 2 or 4 naturally aligned bytes; others read all-ones and write nothing. */
void pci_function_config_read(struct pci_function *function, unsigned offset, void *data,
                              unsigned size);
void pci_function_config_write(struct pci_function *function, unsigned offset, const void *data,
                               unsigned size);

#endif
