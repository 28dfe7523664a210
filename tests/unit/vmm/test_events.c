// SPDX-License-Identifier: Apache-2.0
/* vmm/events.c: order, the bound, and when the descriptor is readable. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>

#include "vmm/events.h"

static bool readable(const struct event_queue *queue)
{
    struct pollfd fd = {.fd = queue->fd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static void push(struct event_queue *queue, enum husk_event_type type, uint8_t status)
{
    const struct husk_event event = {.type = type, .guest_status = status};

    event_queue_push(queue, &event);
}

static void assert_pop(struct event_queue *queue, enum husk_event_type type, uint8_t status)
{
    struct husk_event event;

    assert_true(readable(queue));
    assert_int_equal(event_queue_pop(queue, &event), 1);
    assert_int_equal(event.type, type);
    assert_int_equal(event.guest_status, status);
}

static void assert_empty(struct event_queue *queue)
{
    struct husk_event event;

    assert_false(readable(queue));
    assert_int_equal(event_queue_pop(queue, &event), 0);
}

static void test_order(void **state)
{
    struct event_queue queue;

    assert_int_equal(event_queue_init(&queue), 0);
    assert_true(fcntl(queue.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(queue.fd, F_GETFL) & O_NONBLOCK);
    assert_empty(&queue);
    push(&queue, HUSK_EVENT_READY, 1);
    push(&queue, HUSK_EVENT_STOPPED, 2);
    assert_pop(&queue, HUSK_EVENT_READY, 1);
    assert_pop(&queue, HUSK_EVENT_STOPPED, 2);
    assert_empty(&queue);
    event_queue_release(&queue);
}

/* Nobody reads while a VM is paused and resumed many times. */
static void test_bound(void **state)
{
    struct event_queue queue;

    assert_int_equal(event_queue_init(&queue), 0);
    push(&queue, HUSK_EVENT_READY, 7);
    for (unsigned i = 0; i < 1000; i++) {
        push(&queue, HUSK_EVENT_PAUSED, (uint8_t)i);
        push(&queue, HUSK_EVENT_RESUMED, (uint8_t)i);
    }
    push(&queue, HUSK_EVENT_PAUSED, 99);
    push(&queue, HUSK_EVENT_STOPPED, 1);
    assert_pop(&queue, HUSK_EVENT_READY, 7);
    assert_pop(&queue, HUSK_EVENT_RESUMED, (uint8_t)999);
    assert_pop(&queue, HUSK_EVENT_PAUSED, 99);
    assert_pop(&queue, HUSK_EVENT_STOPPED, 1);
    assert_empty(&queue);
    event_queue_release(&queue);
}

/* Of devices that are gone, and that are wanted, the newest. */
static void test_removals(void **state)
{
    struct event_queue queue;

    assert_int_equal(event_queue_init(&queue), 0);
    push(&queue, HUSK_EVENT_READY, 7);
    for (unsigned i = 0; i < EVENT_REMOVALS_MAX + 2; i++)
        push(&queue, HUSK_EVENT_DEVICE_REMOVED, (uint8_t)i);
    for (unsigned i = 0; i < EVENT_REMOVALS_MAX + 3; i++)
        push(&queue, HUSK_EVENT_DEVICE_WANTED, (uint8_t)i);
    push(&queue, HUSK_EVENT_PAUSED, 0);
    push(&queue, HUSK_EVENT_RESUMED, 0);
    push(&queue, HUSK_EVENT_STOPPED, 1);
    assert_pop(&queue, HUSK_EVENT_READY, 7);
    for (unsigned i = 2; i < EVENT_REMOVALS_MAX + 2; i++)
        assert_pop(&queue, HUSK_EVENT_DEVICE_REMOVED, (uint8_t)i);
    for (unsigned i = 3; i < EVENT_REMOVALS_MAX + 3; i++)
        assert_pop(&queue, HUSK_EVENT_DEVICE_WANTED, (uint8_t)i);
    assert_pop(&queue, HUSK_EVENT_PAUSED, 0);
    assert_pop(&queue, HUSK_EVENT_RESUMED, 0);
    assert_pop(&queue, HUSK_EVENT_STOPPED, 1);
    assert_empty(&queue);
    event_queue_release(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_removals),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
