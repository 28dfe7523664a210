// SPDX-License-Identifier: Apache-2.0
/*
 * MSI-X: see msix.h.
 *
 * A vector is live when MSI-X is enabled, the function is a bus master, and neither it nor the
 * vector is masked; its route at
 * the interrupt controller is then what its table entry says. A masked vector keeps the route that
 * it had, for drivers mask and unmask far more often than they move interrupts.
 *
 * msix_raise() races with unmasking. It stores the pending bit, then looks at `live` again;
 * unmasking stores `live`, then looks at the pending bit: whoever takes the bit away raises the
 * line.
 */
#include "devices/pci/msix.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"

#define ENTRY_BYTES 16u

struct vector {
    struct irq_line line;
    uint8_t entry[ENTRY_BYTES]; /* guarded by lock */
    atomic_bool live;
};

struct msix {
    struct pci_function *function;
    struct msi_controller msi;
    unsigned capability; /* its offset */
    atomic_bool enabled;

    pthread_mutex_t lock; /* changes of `enabled`, `masked`, and vectors */
    bool masked;          /* the whole function, or it is no bus master */
    _Atomic uint64_t pending[MSIX_VECTORS_MAX / 64];
    unsigned vector_count;
    struct vector vectors[];
};

static bool take_pending(struct msix *msix, unsigned vector)
{
    uint64_t bit = 1ull << vector % 64;

    return atomic_fetch_and(&msix->pending[vector / 64], ~bit) & bit;
}

void msix_raise(struct msix *msix, unsigned index)
{
    struct vector *vector;

    if (index >= msix->vector_count || !atomic_load(&msix->enabled))
        return;
    vector = &msix->vectors[index];
    if (!atomic_load(&vector->live)) {
        atomic_fetch_or(&msix->pending[index / 64], 1ull << index % 64);
        if (!atomic_load(&vector->live) || !take_pending(msix, index))
            return;
    }
    irq_line_raise(&vector->line);
}

bool msix_enabled(const struct msix *msix)
{
    return atomic_load(&msix->enabled);
}

/* Bring a vector to what the registers say. Lock held. */
static void update_vector(struct msix *msix, unsigned index)
{
    struct vector *vector = &msix->vectors[index];
    bool live =
        atomic_load(&msix->enabled) && !msix->masked &&
        !(get_le32(vector->entry + PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT);

    /* Without a route nothing could be sent: it stays as if it were masked. */
    if (live && msix->msi.route(msix->msi.arg, &vector->line, get_le64(vector->entry),
                                get_le32(vector->entry + PCI_MSIX_ENTRY_DATA)))
        live = false;
    atomic_store(&vector->live, live);
    if (live && take_pending(msix, index))
        irq_line_raise(&vector->line);
}

void msix_config_written(struct msix *msix, unsigned offset, unsigned size)
{
    unsigned flags = msix->capability + PCI_MSIX_FLAGS;
    uint16_t control = get_le16(msix->function->config + flags);

    if ((offset >= flags + 2 || offset + size <= flags) &&
        (offset >= PCI_COMMAND + 2 || offset + size <= PCI_COMMAND))
        return;
    pthread_mutex_lock(&msix->lock);
    atomic_store(&msix->enabled, control & PCI_MSIX_FLAGS_ENABLE);
    msix->masked = (control & PCI_MSIX_FLAGS_MASKALL) || !pci_function_masters(msix->function);
    for (unsigned i = 0; i < msix->vector_count; i++)
        update_vector(msix, i);
    if (!(control & PCI_MSIX_FLAGS_ENABLE)) {
        for (unsigned i = 0; i < ARRAY_SIZE(msix->pending); i++)
            atomic_store(&msix->pending[i], 0);
    }
    pthread_mutex_unlock(&msix->lock);
}

static bool is_access(uint64_t offset, unsigned size)
{
    return (size == 4 || size == 8) && is_aligned(offset, size);
}

/* The entry that the access is in; an aligned one never crosses into the next. */
static struct vector *find_vector(struct msix *msix, uint64_t offset, unsigned size)
{
    uint64_t index = offset / ENTRY_BYTES;

    return is_access(offset, size) && index < msix->vector_count ? &msix->vectors[index] : NULL;
}

void msix_table_read(struct msix *msix, uint64_t offset, void *data, unsigned size)
{
    const struct vector *vector = find_vector(msix, offset, size);

    if (!vector)
        return;
    pthread_mutex_lock(&msix->lock);
    memcpy(data, vector->entry + offset % ENTRY_BYTES, size);
    pthread_mutex_unlock(&msix->lock);
}

void msix_table_write(struct msix *msix, uint64_t offset, const void *data, unsigned size)
{
    struct vector *vector = find_vector(msix, offset, size);

    if (!vector)
        return;
    pthread_mutex_lock(&msix->lock);
    memcpy(vector->entry + offset % ENTRY_BYTES, data, size);
    /* 6.8.2.6 and .9: the two lowest bits of the address, and all of vector control but the mask,
     * are 0. */
    vector->entry[PCI_MSIX_ENTRY_LOWER_ADDR] &= 0xfc;
    put_le32(vector->entry + PCI_MSIX_ENTRY_VECTOR_CTRL,
             get_le32(vector->entry + PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
    update_vector(msix, (unsigned)(offset / ENTRY_BYTES));
    pthread_mutex_unlock(&msix->lock);
}

void msix_pba_read(struct msix *msix, uint64_t offset, void *data, unsigned size)
{
    uint64_t word = offset / 8;

    if (!is_access(offset, size) || word >= ARRAY_SIZE(msix->pending))
        return;
    put_le_sized(data, size, atomic_load(&msix->pending[word]) >> (8 * (offset % 8)));
}

static int add_capability(struct msix *msix, unsigned bar, uint32_t table, uint32_t pba)
{
    struct pci_function *function = msix->function;
    int offset = pci_function_add_capability(function, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

    if (offset < 0)
        return offset;
    msix->capability = (unsigned)offset;
    put_le16(function->config + offset + PCI_MSIX_FLAGS, (uint16_t)(msix->vector_count - 1));
    put_le32(function->config + offset + PCI_MSIX_TABLE, table | bar);
    put_le32(function->config + offset + PCI_MSIX_PBA, pba | bar);
    put_le16(function->writable + offset + PCI_MSIX_FLAGS,
             PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    return 0;
}

int msix_create(struct pci_function *function, const struct msi_controller *msi, unsigned vectors,
                unsigned bar, uint32_t table_offset, uint32_t pba_offset, struct msix **out)
{
    struct msix *msix;
    int ret;

    if (vectors == 0 || vectors > MSIX_VECTORS_MAX)
        return -EINVAL;
    msix = calloc(1, sizeof(*msix) + vectors * sizeof(msix->vectors[0]));
    if (!msix)
        return -ENOMEM;
    msix->function = function;
    msix->msi = *msi;
    msix->vector_count = vectors;
    pthread_mutex_init(&msix->lock, NULL);
    for (unsigned i = 0; i < vectors; i++)
        msix->vectors[i].line.event_fd = -1;
    ret = add_capability(msix, bar, table_offset, pba_offset);
    for (unsigned i = 0; i < vectors && !ret; i++) {
        struct vector *vector = &msix->vectors[i];

        /* 6.8.2.9: masked after reset. */
        put_le32(vector->entry + PCI_MSIX_ENTRY_VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
        ret = msi->take(msi->arg, &vector->line);
    }
    if (ret) {
        msix_destroy(msix);
        return ret;
    }
    *out = msix;
    return 0;
}

void msix_destroy(struct msix *msix)
{
    if (!msix)
        return;
    for (unsigned i = 0; i < msix->vector_count; i++)
        msix->msi.give(msix->msi.arg, &msix->vectors[i].line);
    pthread_mutex_destroy(&msix->lock);
    free(msix);
}
