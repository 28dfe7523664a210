// SPDX-License-Identifier: Apache-2.0
/* Handing out interrupt lines: see interrupts.h. */
#include "vmm/interrupts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/io.h"
#include "vmm/kvm.h"

void interrupts_init(struct interrupts *interrupts, const struct kvm *kvm, uint64_t free_pool)
{
    interrupts->kvm = kvm;
    interrupts->taken = 0;
    interrupts->free_pool = free_pool;
    interrupts->msi_count = 0;
    interrupts->msi_fds = NULL;
    interrupts->routes = NULL;
    pthread_mutex_init(&interrupts->msi_lock, NULL);
    for (unsigned i = 0; i < INTERRUPT_LINES_MAX; i++)
        interrupts->event_fds[i] = -1;
}

int interrupts_take(struct interrupts *interrupts, uint32_t gsi, struct irq_line *out)
{
    int fd, ret;

    if (gsi >= INTERRUPT_LINES_MAX)
        return -EINVAL;
    if (interrupts->taken & (1ull << gsi))
        return -EBUSY;
    fd = eventfd_open();
    if (fd < 0)
        return fd;
    ret = kvm_connect_irq(interrupts->kvm, fd, gsi);
    if (ret < 0) {
        close_fd(&fd);
        return ret;
    }
    interrupts->taken |= 1ull << gsi;
    interrupts->event_fds[gsi] = fd;
    *out = (struct irq_line){.event_fd = fd, .gsi = gsi};
    return 0;
}

int interrupts_take_any(struct interrupts *interrupts, struct irq_line *out)
{
    uint64_t available = interrupts->free_pool & ~interrupts->taken;

    if (available == 0)
        return -ENOSPC;
    return interrupts_take(interrupts, (uint32_t)__builtin_ctzll(available), out);
}

/* Room for one more vector in both arrays. */
static int grow(struct interrupts *interrupts)
{
    unsigned count = interrupts->msi_count + 1;
    struct arch_msi_route *routes;
    int *fds = reallocarray(interrupts->msi_fds, count, sizeof(*fds));

    if (!fds)
        return -ENOMEM;
    interrupts->msi_fds = fds;
    routes = reallocarray(interrupts->routes, count, sizeof(*routes));
    if (!routes)
        return -ENOMEM;
    interrupts->routes = routes;
    return 0;
}

/* KVM takes a line that no route leads from: what is raised on it is dropped. */
static int take_msi(void *arg, struct irq_line *out)
{
    struct interrupts *interrupts = arg;
    uint32_t gsi = arch_first_msi_gsi + interrupts->msi_count;
    int fd, ret;

    if (interrupts->msi_count == MSI_VECTORS_MAX)
        return -ENOSPC;
    ret = grow(interrupts);
    if (ret)
        return ret;
    fd = eventfd_open();
    if (fd < 0)
        return fd;
    ret = kvm_connect_irq(interrupts->kvm, fd, gsi);
    if (ret < 0) {
        close_fd(&fd);
        return ret;
    }
    interrupts->msi_fds[interrupts->msi_count] = fd;
    interrupts->routes[interrupts->msi_count] = (struct arch_msi_route){0};
    interrupts->msi_count++;
    *out = (struct irq_line){.event_fd = fd, .gsi = gsi};
    return 0;
}

static int route_msi(void *arg, const struct irq_line *line, uint64_t address, uint32_t data)
{
    struct interrupts *interrupts = arg;
    unsigned index = line->gsi - arch_first_msi_gsi;
    struct arch_msi_route wanted = {.gsi = line->gsi, .address = address, .data = data};
    struct arch_msi_route *route;
    int ret = 0;

    if (index >= interrupts->msi_count)
        return -EINVAL;
    pthread_mutex_lock(&interrupts->msi_lock);
    route = &interrupts->routes[index];
    /* Setting routes waits for a grace period of the host's kernel: only when something changed. */
    if (route->gsi != wanted.gsi || route->address != address || route->data != data) {
        struct arch_msi_route before = *route;

        *route = wanted;
        ret = arch_set_routes(interrupts->kvm, interrupts->routes, interrupts->msi_count);
        if (ret)
            *route = before;
    }
    pthread_mutex_unlock(&interrupts->msi_lock);
    return ret;
}

struct msi_controller interrupts_msi(struct interrupts *interrupts)
{
    return (struct msi_controller){.take = take_msi, .route = route_msi, .arg = interrupts};
}

void interrupts_release(struct interrupts *interrupts)
{
    /* Closing the eventfd ends KVM's irqfd as well. */
    for (unsigned i = 0; i < INTERRUPT_LINES_MAX; i++)
        close_fd(&interrupts->event_fds[i]);
    interrupts->taken = 0;
    for (unsigned i = 0; i < interrupts->msi_count; i++)
        close_fd(&interrupts->msi_fds[i]);
    free(interrupts->msi_fds);
    free(interrupts->routes);
    interrupts->msi_fds = NULL;
    interrupts->routes = NULL;
    interrupts->msi_count = 0;
}
