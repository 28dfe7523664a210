// SPDX-License-Identifier: Apache-2.0
/* Handing out interrupt lines: see interrupts.h. */
#include "vmm/interrupts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/io.h"
#include "vmm/kvm.h"

void interrupts_init(struct interrupts *interrupts, const struct kvm *kvm, uint64_t free_pool)
{
    interrupts->kvm = kvm;
    interrupts->taken = 0;
    interrupts->free_pool = free_pool;
    interrupts->msi_room = 0;
    interrupts->msi_fds = NULL;
    interrupts->routes = NULL;
    interrupts->stale_routes = false;
    pthread_mutex_init(&interrupts->level_lock, NULL);
    memset(interrupts->asserted_by, 0, sizeof(interrupts->asserted_by));
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

/* ---- levels ---- */

int interrupts_reserve(struct interrupts *interrupts, uint32_t gsi)
{
    if (gsi >= INTERRUPT_LINES_MAX)
        return -EINVAL;
    if (interrupts->taken & (1ull << gsi))
        return -EBUSY;
    interrupts->taken |= 1ull << gsi;
    return 0;
}

/* KVM keeps one level for all that user space asserts, beside those of resampled lines: the first
 * and the last of us set it. The lock is held through the call, so that levels arrive in order. */
static void set_level(void *arg, uint32_t gsi, bool asserted)
{
    struct interrupts *interrupts = arg;
    unsigned *count;

    if (gsi >= INTERRUPT_LINES_MAX)
        return;
    pthread_mutex_lock(&interrupts->level_lock);
    count = &interrupts->asserted_by[gsi];
    if (asserted ? (*count)++ == 0 : *count > 0 && --*count == 0)
        kvm_set_irq_level(interrupts->kvm, gsi, asserted);
    pthread_mutex_unlock(&interrupts->level_lock);
}

static int take_resampled(void *arg, uint32_t gsi, struct irq_resampled *out)
{
    const struct interrupts *interrupts = arg;
    struct irq_resampled irq = {.trigger_fd = eventfd_open(), .gsi = gsi};
    int ret;

    irq.resample_fd = eventfd_open();
    ret = irq.trigger_fd < 0 ? irq.trigger_fd : irq.resample_fd;
    if (ret >= 0)
        ret = kvm_connect_resampled(interrupts->kvm, irq.trigger_fd, irq.resample_fd, gsi);
    if (ret < 0) {
        close_fd(&irq.trigger_fd);
        close_fd(&irq.resample_fd);
        return ret;
    }
    *out = irq;
    return 0;
}

/* Disconnected by name: the device's owner may have copies of the descriptors. */
static void give_resampled(void *arg, struct irq_resampled *irq)
{
    const struct interrupts *interrupts = arg;

    if (irq->trigger_fd >= 0)
        kvm_disconnect_irq(interrupts->kvm, irq->trigger_fd, irq->gsi);
    close_fd(&irq->trigger_fd);
    close_fd(&irq->resample_fd);
}

struct level_controller interrupts_levels(struct interrupts *interrupts)
{
    return (struct level_controller){
        .set = set_level, .take = take_resampled, .give = give_resampled, .arg = interrupts};
}

/* ---- messages ---- */

#define MSI_ROOM_STEP 64u

/* Twice the room. msi_lock held. */
static int grow(struct interrupts *interrupts)
{
    unsigned room = interrupts->msi_room ? 2 * interrupts->msi_room : MSI_ROOM_STEP;
    struct arch_msi_route *routes;
    int *fds;

    if (interrupts->msi_room == MSI_VECTORS_MAX)
        return -ENOSPC;
    room = (unsigned)min_u64(room, MSI_VECTORS_MAX);
    fds = reallocarray(interrupts->msi_fds, room, sizeof(*fds));
    if (!fds)
        return -ENOMEM;
    interrupts->msi_fds = fds;
    routes = reallocarray(interrupts->routes, room, sizeof(*routes));
    if (!routes)
        return -ENOMEM;
    interrupts->routes = routes;
    for (unsigned i = interrupts->msi_room; i < room; i++) {
        fds[i] = -1;
        routes[i] = (struct arch_msi_route){0};
    }
    interrupts->msi_room = room;
    return 0;
}

static int find_free(struct interrupts *interrupts, unsigned *out)
{
    for (*out = 0; *out < interrupts->msi_room; (*out)++) {
        if (interrupts->msi_fds[*out] < 0)
            return 0;
    }
    return grow(interrupts); /* then *out is its first */
}

/* So that what is raised on a new line does not go where its GSI went before. */
static int forget_stale_routes(struct interrupts *interrupts)
{
    int ret;

    if (!interrupts->stale_routes)
        return 0;
    ret = arch_set_routes(interrupts->kvm, interrupts->routes, interrupts->msi_room);
    if (!ret)
        interrupts->stale_routes = false;
    return ret;
}

/* KVM takes a line that no route leads from: what is raised on it is dropped. */
static int take_locked(struct interrupts *interrupts, struct irq_line *out)
{
    unsigned index;
    int ret = find_free(interrupts, &index);
    int fd;

    if (!ret)
        ret = forget_stale_routes(interrupts);
    if (ret)
        return ret;
    fd = eventfd_open();
    if (fd < 0)
        return fd;
    ret = kvm_connect_irq(interrupts->kvm, fd, arch_first_msi_gsi + index);
    if (ret < 0) {
        close_fd(&fd);
        return ret;
    }
    interrupts->msi_fds[index] = fd;
    *out = (struct irq_line){.event_fd = fd, .gsi = arch_first_msi_gsi + index};
    return 0;
}

static int take_msi(void *arg, struct irq_line *out)
{
    struct interrupts *interrupts = arg;
    int ret;

    pthread_mutex_lock(&interrupts->msi_lock);
    ret = take_locked(interrupts, out);
    pthread_mutex_unlock(&interrupts->msi_lock);
    return ret;
}

/* Whether the line is one of ours. msi_lock held. */
static bool is_taken(const struct interrupts *interrupts, const struct irq_line *line)
{
    unsigned index = line->gsi - arch_first_msi_gsi;

    return line->event_fd >= 0 && index < interrupts->msi_room &&
           interrupts->msi_fds[index] == line->event_fd;
}

static void give_msi(void *arg, struct irq_line *line)
{
    struct interrupts *interrupts = arg;
    unsigned index = line->gsi - arch_first_msi_gsi;

    pthread_mutex_lock(&interrupts->msi_lock);
    if (is_taken(interrupts, line)) {
        close_fd(&interrupts->msi_fds[index]); /* ends KVM's irqfd as well */
        interrupts->stale_routes |= interrupts->routes[index].gsi != 0;
        interrupts->routes[index] = (struct arch_msi_route){0};
    }
    pthread_mutex_unlock(&interrupts->msi_lock);
    *line = (struct irq_line){.event_fd = -1};
}

static int route_msi(void *arg, const struct irq_line *line, uint64_t address, uint32_t data)
{
    struct interrupts *interrupts = arg;
    const struct arch_msi_route wanted = {.gsi = line->gsi, .address = address, .data = data};
    struct arch_msi_route *route;
    int ret = -EINVAL;

    pthread_mutex_lock(&interrupts->msi_lock);
    if (!is_taken(interrupts, line))
        goto out;
    ret = 0;
    route = &interrupts->routes[line->gsi - arch_first_msi_gsi];
    /* Setting routes waits for a grace period of the host's kernel: only when something changed. */
    if (route->gsi != wanted.gsi || route->address != address || route->data != data) {
        struct arch_msi_route before = *route;

        *route = wanted;
        ret = arch_set_routes(interrupts->kvm, interrupts->routes, interrupts->msi_room);
        if (ret)
            *route = before;
        else
            interrupts->stale_routes = false;
    }
out:
    pthread_mutex_unlock(&interrupts->msi_lock);
    return ret;
}

/* KVM takes what is in an eventfd that it comes to listen to, but leaves it there; so it is taken
 * out before, and put back once KVM listens. What comes in between is sent twice at most. */
static int let_go(const struct interrupts *interrupts, const struct irq_line *line)
{
    bool raised = eventfd_drain(line->event_fd) > 0;
    int ret = kvm_connect_irq(interrupts->kvm, line->event_fd, line->gsi);

    if (raised)
        eventfd_signal(line->event_fd);
    return ret;
}

static int hold_msi(void *arg, const struct irq_line *line, bool held)
{
    struct interrupts *interrupts = arg;
    int ret = -EINVAL;

    pthread_mutex_lock(&interrupts->msi_lock);
    if (is_taken(interrupts, line)) {
        ret = 0;
        if (held)
            kvm_disconnect_irq(interrupts->kvm, line->event_fd, line->gsi);
        else
            ret = let_go(interrupts, line);
    }
    pthread_mutex_unlock(&interrupts->msi_lock);
    return ret;
}

struct msi_controller interrupts_msi(struct interrupts *interrupts)
{
    return (struct msi_controller){.take = take_msi,
                                   .give = give_msi,
                                   .route = route_msi,
                                   .hold = hold_msi,
                                   .arg = interrupts};
}

void interrupts_release(struct interrupts *interrupts)
{
    /* Closing the eventfd ends KVM's irqfd as well. */
    for (unsigned i = 0; i < INTERRUPT_LINES_MAX; i++)
        close_fd(&interrupts->event_fds[i]);
    interrupts->taken = 0;
    for (unsigned i = 0; i < interrupts->msi_room; i++)
        close_fd(&interrupts->msi_fds[i]);
    free(interrupts->msi_fds);
    free(interrupts->routes);
    interrupts->msi_fds = NULL;
    interrupts->routes = NULL;
    interrupts->msi_room = 0;
}
