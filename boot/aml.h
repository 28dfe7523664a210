// SPDX-License-Identifier: Apache-2.0
/*
 * A bounded writer of ACPI machine language (ACPI 6.5, chapter 20): just the terms that husk's DSDT
 * uses. Bytes that do not fit are counted, not written: check aml_fits() once at the end.
 */
#ifndef HUSK_BOOT_AML_H
#define HUSK_BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *bytes;
    size_t size;
    size_t used; /* may exceed size: what would have been needed */
};

void aml_init(struct aml *aml, void *bytes, size_t size);
bool aml_fits(const struct aml *aml);

/* Raw bytes, for table headers and resource descriptors. */
void aml_bytes(struct aml *aml, const void *bytes, size_t len);

/*
 * Constructs with a length: the begin function returns a mark for aml_end(), which inserts the
 * PkgLength (20.2.4). They nest. Names are written "NAME", "\\NAME" or "\\_SB.NAME": segments of
 * four characters, shorter ones padded with '_'.
 */
size_t aml_begin_scope(struct aml *aml, const char *name);
size_t aml_begin_device(struct aml *aml, const char *name);
size_t aml_begin_method(struct aml *aml, const char *name, unsigned arguments, bool serialized);
size_t aml_begin_if(struct aml *aml);
size_t aml_begin_package(struct aml *aml, uint8_t elements);
/* A ResourceTemplate: aml_end_resources() adds the end tag and the buffer's size. */
size_t aml_begin_resources(struct aml *aml);
void aml_end_resources(struct aml *aml, size_t mark);
void aml_end(struct aml *aml, size_t mark);

/* Name (name, …): followed by one data object. */
void aml_name(struct aml *aml, const char *name);
void aml_name_string(struct aml *aml, const char *name); /* a bare reference */

/* Data objects. */
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
void aml_eisa_id(struct aml *aml, const char *id); /* "PNP0501" */

/* An OperationRegion of I/O ports, and from its start on a Field of one 8-bit register, or of
 * 32-bit ones. */
void aml_port_region(struct aml *aml, const char *name, uint16_t port, uint8_t bytes);
void aml_byte_field(struct aml *aml, const char *region, const char *field);
void aml_word_fields(struct aml *aml, const char *region, const char *const *fields,
                     unsigned count);

/* Statements and expressions. */
void aml_store(struct aml *aml, uint64_t value, const char *target); /* target = value */
void aml_store_local0(struct aml *aml, const char *source);          /* Local0 = source */
void aml_local0_and(struct aml *aml, uint64_t mask);                 /* (Local0 & mask) */
void aml_local0_differs(struct aml *aml, const char *name);          /* (Local0 != name) */
void aml_and(struct aml *aml, const char *name, uint64_t mask);      /* name = name & mask */
void aml_or(struct aml *aml, const char *name, uint64_t bits);       /* name = name | bits */
/* CreateDWordField (ArgN, offset, name) */
void aml_argument_word(struct aml *aml, unsigned argument, unsigned offset, const char *name);
void aml_call(struct aml *aml, const char *method);           /* without arguments */
void aml_return_argument(struct aml *aml, unsigned argument); /* Return (ArgN), N at most 6 */
void aml_notify(struct aml *aml, const char *device, uint64_t value);

/* Resource descriptors (ACPI 6.5, section 6.4). */
void aml_resource_ports(struct aml *aml, uint16_t base, uint8_t bytes);
void aml_resource_memory32(struct aml *aml, uint32_t base, uint32_t bytes);
/* What a bridge passes on to its bus, from `base` on: bus numbers, memory of 32 and of 64 bits. */
void aml_resource_buses(struct aml *aml, uint8_t first, uint8_t last);
void aml_resource_window32(struct aml *aml, uint32_t base, uint32_t bytes);
void aml_resource_window64(struct aml *aml, uint64_t base, uint64_t bytes);
/* Active high, exclusive; edge- or level-triggered. */
void aml_resource_interrupt(struct aml *aml, uint32_t gsi);
void aml_resource_level(struct aml *aml, uint32_t gsi);

#endif
